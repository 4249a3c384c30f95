//! Applies every entry and makes every decision of a script anew, and says where the first one differs.

use super::{Decision, Entry, Script, digest::Digester};
use crate::{
    ids::{Digest, LogIndex},
    rollout::{State, apply, next},
};
use serde::Serialize;

/// Everything that was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Played {
    /// Commands applied; the state's digest was compared after each.
    pub entries: u64,
    /// Of these, compared with the audit written when the command was applied first.
    pub audited: u64,
    /// Decisions made anew.
    pub decisions: u64,
}

/// The first place where playing gives something else than the script says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// Entries are not in order.
    #[error("LK3611: entry {found} comes after entry {before}: the record is out of order")]
    Order {
        /// The entry before.
        before: LogIndex,
        /// The entry.
        found: LogIndex,
    },
    /// The audit the node wrote at the time differs.
    #[error(
        "LK3612: applying entry {index} ({what}) gives another answer or another history than it did at the time: audit {found}, then {expected}"
    )]
    Audit {
        /// Where.
        index: LogIndex,
        /// Kind of command.
        what: String,
        /// In the record.
        expected: String,
        /// Now.
        found: String,
    },
    /// The state differs.
    #[error(
        "LK3613: after entry {index} ({what}) the state is another one: digest {found}, recorded {expected}"
    )]
    State {
        /// Where.
        index: LogIndex,
        /// Kind of command.
        what: String,
        /// In the record.
        expected: Digest,
        /// Now.
        found: Digest,
    },
    /// The leader decides otherwise.
    #[error("LK3614: after entry {after} the leader decides otherwise: {found}, recorded {expected}")]
    Decision {
        /// After which entry.
        after: LogIndex,
        /// In the record.
        expected: String,
        /// Now.
        found: String,
    },
    /// The state the node held at the end is not the one its log leads to.
    #[error(
        "LK3615: the node held another state at the end, entry {index}, than its log leads to: digest {expected}, played {found}"
    )]
    Live {
        /// Where.
        index: LogIndex,
        /// What the node held.
        expected: Digest,
        /// What playing gives.
        found: Digest,
    },
}

impl Difference {
    /// The page under `deploy/errors/`.
    pub const fn code(&self) -> &'static str {
        match self {
            Difference::Order { .. } => "LK3611",
            Difference::Audit { .. } => "LK3612",
            Difference::State { .. } => "LK3613",
            Difference::Decision { .. } => "LK3614",
            Difference::Live { .. } => "LK3615",
        }
    }
}

/// Plays a script step by step.
#[derive(Debug, Clone)]
pub struct Player {
    state: State,
    played: Played,
    digester: Digester,
}

impl Player {
    /// Begins with this state.
    pub fn new(base: State) -> Self {
        Self { state: base, played: Played::default(), digester: Digester::default() }
    }

    /// The state now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Applies a command and answers the digest of the state after it.
    ///
    /// # Errors
    /// When entries are out of order, or the audit differs from what was written at the time.
    pub fn apply(&mut self, entry: &Entry) -> Result<Digest, Difference> {
        if entry.index <= self.state.applied {
            return Err(Difference::Order { before: self.state.applied, found: entry.index });
        }
        apply(&mut self.state, entry.index, &entry.envelope);
        self.played.entries += 1;
        if let Some(audit) = &entry.audit {
            self.played.audited += 1;
            if *audit != self.state.audit {
                return Err(Difference::Audit {
                    index: entry.index,
                    what: format!("{:?}", entry.envelope.command.kind()),
                    expected: audit.digest.clone(),
                    found: self.state.audit.digest.clone(),
                });
            }
        }
        Ok(self.digester.of(&self.state))
    }

    /// Decides anew.
    ///
    /// # Errors
    /// When something else is decided.
    pub fn decide(&mut self, decision: &Decision) -> Result<(), Difference> {
        self.played.decisions += 1;
        let commands = next(&self.state, &decision.facts);
        if commands == decision.commands {
            return Ok(());
        }
        let words = |commands: &[crate::rollout::Command]| format!("{commands:?}");
        Err(Difference::Decision {
            after: decision.after,
            expected: words(&decision.commands),
            found: words(&commands),
        })
    }

    /// Entries without a command (a new leader's first, a change of voters) only move the index.
    fn reached(&mut self, index: LogIndex) {
        self.state.applied = self.state.applied.max(index);
    }
}

/// Fills in the digest of the state after every entry.
///
/// # Errors
/// When the audit written at the time does not fit what is applied now.
pub fn seal(mut script: Script) -> Result<Script, Difference> {
    let mut player = Player::new(script.base.clone());
    for entry in &mut script.entries {
        entry.state = player.apply(entry)?;
    }
    Ok(script)
}

/// Plays a whole script.
///
/// # Errors
/// The first difference.
pub fn play(script: &Script) -> Result<Played, Difference> {
    let mut player = Player::new(script.base.clone());
    let mut decisions = script.decisions.iter().peekable();
    for entry in &script.entries {
        while let Some(decision) = decisions.next_if(|d| d.after < entry.index) {
            player.decide(decision)?;
        }
        let found = player.apply(entry)?;
        if found != entry.state {
            let (index, expected) = (entry.index, entry.state.clone());
            let what = format!("{:?}", entry.envelope.command.kind());
            return Err(Difference::State { index, what, expected, found });
        }
    }
    for decision in decisions {
        player.decide(decision)?;
    }
    player.reached(script.head.to);
    if let Some(live) = &script.head.live {
        let found = player.state.digest();
        if found != *live {
            return Err(Difference::Live { index: script.head.to, expected: live.clone(), found });
        }
    }
    Ok(player.played)
}
