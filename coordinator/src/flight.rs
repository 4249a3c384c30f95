//! The leader's flight recorder: what it saw at its latest decisions, in memory. Knows nothing about files; the log
//! itself holds the commands.

use lockkeeper_core::{
    ids::LogIndex,
    record::Decision,
    rollout::{Command, Facts},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// Decisions kept. A rollout of three members makes about 150 that propose something. What a leader sees has about
/// 100 bytes a member, so this is 0.3 MB for 3 members and 5 MB for 50.
const DECISIONS_KEPT: usize = 1_024;

/// The latest decisions of this node as leader. Clones are the same recorder.
#[derive(Debug, Clone, Default)]
pub struct Flight(Arc<Mutex<VecDeque<Decision>>>);

impl Flight {
    /// Notes a decision, unless it proposes nothing like the one before: a leader looks twice a second.
    pub fn note(&self, after: LogIndex, facts: &Facts, commands: &[Command]) {
        // Every change is one push or pop, so a panic elsewhere left it whole.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if commands.is_empty() && kept.back().is_some_and(|last| last.commands.is_empty()) {
            return;
        }
        if kept.len() >= DECISIONS_KEPT {
            kept.pop_front();
        }
        kept.push_back(Decision { after, facts: facts.clone(), commands: commands.to_vec() });
    }

    /// The kept decisions, oldest first.
    pub fn decisions(&self) -> Vec<Decision> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
