//! What the leader loop and the API need of the Raft shell, without its type parameters.

use async_trait::async_trait;
use lockkeeper_core::ids::{LogIndex, MemberName, NodeId};
use tokio::sync::watch;

impl Leadership {
    /// The voters' names.
    pub fn voter_names(&self) -> Vec<MemberName> {
        self.voters.iter().map(|(_, name)| name.clone()).collect()
    }
}

/// Who leads and who votes, as one node knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The leader, if one is known, with its address.
    pub leader: Option<(MemberName, String)>,
    /// Whether this node leads and was lately confirmed by a quorum.
    pub leading: bool,
    /// Raft term.
    pub term: u64,
    /// Whether this node hears a quorum: it leads and is confirmed, or follows a leader it hears.
    pub quorum: bool,
    /// Voters.
    pub voters: Vec<(NodeId, MemberName)>,
    /// Learners, with whether each has caught up; only a leader knows that.
    pub learners: Vec<(NodeId, MemberName, bool)>,
}

/// Why a command was not committed, as far as this node knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsensusError {
    /// Somebody else leads, or nobody.
    #[error("this node does not lead")]
    NotLeader,
    /// No answer in time; it may still be committed.
    #[error("no quorum answered within the deadline")]
    Timeout,
    /// The store failed or the node stops.
    #[error("the Raft core has stopped: {0}")]
    Stopped(String),
}

/// One node of the Raft group.
#[async_trait]
pub trait Consensus: Send + Sync + 'static {
    /// Commits a command and answers what the state machine said.
    async fn propose(&self, command: Vec<u8>) -> Result<Vec<u8>, ConsensusError>;

    /// Confirms leadership with a quorum; everything up to the answered index is committed, and applied here.
    async fn read_index(&self) -> Result<LogIndex, ConsensusError>;

    /// Changes with every change of leader, term, voters or contact to the quorum.
    fn leadership(&self) -> watch::Receiver<Leadership>;

    /// Adds a node that holds the log without a vote.
    async fn add_learner(&self, id: NodeId, seat: Seat) -> Result<(), ConsensusError>;

    /// Makes exactly these nodes voters.
    async fn set_voters(&self, voters: Vec<NodeId>) -> Result<(), ConsensusError>;

    /// Takes the log from a node that does not vote.
    async fn remove_learner(&self, id: NodeId) -> Result<(), ConsensusError>;

    /// Hands leadership to the most caught-up voter, if this node leads, and stops.
    async fn shutdown(&self);
}

pub use lockkeeper_proto::wire::raft::Seat;
