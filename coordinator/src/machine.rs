//! The replicated state behind the Raft shell's port: decodes commands, applies them, shows the result to watchers.
//!
//! Knows nothing about openraft, sockets or disks, and decides nothing: `core::rollout::apply` does.

use crate::raft::{Machine, MachineError, SnapshotJob};
use lockkeeper_core::{
    audit::Trail,
    ids::LogIndex,
    rollout::{Rejection, Reply, State, apply_audited},
    stored,
};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;

/// The state machine and the sending end of its watch.
#[derive(Debug)]
pub struct StateMachine {
    state: Arc<State>,
    shown: watch::Sender<Arc<State>>,
    trail: SharedTrail,
}

/// The audit's entries beside the state. Clones are the same trail.
#[derive(Debug, Clone, Default)]
pub struct SharedTrail(Arc<RwLock<Arc<Trail>>>);

impl SharedTrail {
    /// The trail as it is now; may be a moment ahead of what watchers of the state see.
    pub fn read(&self) -> Arc<Trail> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Arc<Trail>)) {
        // Every change is one push or one assignment, so a panic elsewhere left it whole.
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl StateMachine {
    /// An empty state, and a watch that changes with every applied entry.
    pub fn new() -> (Self, watch::Receiver<Arc<State>>) {
        let state = Arc::new(State::default());
        let (shown, seen) = watch::channel(state.clone());
        (Self { state, shown, trail: SharedTrail::default() }, seen)
    }

    /// The audit's entries, for those who show them.
    pub fn trail(&self) -> SharedTrail {
        self.trail.clone()
    }
}

impl Machine for StateMachine {
    fn apply(&mut self, index: LogIndex, command: &[u8]) -> Vec<u8> {
        let reply = match stored::decode_envelope(command) {
            // Copy on write: watchers and snapshot jobs keep the state they hold.
            Ok(envelope) => {
                let (reply, entry) = apply_audited(Arc::make_mut(&mut self.state), index, &envelope);
                if let Some(entry) = entry {
                    self.trail.change(|trail| Arc::make_mut(trail).push(entry));
                }
                reply
            }
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
        let (state, trail) = (self.state.clone(), self.trail.read());
        Box::new(move || stored::encode_snapshot(&state, &trail))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), MachineError> {
        let (state, mut trail) = stored::decode_snapshot(bytes).map_err(|e| MachineError(e.to_string()))?;
        if let Err(error) = trail.verify(&state.audit) {
            // Whoever made the snapshot broke the chain; the state itself is not in doubt. What cannot be vouched for
            // is not shown as if it could.
            tracing::error!(code = error.code(), %error, "the snapshot's audit does not fit its state; it begins anew");
            trail = Trail::begin(state.audit.clone());
        }
        self.trail.change(|old| *old = Arc::new(trail));
        self.state = Arc::new(state);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
