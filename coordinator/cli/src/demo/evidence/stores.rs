//! An agent's store, replayed after its process ended: which state it had at which log index.

use anyhow::Context as _;
use lockkeeper_coordinator::{
    machine::StateMachine,
    raft::{Machine, MachineError, Offline, SnapshotJob, Upto},
};
use lockkeeper_core::{
    ids::{LogIndex, PlanHash},
    rollout::State,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};
use tokio::sync::watch;

/// Besides the last one, every so manieth index is compared: a digest is over the whole state, some 100 KiB of JSON.
const EVERY: u64 = 8;

/// What the store of one agent holds.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The state's digest at some indexes.
    pub digests: BTreeMap<u64, String>,
    /// Who approved which plan, by everything the log ever said; the state forgets them when a rollout starts.
    pub approvers: BTreeMap<PlanHash, BTreeSet<String>>,
}

/// The shipped state machine, and notes on its state.
struct Recording {
    machine: StateMachine,
    seen: watch::Receiver<Arc<State>>,
    digests: BTreeMap<u64, String>,
    approvers: BTreeMap<PlanHash, BTreeSet<String>>,
}

impl Recording {
    fn note_approvers(&mut self) {
        for (plan, approvals) in &self.seen.borrow().approvals {
            let names = approvals.iter().map(|approval| approval.actor.name.clone());
            self.approvers.entry(plan.clone()).or_default().extend(names);
        }
    }

    fn note(&mut self, index: LogIndex) {
        let digest = self.seen.borrow().digest();
        self.digests.insert(index.0, digest.0);
    }
}

impl Machine for Recording {
    fn apply(&mut self, index: LogIndex, command: &[u8]) -> Vec<u8> {
        self.machine.apply(index, command)
    }

    fn applied(&mut self, index: LogIndex) {
        self.machine.applied(index);
        self.note_approvers();
        if index.0.is_multiple_of(EVERY) {
            self.note(index);
        }
    }

    fn snapshot(&self) -> SnapshotJob {
        self.machine.snapshot()
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), MachineError> {
        self.machine.restore(bytes)
    }
}

/// Reads the store of an agent that does not run.
pub fn replay(path: &Path) -> anyhow::Result<Replayed> {
    let offline = Offline::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (machine, seen) = StateMachine::new();
    let mut recording = Recording { machine, seen, digests: BTreeMap::new(), approvers: BTreeMap::new() };
    let last = offline.replay(&mut recording, Upto::Committed)?.context("the store is empty")?;
    recording.note(last);
    Ok(Replayed { digests: recording.digests, approvers: recording.approvers })
}
