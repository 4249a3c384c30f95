//! What processes of the light tier say to each other.

use lockkeeper_coordinator::{consensus::ConsensusError, sight::Beat};
use lockkeeper_core::{
    ids::{LogIndex, MemberName},
    rollout::Reply,
};
use lockkeeper_proto::{client::operator::Answer, port::Proposal};
use std::sync::Arc;
use tokio::sync::oneshot;
use tonic::Status;

/// Bytes of a committed command.
pub type Bytes = Arc<[u8]>;

/// What a process is fed by the log.
#[derive(Debug, Clone)]
pub enum Fed {
    /// The next committed entry.
    Entry(LogIndex, Bytes),
    /// A whole state that reaches to the index, instead of the entries up to it.
    Snapshot(LogIndex, Arc<Vec<u8>>),
}

/// What is asked of a process, and where its answer goes. A duplicated message has nobody who waits.
#[derive(Debug)]
pub struct Call {
    /// Who asks.
    pub from: MemberName,
    /// What.
    pub ask: Ask,
}

/// See [`Call`].
#[derive(Debug)]
pub enum Ask {
    /// Commit this; you lead, I believe.
    Propose(Proposal, Option<oneshot::Sender<Result<Reply, ConsensusError>>>),
    /// How far is committed?
    ReadIndex(oneshot::Sender<Result<LogIndex, ConsensusError>>),
    /// I am alive.
    Beat(Beat),
    /// A person reads the status.
    Status(oneshot::Sender<Result<String, Status>>),
    /// A person plans.
    Plan(String, oneshot::Sender<Result<(String, String), Status>>),
    /// A person changes something.
    Change(Box<Proposal>, oneshot::Sender<Result<Answer, Status>>),
}

impl Ask {
    /// The same message once more, if it is one that a network may duplicate.
    pub fn again(&self) -> Option<Self> {
        match self {
            Ask::Propose(proposal, _) => Some(Ask::Propose(proposal.clone(), None)),
            Ask::ReadIndex(_) | Ask::Beat(_) | Ask::Status(_) | Ask::Plan(..) | Ask::Change(..) => None,
        }
    }
}
