//! Why a call of a peer was refused before Raft saw it.

use crate::incumbents::Rivalry;
use lockkeeper_core::ids::{ClusterId, Generation, Incarnation, MemberName, NodeId};
use lockkeeper_proto::transport::coded_status;
use lockkeeper_proto::wire::raft::{Party, WireError};
use tonic::{Code, Status};

/// Why a call was refused. `expected` is what this node knows, `found` what the call says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The caller is of another cluster.
    #[error("LK3301: this is cluster {expected}, the call is for {found}")]
    Cluster {
        /// This node's.
        expected: ClusterId,
        /// The caller's.
        found: ClusterId,
    },
    /// The caller is of another life of the group.
    #[error("LK3302: this group is of generation {expected}, the caller of {found}")]
    Generation {
        /// This node's.
        expected: Generation,
        /// The caller's.
        found: Generation,
    },
    /// The call is for another node.
    #[error(
        "LK3303: this is node {} ({}), the call is for node {} ({})",
        expected.node, expected.name, found.node, found.name
    )]
    Receiver {
        /// This node.
        expected: Box<Party>,
        /// Whom the caller wants.
        found: Box<Party>,
    },
    /// The call is for another making of this node: one of the two is old, or a copy.
    #[error("LK3304: this node has incarnation {expected}, the call is for {found}")]
    ReceiverIncarnation {
        /// This node's.
        expected: Incarnation,
        /// Whom the caller wants.
        found: Incarnation,
    },
    /// The caller has the name of a member but another's number.
    #[error("LK3305: node {node} is {expected}, the caller calls itself {found}")]
    Sender {
        /// The caller's number.
        node: NodeId,
        /// Whose number it is.
        expected: MemberName,
        /// Who used it.
        found: MemberName,
    },
    /// The caller is an older making of a member than the group admitted.
    #[error("LK3306: {name} was admitted with incarnation {expected}, the caller has {found}")]
    SenderIncarnation {
        /// The member.
        name: MemberName,
        /// The admitted one.
        expected: Incarnation,
        /// The caller's.
        found: Incarnation,
    },
    /// The caller has this node's own number.
    #[error("LK3307: the caller {name} uses this node's own number {node}")]
    OwnNumber {
        /// The number.
        node: NodeId,
        /// Who used it.
        name: MemberName,
    },
    /// The connection belongs to somebody else than the header says.
    #[error("LK3308: the caller says it is {claimed}, its connection proves {proven}")]
    Impostor {
        /// As the header says.
        claimed: String,
        /// As the transport says.
        proven: String,
    },
    /// Another running agent has the sender's name.
    #[error(transparent)]
    Rival(#[from] Rivalry),
    /// The message cannot be read.
    #[error("LK3309: {0}")]
    Message(WireError),
    /// The frames came in an order that means nothing, too slowly, or were too large.
    #[error("LK3310: {0}")]
    Stream(&'static str),
}

impl Refusal {
    /// Its code, as in `deploy/errors/`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Cluster { .. } => "LK3301",
            Self::Generation { .. } => "LK3302",
            Self::Receiver { .. } => "LK3303",
            Self::ReceiverIncarnation { .. } => "LK3304",
            Self::Sender { .. } => "LK3305",
            Self::SenderIncarnation { .. } => "LK3306",
            Self::OwnNumber { .. } => "LK3307",
            Self::Impostor { .. } => "LK3308",
            Self::Rival(_) => "LK3311",
            Self::Message(_) => "LK3309",
            Self::Stream(_) => "LK3310",
        }
    }

    /// The gRPC answer for it.
    pub fn to_status(&self) -> Status {
        let code = match self {
            Self::Cluster { .. }
            | Self::Generation { .. }
            | Self::Receiver { .. }
            | Self::ReceiverIncarnation { .. }
            | Self::Sender { .. }
            | Self::SenderIncarnation { .. }
            | Self::OwnNumber { .. }
            | Self::Impostor { .. }
            | Self::Rival(_) => Code::PermissionDenied,
            Self::Message(_) | Self::Stream(_) => Code::InvalidArgument,
        };
        coded_status(code, self.code(), self.to_string())
    }
}
