//! The second half of every run: faults have stopped, everything is up, people do what `why` says. Then the rollout must
//! end in bounded time, everything that waits must have an owner, a reason, a since and a remedy, and all members must
//! agree. Without this half a run could pass by being safely stuck.

use crate::{bed::Bed, people::Wait};

/// In this much virtual time a rollout ends once faults have stopped, ms. The longest chain is: a lost grant is closed
/// (a silence of `lost_after`, 5 s at most), a person resumes and retries, all steps run, some of them a second time
/// after a hard deadline of the agent's.
pub const END_WITHIN_MS: u64 = 150_000;

/// After the end, all members must have applied the same within this, ms.
pub const AGREE_WITHIN_MS: u64 = 5_000;

/// What is not alive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// It does not end.
    #[error("finishes: no end within {within} ms after the faults; waits: {waits}")]
    NoEnd {
        /// The bound.
        within: u64,
        /// What was last said to wait.
        waits: String,
    },
    /// Something waits for nobody, or for no reason.
    #[error("no_orphan_wait: {0}")]
    Orphan(String),
    /// Members do not come to hold the same.
    #[error("agrees: {0}")]
    Disagree(String),
    /// It never began, although nothing had gone wrong yet.
    #[error("begins: no rollout was started; {0}")]
    NoBegin(String),
    /// The simulation itself ended.
    #[error("panics: {0}")]
    Panic(String),
}

impl Stuck {
    /// The word in tables.
    pub const fn word(&self) -> &'static str {
        match self {
            Stuck::NoEnd { .. } => "finishes",
            Stuck::Orphan(_) => "no_orphan_wait",
            Stuck::Disagree(_) => "agrees",
            Stuck::NoBegin(_) => "begins",
            Stuck::Panic(_) => "panics",
        }
    }
}

/// Whether everything that waits says for whom, why, since when, and what to do.
pub fn check_waits(waits: &[Wait]) -> Result<(), Stuck> {
    let orphan = waits.iter().find(|wait| {
        wait.owner.is_empty()
            || wait.text.is_empty()
            || wait.code.is_empty()
            || wait.subject.is_empty()
            || wait.remedy.is_empty()
            || wait.since == 0
    });
    match orphan {
        Some(wait) => Err(Stuck::Orphan(format!("{wait:?}"))),
        None => Ok(()),
    }
}

/// What waits, in a line.
pub fn told(waits: &[Wait]) -> String {
    let told =
        waits.iter().map(|wait| format!("[{} {} {}: {}]", wait.owner, wait.subject, wait.code, wait.text));
    told.collect::<Vec<_>>().join(" ")
}

/// Whether all members have applied the same entries.
pub fn agree(bed: &Bed) -> bool {
    let applied: std::collections::BTreeSet<_> = bed.names().map(|name| bed.watch.applied(name)).collect();
    applied.len() == 1
}
