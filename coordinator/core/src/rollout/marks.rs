//! The group's incarnation: a chain of marks, one for every effect on a shared target that the log hands out.
//!
//! A copy of *all* members has valid certificates, the same log and a quorum of its own, so nothing inside the group can
//! tell it from the original. What it cannot have is what the original did after the copying. So every assignment of an
//! effect on a shared target makes a mark that no other log can make, the ledger of each database keeps the mark of the
//! last effect, and a group acts only where the last mark is one of its own (`docs/decisions/0013-group-incarnation.md`).

use super::limits;
use crate::{
    audit::AuditHead,
    ids::{DatabaseName, Digest, RequestId, Token},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

/// Code of the refusal: the ledger of a database shows an effect of this group that this group's log never handed out.
pub const TWIN_GROUP: &str = "LK5239";

/// One effect on a shared target, named so that two groups with a common past never name two effects alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// Generation and log index of the assignment.
    pub token: Token,
    /// From the whole log before it and the random id of the proposal.
    pub nonce: u64,
}

impl Mark {
    /// The mark of the assignment at `token`, proposed as `id`, after a log whose audit ends at `head`.
    pub(super) fn new(token: Token, head: &AuditHead, id: &RequestId) -> Self {
        let whole = Digest::of(format!("{} {}", head.digest, id.0).as_bytes());
        // Sixteen hexadecimal digits fit exactly, and a digest has more of them.
        let nonce = whole.0.get(..16).and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or_default();
        Self { token, nonce }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:016x}", self.token, self.nonce)
    }
}

/// The newest marks of a group by database: what may stand in that database's ledger as its last effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks(BTreeMap<DatabaseName, VecDeque<Mark>>);

impl Marks {
    /// Whether the group made this mark, for whatever database: the cluster file may call one otherwise today.
    pub fn knows(&self, mark: &Mark) -> bool {
        self.0.values().any(|marks| marks.contains(mark))
    }

    /// The newest mark for a database; none before the first effect of a rollout that has it.
    pub fn newest(&self, database: &DatabaseName) -> Option<Mark> {
        self.0.get(database).and_then(VecDeque::back).copied()
    }

    /// Adds a mark for each database of the rollout, dropping the oldest past the bound.
    pub fn add<'a>(&mut self, databases: impl IntoIterator<Item = &'a DatabaseName>, mark: Mark) {
        for database in databases {
            let marks = self.0.entry(database.clone()).or_default();
            if marks.len() >= limits::MARKS_KEPT {
                marks.pop_front();
            }
            marks.push_back(mark);
        }
    }
}
