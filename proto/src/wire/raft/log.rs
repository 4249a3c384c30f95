//! Log positions and entries.

use super::error::{WireError, required};
use super::membership::Membership;
use crate::pb;
use bytes::Bytes;
use lockkeeper_core::ids::{LogIndex, NodeId};
use std::fmt;

/// Raft's logical clock: rises with every election.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

/// Names one entry for ever: who proposed it as leader, and where it stands. Compared in this order of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogId {
    /// The leader's term.
    pub term: Term,
    /// The leader.
    pub node: NodeId,
    /// Position in the log.
    pub index: LogIndex,
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{}-N{}.{}", self.term, self.node, self.index)
    }
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub id: LogId,
    /// Its content.
    pub payload: Payload,
}

/// The content of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Nothing; a new leader begins with one.
    Blank,
    /// A command of the replicated state machine, opaque here.
    Command(Bytes),
    /// New voters, learners or addresses.
    Membership(Membership),
}

impl From<LogId> for pb::RaftLogId {
    fn from(id: LogId) -> Self {
        Self { term: id.term.0, node_id: id.node.0, index: id.index.0 }
    }
}

impl From<pb::RaftLogId> for LogId {
    fn from(id: pb::RaftLogId) -> Self {
        Self { term: Term(id.term), node: NodeId(id.node_id), index: LogIndex(id.index) }
    }
}

impl From<Entry> for pb::RaftEntry {
    fn from(entry: Entry) -> Self {
        use pb::raft_entry::{Blank, Payload as Wire};
        Self {
            id: Some(entry.id.into()),
            payload: Some(match entry.payload {
                Payload::Blank => Wire::Blank(Blank {}),
                Payload::Command(bytes) => Wire::Command(bytes),
                Payload::Membership(membership) => Wire::Membership(membership.into()),
            }),
        }
    }
}

impl TryFrom<pb::RaftEntry> for Entry {
    type Error = WireError;
    fn try_from(entry: pb::RaftEntry) -> Result<Self, WireError> {
        use pb::raft_entry::Payload as Wire;
        Ok(Self {
            id: required(entry.id, "RaftEntry", "id")?.into(),
            payload: match required(entry.payload, "RaftEntry", "payload")? {
                Wire::Blank(_) => Payload::Blank,
                Wire::Command(bytes) => Payload::Command(bytes),
                Wire::Membership(membership) => Payload::Membership(membership.try_into()?),
            },
        })
    }
}
