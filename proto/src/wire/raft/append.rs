//! The stream of entries from a leader to one follower; an empty request is a heartbeat.

use super::election::Vote;
use super::error::{WireError, required};
use super::header::Header;
use super::log::{Entry, LogId};
use crate::pb;

/// Entries to be put behind `previous`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendRequest {
    /// The leader's vote.
    pub vote: Vote,
    /// The entry before the first one sent; none at the beginning of the log.
    pub previous: Option<LogId>,
    /// May be empty.
    pub entries: Vec<Entry>,
    /// What the leader knows to be committed.
    pub committed: Option<LogId>,
}

/// Answer to one [`AppendRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendResponse {
    /// The follower's disk has everything up to this entry.
    Matched(Option<LogId>),
    /// The follower lacks this entry; the stream ends.
    Conflict(LogId),
    /// The follower knows a newer leader; the stream ends.
    HigherVote(Vote),
}

/// One frame of the stream: the header first, then requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendFrame {
    /// First frame, exactly once.
    Open(Header),
    /// All others.
    Append(AppendRequest),
}

impl From<AppendRequest> for pb::RaftAppendRequest {
    fn from(request: AppendRequest) -> Self {
        Self {
            vote: Some(request.vote.into()),
            previous: request.previous.map(Into::into),
            entries: request.entries.into_iter().map(Into::into).collect(),
            committed: request.committed.map(Into::into),
        }
    }
}

impl TryFrom<pb::RaftAppendRequest> for AppendRequest {
    type Error = WireError;
    fn try_from(request: pb::RaftAppendRequest) -> Result<Self, WireError> {
        Ok(Self {
            vote: required(request.vote, "RaftAppendRequest", "vote")?.into(),
            previous: request.previous.map(Into::into),
            entries: request.entries.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            committed: request.committed.map(Into::into),
        })
    }
}

impl From<AppendFrame> for pb::RaftAppendFrame {
    fn from(frame: AppendFrame) -> Self {
        use pb::raft_append_frame::Frame;
        Self {
            frame: Some(match frame {
                AppendFrame::Open(header) => Frame::Open(header.into()),
                AppendFrame::Append(request) => Frame::Append(request.into()),
            }),
        }
    }
}

impl TryFrom<pb::RaftAppendFrame> for AppendFrame {
    type Error = WireError;
    fn try_from(frame: pb::RaftAppendFrame) -> Result<Self, WireError> {
        use pb::raft_append_frame::Frame;
        Ok(match required(frame.frame, "RaftAppendFrame", "frame")? {
            Frame::Open(header) => Self::Open(header.try_into()?),
            Frame::Append(request) => Self::Append(request.try_into()?),
        })
    }
}

impl From<AppendResponse> for pb::RaftAppendResponse {
    fn from(response: AppendResponse) -> Self {
        use pb::raft_append_response::{Matched, Outcome};
        Self {
            outcome: Some(match response {
                AppendResponse::Matched(last) => Outcome::Matched(Matched { last: last.map(Into::into) }),
                AppendResponse::Conflict(id) => Outcome::Conflict(id.into()),
                AppendResponse::HigherVote(vote) => Outcome::HigherVote(vote.into()),
            }),
        }
    }
}

impl TryFrom<pb::RaftAppendResponse> for AppendResponse {
    type Error = WireError;
    fn try_from(response: pb::RaftAppendResponse) -> Result<Self, WireError> {
        use pb::raft_append_response::Outcome;
        Ok(match required(response.outcome, "RaftAppendResponse", "outcome")? {
            Outcome::Matched(matched) => Self::Matched(matched.last.map(Into::into)),
            Outcome::Conflict(id) => Self::Conflict(id.into()),
            Outcome::HigherVote(vote) => Self::HigherVote(vote.into()),
        })
    }
}
