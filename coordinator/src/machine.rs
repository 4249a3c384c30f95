//! The replicated state behind the Raft shell's port: decodes commands, applies them, shows the result to watchers.
//!
//! Knows nothing about openraft, sockets or disks, and decides nothing: `core::rollout::apply` does.

use crate::raft::{Machine, MachineError, SnapshotJob};
use lockkeeper_core::{
    ids::LogIndex,
    rollout::{Rejection, Reply, State, apply},
    stored,
};
use std::sync::Arc;
use tokio::sync::watch;

/// The state machine and the sending end of its watch.
#[derive(Debug)]
pub struct StateMachine {
    state: Arc<State>,
    shown: watch::Sender<Arc<State>>,
}

impl StateMachine {
    /// An empty state, and a watch that changes with every applied entry.
    pub fn new() -> (Self, watch::Receiver<Arc<State>>) {
        let state = Arc::new(State::default());
        let (shown, seen) = watch::channel(state.clone());
        (Self { state, shown }, seen)
    }
}

impl Machine for StateMachine {
    fn apply(&mut self, index: LogIndex, command: &[u8]) -> Vec<u8> {
        let reply = match stored::decode_envelope(command) {
            // Copy on write: watchers and snapshot jobs keep the state they hold.
            Ok(envelope) => apply(Arc::make_mut(&mut self.state), index, &envelope),
            // The leader encodes with this very code and the feature floor keeps newer commands out of the log
            // while an older voter is there, so this is reached by a bug only. Every node answers the same.
            Err(error) => {
                tracing::error!(index = index.0, %error, "a committed command does not decode");
                Reply::Rejected(Rejection::BadPlan(error.to_string()))
            }
        };
        stored::encode_reply(&reply)
    }

    fn applied(&mut self, index: LogIndex) {
        if self.state.applied < index {
            Arc::make_mut(&mut self.state).applied = index;
        }
        self.shown.send_replace(self.state.clone());
    }

    fn snapshot(&self) -> SnapshotJob {
        let state = self.state.clone();
        Box::new(move || stored::encode_state(&state))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), MachineError> {
        self.state = Arc::new(stored::decode_state(bytes).map_err(|e| MachineError(e.to_string()))?);
        Ok(())
    }
}
