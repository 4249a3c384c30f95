//! `locks`: who holds what in the active rollout, and what other tools hold in the databases.

use super::{Sighting, Stamp, grant};
use crate::{
    ids::{DatabaseName, MemberName},
    observe::{ForeignLock, ForeignLocks, Life},
    rollout::{State, state::GrantState},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `locks --json`: who holds what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocksView {
    /// Where this comes from.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Grants and executors of the active rollout.
    pub locks: Vec<LockView>,
    /// Other tools' locks in the databases.
    #[serde(default)]
    pub foreign: Vec<ForeignLockView>,
    /// What could not be looked at, each with the reason.
    #[serde(default)]
    pub unread: Vec<String>,
}

/// A lock of another tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignLockView {
    /// In which database.
    pub database: String,
    /// The lock.
    #[serde(flatten)]
    pub lock: ForeignLock,
}

/// One lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockView {
    /// `grant`, `executor` or `rollout`.
    pub kind: String,
    /// On what.
    pub target: String,
    /// Who.
    pub holder: String,
    /// Token, where it has one.
    pub token: String,
    /// State.
    pub state: String,
    /// Since when, log time.
    pub since: u64,
    /// Whether the holder was heard of lately; none if the source does not know.
    pub alive: Option<bool>,
}

/// Who holds what in the active rollout, and what other tools hold as far as agents saw it.
pub fn locks(
    state: &State,
    stamp: Stamp,
    sightings: &BTreeMap<MemberName, Sighting>,
    seen: &BTreeMap<DatabaseName, Result<ForeignLocks, String>>,
) -> LocksView {
    let mut locks = Vec::new();
    if let Some(rollout) = &state.rollout {
        let lost_after = rollout.plan.policy.lost_after.0;
        let alive = |m: &MemberName| sightings.get(m).and_then(|s| s.silent_ms).map(|ms| ms < lost_after);
        locks.push(LockView {
            kind: "rollout".into(),
            target: "cluster".into(),
            holder: rollout.by.name.clone(),
            token: rollout.id.to_string(),
            state: rollout.status.word().into(),
            since: rollout.started.0,
            alive: None,
        });
        for (database, g) in &rollout.grants {
            let view = grant(g);
            locks.push(LockView {
                kind: "grant".into(),
                target: database.to_string(),
                holder: view.member,
                token: view.token,
                state: view.state,
                since: view.since,
                alive: alive(&g.member),
            });
        }
        for (target, member) in &rollout.executors {
            locks.push(LockView {
                kind: "executor".into(),
                target: target.to_string(),
                holder: member.to_string(),
                token: String::new(),
                state: "held".into(),
                since: rollout.started.0,
                alive: alive(member),
            });
        }
    }
    let (mut foreign, mut unread) = (Vec::new(), Vec::new());
    for (database, seen) in seen {
        match seen {
            Ok(seen) => {
                foreign.extend(seen.locks.iter().map(|lock| foreign_lock(state, database, lock.clone())));
                unread.extend(seen.unread.iter().map(|why| format!("{database}: {why}")));
            }
            Err(why) => unread.push(format!("{database}: {why}")),
        }
    }
    LocksView { stamp, locks, foreign, unread }
}

/// While a grant is open the upgrade tool's own lock is where it should be: nobody is told to undo it.
fn foreign_lock(state: &State, database: &DatabaseName, mut lock: ForeignLock) -> ForeignLockView {
    let grant = state.rollout.as_ref().and_then(|rollout| rollout.grants.get(database));
    if let Some(grant) = grant.filter(|grant| grant.state == GrantState::Open)
        && lock.life != Life::Dead
    {
        lock.next = format!(
            "{} upgrades this database for the rollout: this is its own lock, unless somebody else's; let it finish",
            grant.member
        );
        lock.sql.clear();
    }
    ForeignLockView { database: database.to_string(), lock }
}
