//! What the journal remembers, in the words of the domain. Never a secret: hosts promise it for captured values and
//! evidence, and nothing else that could hold one is written.

use crate::host::{Done, Failure, Unit};
use lockkeeper_core::{
    ids::{Attempt, Digest, MemberName, RolloutId, StepId, Token},
    plan::{ActionKind, Target},
    rollout::command::{AttemptRef, Verdict},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest captured value or evidence, in bytes: what the replicated state takes, too.
pub const TEXT_MAX: usize = lockkeeper_core::rollout::limits::TEXT_MAX;

/// One try of this agent at one step. The token is part of the key: the same try under another token is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Fencing token. First, so that attempts sort in the order in which their rights were given.
    pub token: Token,
    /// Which rollout.
    pub rollout: RolloutId,
    /// Which step.
    pub step: StepId,
    /// Which try.
    pub attempt: Attempt,
}

impl Key {
    /// The attempt's name in commands.
    pub fn reference(&self, me: &MemberName) -> AttemptRef {
        AttemptRef {
            rollout: self.rollout,
            step: self.step,
            attempt: self.attempt,
            token: self.token,
            member: me.clone(),
        }
    }
}

impl From<&AttemptRef> for Key {
    fn from(attempt: &AttemptRef) -> Self {
        Self { token: attempt.token, rollout: attempt.rollout, step: attempt.step, attempt: attempt.attempt }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rollout {} step {} attempt {} token {}", self.rollout, self.step, self.attempt, self.token)
    }
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The file's first record. A file without it is not a journal that was made by this program.
    Origin {
        /// Wall clock when the file was made (unix ms), for people.
        made_ms: u64,
    },
    /// An attempt was taken up; nothing was done yet.
    Begin {
        /// Which.
        key: Key,
        /// On what; the token is remembered for it.
        target: Target,
        /// What kind of action.
        kind: ActionKind,
        /// Digest of the action.
        action: Digest,
    },
    /// The value that will be changed, as it was before the first change.
    Captured {
        /// Which attempt.
        key: Key,
        /// The value.
        text: String,
    },
    /// The effect may begin from here on.
    Start {
        /// Which attempt.
        key: Key,
    },
    /// The effect runs in a unit of its own.
    UnitStarted {
        /// Which attempt.
        key: Key,
        /// The unit.
        unit: Unit,
    },
    /// The attempt is over.
    End {
        /// Which attempt.
        key: Key,
        /// How it ended.
        ending: Ending,
    },
    /// The group has answered the report of the end.
    Reported {
        /// Which attempt.
        key: Key,
    },
    /// A token remembered from attempts whose records were dropped.
    HighestToken {
        /// For what.
        target: Target,
        /// The highest seen.
        token: Token,
    },
    /// On opening, the file ended in the middle of a record; that record was never promised and was cut off.
    TornTail {
        /// Bytes cut off.
        bytes: u64,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Positively proven.
    Done(Done),
    /// Failed.
    Failed {
        /// What, expected, found.
        failure: Failure,
        /// For a database upgrade: what the database was judged to be.
        verdict: Option<Verdict>,
    },
    /// Not started, because the rollout stopped wanting it.
    Dropped,
}
