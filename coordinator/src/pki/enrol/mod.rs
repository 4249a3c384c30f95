//! Enrolment: how a machine that holds a token becomes a node. [`join`] is the new machine's side; [`Enrolment`] is what
//! the group implements; [`enrol_service`] puts it on the wire.

mod admission;
mod client;
mod error;
mod service;

pub use admission::{Admission, admit};
pub use client::{Joined, Joiner, join};
pub use error::EnrolError;
pub use service::{EnrolServer, EnrolService, enrol_service};

use lockkeeper_core::ids::{ClusterId, Digest, Generation, Incarnation, MemberName, NodeId};
use std::net::SocketAddr;

use super::authority::IssuingCa;
use super::request::CertificateRequest;

/// A request to become a node, checked in form. Whether the token allows it is the group's decision.
#[derive(Debug, Clone)]
pub struct JoinAsk {
    /// The cluster the token was made for.
    pub cluster: ClusterId,
    /// The member the token was made for.
    pub member: MemberName,
    /// Hash of the token's secret. The secret itself ends at the service.
    pub token: Digest,
    /// The new node's key.
    pub request: CertificateRequest,
    /// Where peers reach the new node, `host:port`.
    pub address: String,
    /// The joining build.
    pub agent_version: String,
    /// Digest of the sealed machine fingerprint.
    pub fingerprint: Digest,
    /// Where the request came from, for the audit.
    pub from: Option<SocketAddr>,
}

/// What the group gives a new node.
#[derive(Debug)]
pub struct Admitted {
    /// Its number.
    pub node_id: NodeId,
    /// Its identity's incarnation.
    pub incarnation: Incarnation,
    /// The group's generation.
    pub generation: Generation,
    /// Its certificate, then the issuer without the root; DER.
    pub chain: Vec<Vec<u8>>,
    /// Every root the group trusts; DER.
    pub roots: Vec<Vec<u8>>,
    /// For a voter to be.
    pub issuing: Option<IssuingCa>,
    /// Whom to talk to first.
    pub peers: Vec<EnrolledPeer>,
}

/// A node that is already there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledPeer {
    /// Its name.
    pub member: MemberName,
    /// Its number.
    pub node_id: NodeId,
    /// `host:port` of its agent.
    pub address: String,
}

/// The group's side. The implementation commits the token's use before it answers.
#[tonic::async_trait]
pub trait Enrolment: Send + Sync + 'static {
    /// Decides and, if the token allows it, makes `ask` a node. See [`admit`].
    async fn join(&self, ask: JoinAsk) -> Result<Admitted, EnrolError>;
}
