//! A whole state, sent to a node whose next entry the leader no longer has.

use super::election::Vote;
use super::error::{Problem, WireError, required};
use super::header::Header;
use super::log::LogId;
use super::membership::Membership;
use crate::pb;
use bytes::Bytes;

/// Bytes of a BLAKE3 digest.
const DIGEST_LEN: usize = 32;

/// What a snapshot stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The last entry the state contains.
    pub last_log: Option<LogId>,
    /// The entry that made [`Self::membership`].
    pub membership_log: Option<LogId>,
    /// The membership as of the snapshot.
    pub membership: Membership,
}

/// Announces a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotHead {
    /// The leader's vote.
    pub vote: Vote,
    /// What is sent.
    pub meta: SnapshotMeta,
    /// Length of the state in bytes.
    pub size: u64,
    /// BLAKE3 of the state.
    pub digest: [u8; DIGEST_LEN],
}

/// One frame of the stream: header, head, then the state in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotFrame {
    /// First frame, exactly once.
    Open(Header),
    /// Second frame, exactly once.
    Head(SnapshotHead),
    /// All others.
    Chunk(Bytes),
}

impl From<SnapshotHead> for pb::RaftSnapshotHead {
    fn from(head: SnapshotHead) -> Self {
        Self {
            vote: Some(head.vote.into()),
            last_log: head.meta.last_log.map(Into::into),
            membership_log: head.meta.membership_log.map(Into::into),
            membership: Some(head.meta.membership.into()),
            size: head.size,
            digest: head.digest.to_vec(),
        }
    }
}

impl TryFrom<pb::RaftSnapshotHead> for SnapshotHead {
    type Error = WireError;
    fn try_from(head: pb::RaftSnapshotHead) -> Result<Self, WireError> {
        let found = head.digest.len();
        Ok(Self {
            vote: required(head.vote, "RaftSnapshotHead", "vote")?.into(),
            meta: SnapshotMeta {
                last_log: head.last_log.map(Into::into),
                membership_log: head.membership_log.map(Into::into),
                membership: required(head.membership, "RaftSnapshotHead", "membership")?.try_into()?,
            },
            size: head.size,
            digest: head.digest.try_into().map_err(|_| {
                let problem = Problem::Length { expected: DIGEST_LEN, found };
                WireError::new("RaftSnapshotHead", "digest", problem)
            })?,
        })
    }
}

impl From<SnapshotFrame> for pb::RaftSnapshotFrame {
    fn from(frame: SnapshotFrame) -> Self {
        use pb::raft_snapshot_frame::Frame;
        Self {
            frame: Some(match frame {
                SnapshotFrame::Open(header) => Frame::Open(header.into()),
                SnapshotFrame::Head(head) => Frame::Head(head.into()),
                SnapshotFrame::Chunk(bytes) => Frame::Chunk(bytes),
            }),
        }
    }
}

impl TryFrom<pb::RaftSnapshotFrame> for SnapshotFrame {
    type Error = WireError;
    fn try_from(frame: pb::RaftSnapshotFrame) -> Result<Self, WireError> {
        use pb::raft_snapshot_frame::Frame;
        Ok(match required(frame.frame, "RaftSnapshotFrame", "frame")? {
            Frame::Open(header) => Self::Open(header.try_into()?),
            Frame::Head(head) => Self::Head(head.try_into()?),
            Frame::Chunk(bytes) => Self::Chunk(bytes),
        })
    }
}
