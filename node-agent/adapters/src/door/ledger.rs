//! The grant ledger's rule: which act a token still allows, given what the ledger holds.
//!
//! Pure. Each engine reads its rows under a lock, asks here, acts, and writes its row in the same transaction.
//! Acts that shut are allowed whenever they cannot harm; acts that open are the checked ones.

use crate::database::{Answer, DatabaseCode};
use lockkeeper_core::{
    ids::{ClusterId, DatabaseName, RolloutId, Token},
    rollout::{Mark, Marks},
};

/// Where a grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantState {
    /// Its holder is being let in (engines whose act is not one transaction).
    Opening,
    /// Its holder may be in the database.
    Open,
    /// No new session of its holder can begin; that none is left is not yet proven.
    Closing,
    /// Its holder is proven out, or never got in. Final.
    Closed,
}

impl GrantState {
    /// The word in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            GrantState::Opening => "opening",
            GrantState::Open => "open",
            GrantState::Closing => "closing",
            GrantState::Closed => "closed",
        }
    }

    /// Reads the word in the ledger.
    pub fn parse(text: &str) -> Answer<Self> {
        match text {
            "opening" => Ok(GrantState::Opening),
            "open" => Ok(GrantState::Open),
            "closing" => Ok(GrantState::Closing),
            "closed" => Ok(GrantState::Closed),
            other => Err(DatabaseCode::Ledger.refuse(format!("the ledger holds the grant state {other:?}"))),
        }
    }
}

/// Where a door stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoorState {
    /// It is being shut (engines whose act is not one transaction).
    Shutting,
    /// Everybody but the holder of an open grant is kept out.
    Shut,
    /// What was taken is given back.
    Open,
}

impl DoorState {
    /// The word in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            DoorState::Shutting => "shutting",
            DoorState::Shut => "shut",
            DoorState::Open => "open",
        }
    }

    /// Reads the word in the ledger.
    pub fn parse(text: &str) -> Answer<Self> {
        match text {
            "shutting" => Ok(DoorState::Shutting),
            "shut" => Ok(DoorState::Shut),
            "open" => Ok(DoorState::Open),
            other => Err(DatabaseCode::Ledger.refuse(format!("the ledger holds the door state {other:?}"))),
        }
    }
}

/// One grant in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    /// Whose.
    pub group: ClusterId,
    /// The grant's token.
    pub token: Token,
    /// Of which rollout.
    pub rollout: RolloutId,
    /// The holder's name, for people.
    pub member: String,
    /// Where it stands.
    pub state: GrantState,
    /// PostgreSQL: the timeline it was opened on; elsewhere 0.
    pub timeline: u64,
    /// SQLite: the file it was given; elsewhere empty.
    pub file: String,
}

/// A group's door in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorRow {
    /// Whose.
    pub group: ClusterId,
    /// Token of the last act on it.
    pub token: Token,
    /// Where it stands.
    pub state: DoorState,
    /// What was taken and must be given back.
    pub captured: String,
    /// SQLite: the file that is live; elsewhere empty.
    pub live: String,
}

/// All the ledger holds on one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerRows {
    /// Grants of all groups.
    pub grants: Vec<GrantRow>,
    /// At most one door a group.
    pub doors: Vec<DoorRow>,
    /// The last effect of each group.
    pub marks: Vec<(ClusterId, Mark)>,
}

impl LedgerRows {
    /// What says that somebody upgrades the database: grants that are not closed, doors that are not open.
    pub fn busy(&self) -> Vec<String> {
        let grants = self.grants.iter().filter(|grant| grant.state != GrantState::Closed).map(|grant| {
            let GrantRow { group, token, rollout, member, state, .. } = grant;
            format!("grant {token} of {member} is {} (rollout {rollout}, group {})", state.as_str(), group.0)
        });
        let doors = self.doors.iter().filter(|door| door.state != DoorState::Open).map(|door| {
            format!("the door is {} (token {}, group {})", door.state.as_str(), door.token, door.group.0)
        });
        grants.chain(doors).collect()
    }
}

/// Whether an act is new or was done by an earlier call with the same token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// To be done.
    New,
    /// The ledger says it was done; the world is looked at all the same.
    Again,
}

impl LedgerRows {
    /// The highest token this group has shown here.
    pub fn highest(&self, group: &ClusterId) -> Option<Token> {
        let grants = self.grants.iter().filter(|row| row.group == *group).map(|row| row.token);
        let doors = self.doors.iter().filter(|row| row.group == *group).map(|row| row.token);
        grants.chain(doors).max()
    }

    /// The group's door, if it ever had one here.
    pub fn door(&self, group: &ClusterId) -> Option<&DoorRow> {
        self.doors.iter().find(|row| row.group == *group)
    }

    /// The group's grant with this token.
    pub fn grant(&self, group: &ClusterId, token: Token) -> Option<&GrantRow> {
        self.grants.iter().find(|row| row.group == *group && row.token == token)
    }

    /// Whether this rollout ever had a grant here, so that its attempts may have written.
    pub fn granted_in(&self, group: &ClusterId, rollout: RolloutId) -> bool {
        self.grants.iter().any(|row| row.group == *group && row.rollout == rollout)
    }

    /// Whether the group may shut the door.
    pub fn may_shut(&self, group: &ClusterId, token: Token) -> Answer<Standing> {
        self.nobody_else(group)?;
        self.fresh(group, token, "shut the door")?;
        Ok(match self.door(group) {
            Some(door) if door.token == token && door.state == DoorState::Shut => Standing::Again,
            Some(_) | None => Standing::New,
        })
    }

    /// Whether the holder of the grant `token` may be let in on `timeline`.
    pub fn may_admit(&self, group: &ClusterId, token: Token) -> Answer<Standing> {
        self.nobody_else(group)?;
        // A closed grant says so in its own words, before its token is called stale.
        if let Some(row) = self.grant(group, token)
            && matches!(row.state, GrantState::Closing | GrantState::Closed)
        {
            return Err(DatabaseCode::GrantClosed.refuse(format!(
                "grant {token} is {}; a further attempt needs a new grant",
                row.state.as_str()
            )));
        }
        self.fresh(group, token, "let the holder in")?;
        if let Some(row) = self.grants.iter().find(|row| row.token != token && row.is_not_closed()) {
            return Err(DatabaseCode::GrantStillOpen.refuse(format!(
                "grant {} of {} is {}; it must be closed before grant {token} opens",
                row.token,
                row.member,
                row.state.as_str()
            )));
        }
        match self.door(group).map(|door| door.state) {
            Some(DoorState::Shut) => {}
            Some(state @ (DoorState::Shutting | DoorState::Open)) => {
                return Err(DatabaseCode::DoorNotShut.refuse(format!("the door is {}", state.as_str())));
            }
            None => return Err(DatabaseCode::DoorNotShut.refuse("the door was never shut by this group")),
        }
        Ok(match self.grant(group, token) {
            Some(row) if row.state == GrantState::Open => Standing::Again,
            Some(_) | None => Standing::New,
        })
    }

    /// Whether the grant `token` may be closed. Closing shuts, so a lower token may close its own grant while that is
    /// not closed; a grant the ledger does not know is closed too, so that it can never be opened afterwards.
    pub fn may_close(&self, group: &ClusterId, token: Token) -> Answer<Standing> {
        match self.grant(group, token) {
            Some(row) if row.is_not_closed() => Ok(Standing::New),
            Some(_closed) => {
                self.fresh(group, token, "close the grant")?;
                Ok(Standing::Again)
            }
            None => {
                self.fresh(group, token, "close the grant")?;
                Ok(Standing::New)
            }
        }
    }

    /// Whether the group may give back what it took.
    pub fn may_open(&self, group: &ClusterId, token: Token) -> Answer<Standing> {
        self.nobody_else(group)?;
        self.fresh(group, token, "open the door")?;
        if let Some(row) = self.grants.iter().find(|row| row.is_not_closed()) {
            return Err(DatabaseCode::GrantStillOpen.refuse(format!(
                "grant {} of {} is {}; the door opens when it is closed",
                row.token,
                row.member,
                row.state.as_str()
            )));
        }
        Ok(match self.door(group) {
            Some(door) if door.token == token && door.state == DoorState::Open => Standing::Again,
            Some(_) | None => Standing::New,
        })
    }

    /// Whether the group may put a restored database in the place of the failed one: only behind a door it keeps shut,
    /// with every grant closed. The ledger goes on with this token, above all that was ever shown here.
    pub fn may_restore(&self, group: &ClusterId, token: Token) -> Answer<Standing> {
        self.nobody_else(group)?;
        self.fresh(group, token, "restore")?;
        if let Some(row) = self.grants.iter().find(|row| row.is_not_closed()) {
            return Err(DatabaseCode::GrantStillOpen.refuse(format!(
                "grant {} of {} is {}; a restore waits until it is closed",
                row.token,
                row.member,
                row.state.as_str()
            )));
        }
        match self.door(group) {
            Some(door) if door.state == DoorState::Shut && door.token == token => Ok(Standing::Again),
            Some(door) if door.state == DoorState::Shut => Ok(Standing::New),
            Some(door) => {
                Err(DatabaseCode::DoorNotShut.refuse(format!("the door is {}", door.state.as_str())))
            }
            None => Err(DatabaseCode::DoorNotShut.refuse("the door was never shut by this group")),
        }
    }

    /// Whether this group may act as the one it is known as here, and with which mark; none if the ledger needs no other.
    ///
    /// A ledger that knows nothing of the group, or an earlier effect of it, is a new one or was taken back, and is raised.
    /// A generation is made by a person who answers for it that the one before is off.
    pub fn may_act(
        &self,
        group: &ClusterId,
        database: &DatabaseName,
        marks: &Marks,
        token: Token,
    ) -> Answer<Option<Mark>> {
        let newest = marks.newest(database);
        let Some((_, last)) = self.marks.iter().find(|(of, _)| of == group) else { return Ok(newest) };
        if marks.knows(last) {
            return Ok(newest.filter(|newest| newest.token > last.token));
        }
        let mine = newest.map_or(token, |newest| newest.token).generation;
        if last.token.generation < mine {
            return Ok(newest);
        }
        Err(DatabaseCode::TwinGroup.refuse(format!(
            "the last effect of group {group} on {database} was {last}, and this group's log never handed that out: another \
             group under the same name acts here, and one of both is a copy of all members"
        )))
    }

    /// Refuses while another group holds a grant or the door, by its name.
    pub fn nobody_else(&self, group: &ClusterId) -> Answer<()> {
        if let Some(row) = self.grants.iter().find(|row| row.group != *group && row.is_not_closed()) {
            return Err(DatabaseCode::ForeignGroup.refuse(format!(
                "group {} holds grant {} ({}, member {})",
                row.group,
                row.token,
                row.state.as_str(),
                row.member
            )));
        }
        if let Some(row) = self.doors.iter().find(|row| row.group != *group && row.state != DoorState::Open) {
            return Err(DatabaseCode::ForeignGroup.refuse(format!(
                "group {} keeps the door {} since token {}",
                row.group,
                row.state.as_str(),
                row.token
            )));
        }
        Ok(())
    }

    fn fresh(&self, group: &ClusterId, token: Token, act: &str) -> Answer<()> {
        match self.highest(group) {
            Some(highest) if token < highest => Err(DatabaseCode::StaleToken
                .refuse(format!("cannot {act} with token {token}: this database has seen {highest}"))),
            Some(_) | None => Ok(()),
        }
    }
}

impl GrantRow {
    /// Whether its holder may still be in the database.
    pub const fn is_not_closed(&self) -> bool {
        match self.state {
            GrantState::Opening | GrantState::Open | GrantState::Closing => true,
            GrantState::Closed => false,
        }
    }
}

/// A mark's nonce in a ledger: neither engine has unsigned numbers.
pub fn nonce_word(nonce: u64) -> String {
    format!("{nonce:016x}")
}

/// Reads a mark's nonce.
pub fn parse_nonce(text: &str) -> Answer<u64> {
    u64::from_str_radix(text, 16).map_err(|_| {
        DatabaseCode::Ledger.refuse(format!("the ledger holds {text:?} for the nonce of a mark"))
    })
}

#[cfg(test)]
mod tests;
