//! Votes, and the planned hand-over of leadership.

use super::error::{WireError, required};
use super::header::Header;
use super::log::{LogId, Term};
use crate::pb;
use lockkeeper_core::ids::NodeId;

/// A claim to lead. Committed once a majority granted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// The term it is for.
    pub term: Term,
    /// Who wants to lead.
    pub node: NodeId,
    /// Whether a majority granted it.
    pub committed: bool,
}

/// Asks for a vote, or (as a pre-vote) whether one would be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteRequest {
    /// The claim.
    pub vote: Vote,
    /// The candidate's last entry.
    pub last_log: Option<LogId>,
    /// Set when the leader itself asked for this election, so its lease does not stand in the way.
    pub leadership_transfer: bool,
}

/// Answer to a [`VoteRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteResponse {
    /// The voter's vote after the request.
    pub vote: Vote,
    /// Whether the request was granted.
    pub granted: bool,
    /// The voter's last entry.
    pub last_log: Option<LogId>,
}

/// The leader tells a voter to take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRequest {
    /// The leader's vote.
    pub from_leader: Vote,
    /// Who shall take over.
    pub to: NodeId,
    /// What the successor must have on disk.
    pub last_log: Option<LogId>,
}

/// Answer to a [`TransferRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferResponse {
    /// It stands for election now.
    Accepted,
    /// It follows another leader.
    VoteChanged {
        /// The vote in the request.
        expected: Vote,
        /// The receiver's vote.
        actual: Vote,
    },
    /// It lacks entries.
    LogNotFlushed {
        /// The leader's last entry.
        expected: Option<LogId>,
        /// The receiver's last entry.
        actual: Option<LogId>,
    },
}

impl From<Vote> for pb::RaftVote {
    fn from(vote: Vote) -> Self {
        Self { term: vote.term.0, node_id: vote.node.0, committed: vote.committed }
    }
}

impl From<pb::RaftVote> for Vote {
    fn from(vote: pb::RaftVote) -> Self {
        Self { term: Term(vote.term), node: NodeId(vote.node_id), committed: vote.committed }
    }
}

impl VoteRequest {
    /// The message, with its header.
    pub fn to_wire(self, header: Header) -> pb::RaftVoteRequest {
        pb::RaftVoteRequest {
            header: Some(header.into()),
            vote: Some(self.vote.into()),
            last_log: self.last_log.map(Into::into),
            leadership_transfer: self.leadership_transfer,
        }
    }

    /// Header and content of a message.
    pub fn from_wire(request: pb::RaftVoteRequest) -> Result<(Header, Self), WireError> {
        let header = required(request.header, "RaftVoteRequest", "header")?.try_into()?;
        let content = Self {
            vote: required(request.vote, "RaftVoteRequest", "vote")?.into(),
            last_log: request.last_log.map(Into::into),
            leadership_transfer: request.leadership_transfer,
        };
        Ok((header, content))
    }
}

impl From<VoteResponse> for pb::RaftVoteResponse {
    fn from(response: VoteResponse) -> Self {
        Self {
            vote: Some(response.vote.into()),
            granted: response.granted,
            last_log: response.last_log.map(Into::into),
        }
    }
}

impl TryFrom<pb::RaftVoteResponse> for VoteResponse {
    type Error = WireError;
    fn try_from(response: pb::RaftVoteResponse) -> Result<Self, WireError> {
        Ok(Self {
            vote: required(response.vote, "RaftVoteResponse", "vote")?.into(),
            granted: response.granted,
            last_log: response.last_log.map(Into::into),
        })
    }
}

impl TransferRequest {
    /// The message, with its header.
    pub fn to_wire(self, header: Header) -> pb::RaftTransferRequest {
        pb::RaftTransferRequest {
            header: Some(header.into()),
            from_leader: Some(self.from_leader.into()),
            to_node_id: self.to.0,
            last_log: self.last_log.map(Into::into),
        }
    }

    /// Header and content of a message.
    pub fn from_wire(request: pb::RaftTransferRequest) -> Result<(Header, Self), WireError> {
        let header = required(request.header, "RaftTransferRequest", "header")?.try_into()?;
        let content = Self {
            from_leader: required(request.from_leader, "RaftTransferRequest", "from_leader")?.into(),
            to: NodeId(request.to_node_id),
            last_log: request.last_log.map(Into::into),
        };
        Ok((header, content))
    }
}

impl From<TransferResponse> for pb::RaftTransferResponse {
    fn from(response: TransferResponse) -> Self {
        use pb::raft_transfer_response::{Accepted, LogNotFlushed, Outcome, VoteChanged};
        let outcome = match response {
            TransferResponse::Accepted => Outcome::Accepted(Accepted {}),
            TransferResponse::VoteChanged { expected, actual } => Outcome::VoteChanged(VoteChanged {
                expected: Some(expected.into()),
                actual: Some(actual.into()),
            }),
            TransferResponse::LogNotFlushed { expected, actual } => Outcome::LogNotFlushed(LogNotFlushed {
                expected: expected.map(Into::into),
                actual: actual.map(Into::into),
            }),
        };
        Self { outcome: Some(outcome) }
    }
}

impl TryFrom<pb::RaftTransferResponse> for TransferResponse {
    type Error = WireError;
    fn try_from(response: pb::RaftTransferResponse) -> Result<Self, WireError> {
        use pb::raft_transfer_response::Outcome;
        Ok(match required(response.outcome, "RaftTransferResponse", "outcome")? {
            Outcome::Accepted(_) => Self::Accepted,
            Outcome::VoteChanged(changed) => Self::VoteChanged {
                expected: required(changed.expected, "VoteChanged", "expected")?.into(),
                actual: required(changed.actual, "VoteChanged", "actual")?.into(),
            },
            Outcome::LogNotFlushed(missing) => Self::LogNotFlushed {
                expected: missing.expected.map(Into::into),
                actual: missing.actual.map(Into::into),
            },
        })
    }
}
