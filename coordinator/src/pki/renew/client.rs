//! The node's side of renewal.

use lockkeeper_core::ids::MemberName;
use lockkeeper_proto::pb::RenewRequest;
use lockkeeper_proto::pb::renew_client::RenewClient;
use lockkeeper_proto::transport::{
    Credentials, ExpectedPeer, Revocations, Tls, TransportError, limits, renew_channel,
};
use std::time::Duration;
use tonic::{Request, Status};

use super::RenewError;
use crate::pki::request::{CertificateRequest, PrivateKey};

/// One address. Nothing is committed for it, so it takes a handshake and a signature.
const RENEW_DEADLINE: Duration = Duration::from_secs(5);

/// Asks each of `agents` in turn for the next certificate of whoever `tls` speaks for, with `key` as its key.
/// Errors with [`RenewError::Nobody`] when none answered; a decision is final.
pub async fn renew(
    tls: &Tls,
    agents: &[(MemberName, String)],
    request: &CertificateRequest,
) -> Result<Vec<Vec<u8>>, RenewError> {
    let mut tried = Vec::new();
    for (name, address) in agents {
        match ask(tls, name, address, request).await {
            Ok(chain) => return Ok(chain),
            Err(status) if RenewError::decided(&status) => {
                return Err(RenewError::Nobody { tried: format!("{name} refused ({})", why(&status)) });
            }
            Err(status) => tried.push(format!("{name} ({})", why(&status))),
        }
    }
    Err(RenewError::Unavailable(if tried.is_empty() {
        "nobody else is known".to_owned()
    } else {
        tried.join(", ")
    }))
}

async fn ask(
    tls: &Tls,
    name: &MemberName,
    address: &str,
    request: &CertificateRequest,
) -> Result<Vec<Vec<u8>>, Status> {
    let channel = renew_channel(tls, address, ExpectedPeer::Member(name.clone()));
    let mut client = RenewClient::new(channel).max_decoding_message_size(limits::ENROL_BYTES_MAX);
    let call = client.renew(Request::new(RenewRequest { csr: request.der().to_vec() }));
    let late = |_| Status::deadline_exceeded("no answer in time");
    Ok(tokio::time::timeout(RENEW_DEADLINE, call).await.map_err(late)??.into_inner().chain)
}

fn why(status: &Status) -> String {
    TransportError::behind(status).map_or_else(|| status.message().to_owned(), ToString::to_string)
}

/// Takes nothing on trust: the new chain must be for this key, and speak for whom the old one spoke for.
pub(in crate::pki) fn accept(
    tls: &Tls,
    chain: Vec<Vec<u8>>,
    key: &PrivateKey,
    roots: Vec<Vec<u8>>,
) -> Result<Credentials, RenewError> {
    use lockkeeper_proto::transport::PeerIdentity;
    let ours = tls.subject().identity;
    let PeerIdentity::Node { cluster, .. } = &ours else {
        return Err(RenewError::BadAnswer("this is not a node".to_owned()));
    };
    let credentials = Credentials { cluster: cluster.clone(), chain, key: key.to_der(), roots };
    let unusable = |error: TransportError| RenewError::BadAnswer(error.to_string());
    let new = Tls::new(credentials.clone(), Revocations::none()).map_err(unusable)?;
    if new.subject().identity != ours {
        return Err(RenewError::BadAnswer("the certificate is for somebody else".to_owned()));
    }
    Ok(credentials)
}
