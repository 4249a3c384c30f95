//! The enrolment service on the wire: turns messages into [`JoinAsk`] and back, and decides nothing.

use lockkeeper_core::ids::{ClusterId, Digest, MemberName};
use lockkeeper_proto::pb::enrol_server::Enrol;
pub use lockkeeper_proto::pb::enrol_server::EnrolServer;
use lockkeeper_proto::pb::{self, JoinRequest, JoinResponse};
use lockkeeper_proto::transport::{PeerIdentity, limits, peer_info};
use std::sync::Arc;
use tonic::{Request, Response, Status};

use super::{Admitted, EnrolError, Enrolment, JoinAsk};
use crate::pki::request::CertificateRequest;

/// Bytes of a version text.
const VERSION_BYTES_MAX: usize = 64;

/// Bytes of `host:port`: a DNS name has at most 253.
const ADDRESS_BYTES_MAX: usize = 260;

/// The service over a group.
pub struct EnrolService(Arc<dyn Enrolment>);

/// The service, ready for [`lockkeeper_proto::transport::joining_server`]. Add it there and to no other server.
pub fn enrol_service(enrolment: Arc<dyn Enrolment>) -> EnrolServer<EnrolService> {
    EnrolServer::new(EnrolService(enrolment))
        .max_decoding_message_size(limits::ENROL_BYTES_MAX)
        .max_encoding_message_size(limits::ENROL_BYTES_MAX)
}

#[tonic::async_trait]
impl Enrol for EnrolService {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        let info = peer_info(&request)?.clone();
        match &info.identity {
            PeerIdentity::Joining => {}
            other @ (PeerIdentity::Node { .. }
            | PeerIdentity::Operator { .. }
            | PeerIdentity::Unix { .. }) => {
                return Err(EnrolError::HasIdentity { found: other.to_string() }.to_status());
            }
        }
        let mut ask = ask(request.into_inner()).map_err(|error| error.to_status())?;
        ask.from = info.address;
        let (member, from) = (ask.member.clone(), ask.from);
        match self.0.join(ask).await {
            Ok(admitted) => {
                tracing::info!(%member, ?from, incarnation = admitted.incarnation.0, "node enrolled");
                Ok(Response::new(answer(admitted)))
            }
            Err(error) => {
                tracing::warn!(%member, ?from, %error, "enrolment refused");
                Err(error.to_status())
            }
        }
    }
}

fn ask(message: JoinRequest) -> Result<JoinAsk, EnrolError> {
    let bad = |field: &str| EnrolError::BadRequest(field.to_owned());
    if message.secret.len() != 32 {
        return Err(bad("the secret must have 32 bytes"));
    }
    let fingerprint = message.fingerprint;
    if fingerprint.len() != 64 || !fingerprint.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(bad("the fingerprint must be 64 lower-case hex digits"));
    }
    if message.address.is_empty() || message.address.len() > ADDRESS_BYTES_MAX {
        return Err(bad("the address must have 1 to 260 bytes"));
    }
    if message.agent_version.len() > VERSION_BYTES_MAX {
        return Err(bad("the agent version must have at most 64 bytes"));
    }
    Ok(JoinAsk {
        cluster: ClusterId(message.cluster_id),
        member: MemberName::new(message.member).map_err(|error| EnrolError::BadRequest(error.to_string()))?,
        token: Digest::of(&message.secret),
        request: CertificateRequest::from_der(&message.csr)
            .map_err(|e| EnrolError::BadRequest(e.to_string()))?,
        address: message.address,
        agent_version: message.agent_version,
        fingerprint: Digest(fingerprint),
        from: None,
    })
}

fn answer(admitted: Admitted) -> JoinResponse {
    let peers = admitted.peers.into_iter().map(|peer| pb::EnrolledPeer {
        member: peer.member.into(),
        node_id: peer.node_id.0,
        address: peer.address,
    });
    JoinResponse {
        node_id: admitted.node_id.0,
        incarnation: admitted.incarnation.0,
        generation: admitted.generation.0,
        chain: admitted.chain,
        roots: admitted.roots,
        issuing: admitted.issuing.map(|issuing| pb::IssuingAuthority {
            certificate: issuing.certificate().to_vec(),
            key: issuing.key_der(),
        }),
        peers: peers.collect(),
    }
}
