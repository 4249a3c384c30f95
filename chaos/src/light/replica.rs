//! One member's replica: applies what the log feeds it, by the shipped state machine.

use super::messages::Fed;
use lockkeeper_coordinator::{machine::StateMachine, raft::Machine as _};
use lockkeeper_core::ids::LogIndex;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{mpsc, watch};

/// Answers kept for whoever proposed; more are never waited for at once.
const REPLIES_KEPT: usize = 64;

/// Answers by index, and how far this replica has applied.
#[derive(Debug)]
pub struct Replies {
    kept: Mutex<BTreeMap<LogIndex, Vec<u8>>>,
    applied: watch::Sender<LogIndex>,
}

impl Default for Replies {
    fn default() -> Self {
        Self { kept: Mutex::default(), applied: watch::channel(LogIndex(0)).0 }
    }
}

impl Replies {
    /// What applying the entry at `index` answered, once it is applied here; nothing if a snapshot came instead.
    pub async fn at(&self, index: LogIndex) -> Option<Vec<u8>> {
        let mut applied = self.applied.subscribe();
        applied.wait_for(|now| *now >= index).await.ok()?;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&index).cloned()
    }

    fn keep(&self, index: LogIndex, reply: Vec<u8>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(index, reply);
        while kept.len() > REPLIES_KEPT {
            kept.pop_first();
        }
    }
}

/// Applies until the log feeds no more. Answers why it cannot go on, if it cannot.
pub async fn keep(
    mut machine: StateMachine,
    mut fed: mpsc::UnboundedReceiver<Fed>,
    replies: Arc<Replies>,
) -> Result<(), String> {
    while let Some(next) = fed.recv().await {
        let index = match next {
            Fed::Entry(index, bytes) => {
                let reply = machine.apply(index, &bytes);
                replies.keep(index, reply);
                index
            }
            Fed::Snapshot(index, bytes) => {
                machine.restore(&bytes).map_err(|error| error.to_string())?;
                index
            }
        };
        machine.applied(index);
        replies.applied.send_replace(index);
    }
    Ok(())
}
