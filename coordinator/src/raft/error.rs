//! Why the group did not do what was asked.

use super::fatal::Fatal;
use lockkeeper_core::ids::NodeId;
use lockkeeper_proto::wire::raft::Seat;
use std::time::Duration;

/// Why a call on [`super::RaftHandle`] failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RaftError {
    /// Somebody else leads, or nobody. Nothing was done.
    #[error("this node does not lead; leader: {}", show(leader.as_deref()))]
    NotLeader {
        /// Who leads, as far as this node knows.
        leader: Option<Box<(NodeId, Seat)>>,
    },
    /// This node lost its leadership meanwhile. It may or may not have been done: look, or ask again with the same
    /// request id.
    #[error("leadership was lost before the answer; it is unknown whether the entry is committed")]
    Unknown,
    /// No answer within the deadline. It may still be done.
    #[error("no answer within {after:?}")]
    Timeout {
        /// The deadline.
        after: Duration,
    },
    /// This node leads by its own account, and no quorum confirms it. Nothing was done.
    #[error("no quorum confirms this leader")]
    NoQuorum,
    /// Larger than [`super::limits::COMMAND_BYTES_MAX`]. Nothing was done.
    #[error("the command has {bytes} bytes, more than {}", super::limits::COMMAND_BYTES_MAX)]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Another change of membership is under way. Nothing was done.
    #[error("another change of membership is not finished")]
    Busy,
    /// The node is not where it would have to be: not a learner, not a voter. Nothing was done.
    #[error("node {node} is not {needed}")]
    NotThere {
        /// The node.
        node: NodeId,
        /// What it would have to be.
        needed: &'static str,
    },
    /// The node lacks entries or does not answer, so it cannot take over. Nothing was done.
    #[error("node {node} is not caught up")]
    Behind {
        /// The node.
        node: NodeId,
    },
    /// The group refused, for a reason of its own. Nothing was done.
    #[error("refused: {0}")]
    Refused(String),
    /// This node was asked to stop.
    #[error("this node is stopping")]
    Stopping,
    /// This node can take no part any more.
    #[error("this node has failed")]
    Fatal(#[source] Fatal),
}

fn show(leader: Option<&(NodeId, Seat)>) -> String {
    leader.map_or_else(
        || "unknown".to_owned(),
        |(node, seat)| format!("{} (node {node}) at {}", seat.name, seat.address),
    )
}
