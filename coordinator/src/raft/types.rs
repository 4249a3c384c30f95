//! Our choice of openraft's types, once for production and once for simulation.

use lockkeeper_core::ids::{Incarnation, MemberName};
use lockkeeper_proto::wire::raft::Seat;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::{AsyncRuntime, RaftTypeConfig};
use openraft_rt::deterministic_rng::DeterministicRng;
use openraft_rt_tokio::TokioRuntime;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;

/// The runtime of every real process.
pub type Production = TokioRuntime;

/// The runtime of simulation: the same tokio, with every random number drawn from the seed of the task.
pub type Simulation = DeterministicRng<TokioRuntime>;

/// openraft's configuration of types, for a runtime.
pub struct Types<Rt>(PhantomData<fn() -> Rt>);

/// A command of the replicated state machine. Opaque: its format and version are the core's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command(pub Vec<u8>);

/// What the state machine answered to a command. Opaque, and never sent between nodes.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply(pub Vec<u8>);

/// A node as openraft stores it in a membership. The same as [`Seat`], which belongs to another crate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name in the cluster file.
    pub name: MemberName,
    /// `host:port`.
    pub address: String,
    /// Which making of its identity.
    pub incarnation: Incarnation,
}

pub(super) type OrLeaderId = LeaderId<u64, u64>;
pub(super) type OrLogId = openraft::LogId<OrLeaderId>;
pub(super) type OrVote = openraft::Vote<OrLeaderId>;
pub(super) type OrPayload = openraft::EntryPayload<Command, u64, Node>;
pub(super) type OrEntry = openraft::Entry<OrLeaderId, OrPayload>;
pub(super) type OrMembership = openraft::Membership<u64, Node>;
pub(super) type OrStoredMembership = openraft::StoredMembership<OrLeaderId, u64, Node>;
pub(super) type OrSnapshotMeta = openraft::storage::SnapshotMeta<OrLeaderId, u64, Node>;
pub(super) type OrSnapshot = openraft::storage::Snapshot<OrLeaderId, u64, Node, bytes::Bytes>;

impl<Rt: AsyncRuntime> RaftTypeConfig for Types<Rt> {
    type D = Command;
    type R = Reply;
    type NodeId = u64;
    type Node = Node;
    type Term = u64;
    type LeaderId = OrLeaderId;
    type Vote = OrVote;
    type Payload = OrPayload;
    type Entry = OrEntry;
    type AsyncRuntime = Rt;
    type Responder<T>
        = openraft::impls::ProgressResponder<Self, T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

// openraft wants these of the type that only names other types; deriving them would ask the same of the runtime.
impl<Rt> fmt::Debug for Types<Rt> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Types")
    }
}
impl<Rt> Clone for Types<Rt> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Rt> Copy for Types<Rt> {}
impl<Rt> Default for Types<Rt> {
    fn default() -> Self {
        Self(PhantomData)
    }
}
impl<Rt> PartialEq for Types<Rt> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl<Rt> Eq for Types<Rt> {}
impl<Rt> PartialOrd for Types<Rt> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<Rt> Ord for Types<Rt> {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

// Commands may hold captured settings; a log line says how long they are and nothing else.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({} bytes)", self.0.len())
    }
}
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({} bytes)", self.0.len())
    }
}
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Default for Node {
    /// Asked for by openraft's storage suite; nothing else makes one.
    #[expect(clippy::unwrap_used, reason = "the literal is a valid name")]
    fn default() -> Self {
        Self {
            name: MemberName::new("unnamed").unwrap(),
            address: String::new(),
            incarnation: Incarnation(0),
        }
    }
}

impl From<Seat> for Node {
    fn from(seat: Seat) -> Self {
        Self { name: seat.name, address: seat.address, incarnation: seat.incarnation }
    }
}

impl From<Node> for Seat {
    fn from(node: Node) -> Self {
        Self { name: node.name, address: node.address, incarnation: node.incarnation }
    }
}
