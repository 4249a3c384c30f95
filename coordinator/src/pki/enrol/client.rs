//! The new machine's side of enrolment.

use lockkeeper_core::ids::{ClusterId, Digest, Generation, Incarnation, MemberName, NodeId};
use lockkeeper_proto::pb::enrol_client::EnrolClient;
use lockkeeper_proto::pb::{JoinRequest, JoinResponse};
use lockkeeper_proto::transport::{
    CaDigest, Credentials, PeerIdentity, Revocations, Tls, TransportError, code_of, join_channel, limits,
};
use std::time::Duration;
use tonic::{Request, Status};

use super::{EnrolError, EnrolledPeer};
use crate::pki::authority::IssuingCa;
use crate::pki::error::PkiError;
use crate::pki::request::PrivateKey;
use crate::pki::store::PkiStore;
use crate::pki::token::JoinToken;

/// One address of the token. The group commits two entries for it, which takes milliseconds; an election in the middle
/// takes a second or two.
const JOIN_DEADLINE: Duration = Duration::from_secs(10);

/// What a machine tells about itself.
#[derive(Debug, Clone)]
pub struct Joiner {
    /// Where peers will reach it, `host:port`.
    pub address: String,
    /// Its build.
    pub agent_version: String,
    /// Digest of its sealed fingerprint.
    pub fingerprint: Digest,
}

/// What a machine has after joining. [`Joined::save`] it before anything else.
#[derive(Debug)]
pub struct Joined {
    /// Its number.
    pub node_id: NodeId,
    /// Its name.
    pub member: MemberName,
    /// Its identity's incarnation.
    pub incarnation: Incarnation,
    /// The group's generation.
    pub generation: Generation,
    /// Certificate, key and roots.
    pub credentials: Credentials,
    /// Set when it is to be a voter.
    pub issuing: Option<IssuingCa>,
    /// Whom to talk to first.
    pub peers: Vec<EnrolledPeer>,
}

/// Joins the group that made `token`. Makes a key, tries the token's addresses in turn, and sends the secret only to a
/// server that proved itself under the token's authority. After a lost answer it may be repeated for a minute.
pub async fn join(token: &JoinToken, joiner: &Joiner, key: &PrivateKey) -> Result<Joined, EnrolError> {
    let request = key.request().map_err(EnrolError::Pki)?;
    let mut tried = Vec::new();
    for address in &token.addresses {
        let message = JoinRequest {
            cluster_id: token.cluster.0.clone(),
            member: token.member.to_string(),
            secret: token.secret.expose().to_vec(),
            csr: request.der().to_vec(),
            address: joiner.address.clone(),
            agent_version: joiner.agent_version.clone(),
            fingerprint: joiner.fingerprint.0.clone(),
        };
        match ask(address, token, message).await {
            Ok(answer) => return accept(answer, token, key),
            Err(status) => {
                if let Some(decision) = EnrolError::decided(&status) {
                    return Err(decision);
                }
                tried.push(format!("{address} ({})", why(&status)));
            }
        }
    }
    Err(EnrolError::NoAddress { tried: tried.join(", ") })
}

async fn ask(address: &str, token: &JoinToken, message: JoinRequest) -> Result<JoinResponse, Status> {
    let channel = join_channel(address, token.cluster.clone(), token.authority);
    let mut client = EnrolClient::new(channel).max_decoding_message_size(limits::ENROL_BYTES_MAX);
    let mut request = Request::new(message);
    request.set_timeout(JOIN_DEADLINE);
    // The header asks the server; this holds when the server does not listen.
    let late = |_| Status::deadline_exceeded("no answer in time");
    Ok(tokio::time::timeout(JOIN_DEADLINE, client.join(request)).await.map_err(late)??.into_inner())
}

fn why(status: &Status) -> String {
    match TransportError::behind(status) {
        Some(reason) => reason.to_string(),
        None => match code_of(status) {
            Some(_) => status.message().to_owned(),
            None => format!("{:?}: {}", status.code(), status.message()),
        },
    }
}

/// Takes nothing on trust: the answer must be for this key and this name, under the token's root.
fn accept(answer: JoinResponse, token: &JoinToken, key: &PrivateKey) -> Result<Joined, EnrolError> {
    let bad = |reason: &str| EnrolError::BadAnswer(reason.to_owned());
    if !answer.roots.iter().any(|root| CaDigest::of(root) == token.authority) {
        return Err(bad("its roots do not include the one the token names"));
    }
    let incarnation = Incarnation(answer.incarnation);
    let generation = Generation(answer.generation);
    if generation == Generation(0) {
        return Err(bad("it names no generation"));
    }
    let (chain, roots) = (answer.chain, answer.roots);
    let credentials = Credentials { cluster: token.cluster.clone(), chain, key: key.to_der(), roots };
    let unusable = |error: TransportError| EnrolError::BadAnswer(error.to_string());
    let subject = Tls::new(credentials.clone(), Revocations::none()).map_err(unusable)?.subject();
    let expected =
        PeerIdentity::Node { cluster: token.cluster.clone(), name: token.member.clone(), incarnation };
    if subject.identity != expected {
        return Err(bad("its certificate is for somebody else"));
    }
    let issuing = answer.issuing.map(|issuing| authority(&token.cluster, issuing.certificate, &issuing.key));
    let mut peers = Vec::new();
    for peer in answer.peers {
        let member =
            MemberName::new(peer.member).map_err(|error| EnrolError::BadAnswer(error.to_string()))?;
        peers.push(EnrolledPeer { member, node_id: NodeId(peer.node_id), address: peer.address });
    }
    Ok(Joined {
        node_id: NodeId(answer.node_id),
        member: token.member.clone(),
        incarnation,
        generation,
        credentials,
        issuing: issuing.transpose()?,
        peers,
    })
}

fn authority(cluster: &ClusterId, certificate: Vec<u8>, key: &[u8]) -> Result<IssuingCa, EnrolError> {
    IssuingCa::from_parts(cluster, certificate, key).map_err(|error| EnrolError::BadAnswer(error.to_string()))
}

impl Joined {
    /// Saves everything; the node's own certificate last, because its presence means "joined".
    pub fn save(&self, store: &PkiStore) -> Result<(), PkiError> {
        if let Some(issuing) = &self.issuing {
            store.save_issuing(issuing)?;
        }
        store.save_node(&self.credentials)
    }
}
