//! Version 1 of every record. Frozen: a field is never added, removed or reordered here, a new version is made
//! instead. The golden bytes in the tests hold this still.

use super::super::marker::{Marker, StoreMarker};
use super::{Record, RecordError, SnapshotRecord};
use lockkeeper_core::ids::{ClusterId, Generation, Incarnation, LogIndex, MemberName, NodeId};
use lockkeeper_proto::wire::raft as wire;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(in super::super) struct MarkerV1 {
    cluster: String,
    generation: u64,
    node: u64,
    incarnation: u32,
    store: [u8; 16],
}

#[derive(Serialize, Deserialize)]
pub(in super::super) struct LogIdV1 {
    term: u64,
    node: u64,
    index: u64,
}

#[derive(Serialize, Deserialize)]
pub(in super::super) struct VoteV1 {
    term: u64,
    node: u64,
    committed: bool,
}

#[derive(Serialize, Deserialize)]
struct SeatV1 {
    node: u64,
    name: String,
    address: String,
    incarnation: u32,
}

#[derive(Serialize, Deserialize)]
struct MembershipV1 {
    configs: Vec<Vec<u64>>,
    seats: Vec<SeatV1>,
}

/// Bytes, written as such: the same record as a list of numbers, and a hundred times faster to make.
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(|bytes| Self(bytes.to_vec()))
    }
}

#[derive(Serialize, Deserialize)]
enum PayloadV1 {
    Blank,
    Command(Blob),
    Membership(MembershipV1),
}

#[derive(Serialize, Deserialize)]
pub(in super::super) struct EntryV1 {
    id: LogIdV1,
    payload: PayloadV1,
}

#[derive(Serialize, Deserialize)]
pub(in super::super) struct SnapshotV1 {
    id: u64,
    last_log: Option<LogIdV1>,
    membership_log: Option<LogIdV1>,
    membership: MembershipV1,
    size: u64,
    digest: [u8; 32],
}

impl From<Marker> for MarkerV1 {
    fn from(marker: Marker) -> Self {
        Self {
            cluster: marker.cluster.0,
            generation: marker.generation.0,
            node: marker.node.0,
            incarnation: marker.incarnation.0,
            store: marker.store.0.into_bytes(),
        }
    }
}

impl Record for Marker {
    type Frozen = MarkerV1;
    fn thaw(frozen: MarkerV1) -> Result<Self, RecordError> {
        Ok(Self {
            cluster: ClusterId(frozen.cluster),
            generation: Generation(frozen.generation),
            node: NodeId(frozen.node),
            incarnation: Incarnation(frozen.incarnation),
            store: StoreMarker(uuid::Uuid::from_bytes(frozen.store)),
        })
    }
}

impl From<wire::LogId> for LogIdV1 {
    fn from(id: wire::LogId) -> Self {
        Self { term: id.term.0, node: id.node.0, index: id.index.0 }
    }
}

impl From<LogIdV1> for wire::LogId {
    fn from(id: LogIdV1) -> Self {
        Self { term: wire::Term(id.term), node: NodeId(id.node), index: LogIndex(id.index) }
    }
}

impl Record for wire::LogId {
    type Frozen = LogIdV1;
    fn thaw(frozen: LogIdV1) -> Result<Self, RecordError> {
        Ok(frozen.into())
    }
}

impl From<wire::Vote> for VoteV1 {
    fn from(vote: wire::Vote) -> Self {
        Self { term: vote.term.0, node: vote.node.0, committed: vote.committed }
    }
}

impl Record for wire::Vote {
    type Frozen = VoteV1;
    fn thaw(frozen: VoteV1) -> Result<Self, RecordError> {
        Ok(Self { term: wire::Term(frozen.term), node: NodeId(frozen.node), committed: frozen.committed })
    }
}

impl From<wire::Membership> for MembershipV1 {
    fn from(membership: wire::Membership) -> Self {
        let seat = |(node, seat): (NodeId, wire::Seat)| SeatV1 {
            node: node.0,
            name: seat.name.into(),
            address: seat.address,
            incarnation: seat.incarnation.0,
        };
        Self {
            configs: membership
                .configs
                .into_iter()
                .map(|set| set.into_iter().map(|node| node.0).collect())
                .collect(),
            seats: membership.nodes.into_iter().map(seat).collect(),
        }
    }
}

impl TryFrom<MembershipV1> for wire::Membership {
    type Error = RecordError;
    fn try_from(membership: MembershipV1) -> Result<Self, RecordError> {
        let seat = |seat: SeatV1| {
            let name = MemberName::new(seat.name).map_err(|error| RecordError::Decode(error.to_string()))?;
            let incarnation = Incarnation(seat.incarnation);
            Ok((NodeId(seat.node), wire::Seat { name, address: seat.address, incarnation }))
        };
        Ok(Self {
            configs: membership
                .configs
                .into_iter()
                .map(|set| set.into_iter().map(NodeId).collect())
                .collect(),
            nodes: membership.seats.into_iter().map(seat).collect::<Result<_, RecordError>>()?,
        })
    }
}

impl From<wire::Entry> for EntryV1 {
    fn from(entry: wire::Entry) -> Self {
        Self {
            id: entry.id.into(),
            payload: match entry.payload {
                wire::Payload::Blank => PayloadV1::Blank,
                wire::Payload::Command(bytes) => PayloadV1::Command(Blob(bytes.into())),
                wire::Payload::Membership(membership) => PayloadV1::Membership(membership.into()),
            },
        }
    }
}

impl Record for wire::Entry {
    type Frozen = EntryV1;
    fn thaw(frozen: EntryV1) -> Result<Self, RecordError> {
        Ok(Self {
            id: frozen.id.into(),
            payload: match frozen.payload {
                PayloadV1::Blank => wire::Payload::Blank,
                PayloadV1::Command(Blob(bytes)) => wire::Payload::Command(bytes.into()),
                PayloadV1::Membership(membership) => wire::Payload::Membership(membership.try_into()?),
            },
        })
    }
}

impl From<SnapshotRecord> for SnapshotV1 {
    fn from(record: SnapshotRecord) -> Self {
        Self {
            id: record.id,
            last_log: record.meta.last_log.map(Into::into),
            membership_log: record.meta.membership_log.map(Into::into),
            membership: record.meta.membership.into(),
            size: record.size,
            digest: record.digest,
        }
    }
}

impl Record for SnapshotRecord {
    type Frozen = SnapshotV1;
    fn thaw(frozen: SnapshotV1) -> Result<Self, RecordError> {
        Ok(Self {
            id: frozen.id,
            meta: wire::SnapshotMeta {
                last_log: frozen.last_log.map(Into::into),
                membership_log: frozen.membership_log.map(Into::into),
                membership: frozen.membership.try_into()?,
            },
            size: frozen.size,
            digest: frozen.digest,
        })
    }
}
