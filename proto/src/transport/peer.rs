//! Who is at the other end of a connection, and whom one expects there.

use lockkeeper_core::identity::Role;
use lockkeeper_core::ids::{ActorName, ClusterId, Incarnation, MemberName};
use std::fmt;
use std::net::SocketAddr;
use tonic::{Request, Status};

use super::error::TransportError;

/// The proven identity of a peer. Only the transport makes one: from a verified certificate, from the kernel's
/// credentials of a unix socket, or (in simulation) from the simulated wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerIdentity {
    /// An agent of a cluster, by its node certificate.
    Node {
        /// The cluster that issued the certificate.
        cluster: ClusterId,
        /// Name in the cluster file.
        name: MemberName,
        /// Which making of that member's identity.
        incarnation: Incarnation,
    },
    /// A person or script, by an operator certificate.
    Operator {
        /// The cluster that issued the certificate.
        cluster: ClusterId,
        /// For the audit.
        name: ActorName,
        /// What the certificate allows.
        role: Role,
    },
    /// A process on this machine, by the kernel's word.
    Unix {
        /// Effective user.
        uid: u32,
        /// Effective group.
        gid: u32,
        /// Process, where the platform tells.
        pid: Option<i32>,
    },
    /// Nobody yet: speaks the enrolment protocol and may do nothing else.
    Joining,
}

/// What a server knows about a connection; every request carries it in its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInfo {
    /// Who it is.
    pub identity: PeerIdentity,
    /// From where, for the audit; none for unix sockets.
    pub address: Option<SocketAddr>,
}

/// Whom a caller wants to reach. Every variant demands a node of the caller's own cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedPeer {
    /// Any of them.
    AnyNode,
    /// This member, whatever its incarnation.
    Member(MemberName),
    /// This making of this member.
    Node(MemberName, Incarnation),
}

/// The node behind a request, see [`node`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodePeer<'a> {
    /// Its cluster; the transport has checked that it is ours.
    pub cluster: &'a ClusterId,
    /// Its name.
    pub name: &'a MemberName,
    /// Its incarnation.
    pub incarnation: Incarnation,
}

impl ExpectedPeer {
    /// Whether `found` is the one.
    pub fn accepts(&self, found: &PeerIdentity) -> bool {
        match (self, found) {
            (Self::AnyNode, PeerIdentity::Node { .. }) => true,
            (Self::Member(want), PeerIdentity::Node { name, .. }) => want == name,
            (Self::Node(want, number), PeerIdentity::Node { name, incarnation, .. }) => {
                want == name && number == incarnation
            }
            (
                Self::AnyNode | Self::Member(_) | Self::Node(..),
                PeerIdentity::Operator { .. } | PeerIdentity::Unix { .. } | PeerIdentity::Joining,
            ) => false,
        }
    }
}

/// The identity behind a request. `LK4018` if it came in by a way that has none, which only a wiring fault can cause.
pub fn peer<T>(request: &Request<T>) -> Result<&PeerIdentity, Status> {
    peer_info(request).map(|info| &info.identity)
}

/// The identity and address behind a request; errors as [`peer`].
pub fn peer_info<T>(request: &Request<T>) -> Result<&PeerInfo, Status> {
    request.extensions().get::<PeerInfo>().ok_or_else(|| TransportError::NoIdentity.to_status())
}

/// The node behind a request. `LK4019` for anybody who is not a node.
pub fn node<T>(request: &Request<T>) -> Result<NodePeer<'_>, Status> {
    match peer(request)? {
        PeerIdentity::Node { cluster, name, incarnation } => {
            Ok(NodePeer { cluster, name, incarnation: *incarnation })
        }
        other @ (PeerIdentity::Operator { .. } | PeerIdentity::Unix { .. } | PeerIdentity::Joining) => {
            Err(TransportError::NotANode { found: other.to_string() }.to_status())
        }
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { name, incarnation, .. } => write!(f, "node {name} (incarnation {incarnation})"),
            Self::Operator { name, role, .. } => write!(f, "{role} {name}"),
            Self::Unix { uid, .. } => write!(f, "uid {uid} on this machine"),
            Self::Joining => f.write_str("a joining machine without certificate"),
        }
    }
}

impl fmt::Display for ExpectedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyNode => f.write_str("any node of the cluster"),
            Self::Member(name) => write!(f, "node {name}"),
            Self::Node(name, incarnation) => write!(f, "node {name} (incarnation {incarnation})"),
        }
    }
}
