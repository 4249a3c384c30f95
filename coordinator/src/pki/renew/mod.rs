//! Renewal: how a node gets its next certificate, also when the present one has expired. [`renew`] is the node's side;
//! [`Renewal`] is what the group implements; [`renew_service`] puts it on the wire.
//!
//! Nothing is committed: a certificate with the same name and incarnation gives no right that the old one did not give,
//! and a revocation names both. So a voter answers from what it has applied, and a group that was off for so long that
//! every certificate has expired still comes up.

mod client;
mod error;
mod service;

pub(in crate::pki) use client::accept;
pub use client::renew;
pub use error::RenewError;
pub use service::{RenewServer, RenewService, renew_service};

use lockkeeper_core::ids::{Incarnation, MemberName};
use lockkeeper_core::rollout::State;
use lockkeeper_core::time::LogTime;

use super::authority::Validity;
use super::keys::Keys;
use super::request::CertificateRequest;

/// A node's request. Name and incarnation are those of the certificate it showed.
#[derive(Debug, Clone)]
pub struct RenewAsk {
    /// Its name.
    pub member: MemberName,
    /// Its identity's incarnation.
    pub incarnation: Incarnation,
    /// The next key.
    pub request: CertificateRequest,
}

/// The group's side.
pub trait Renewal: Send + Sync + 'static {
    /// The new certificate and its issuer without the root, DER. See [`issue`].
    fn renew(&self, ask: &RenewAsk) -> Result<Vec<Vec<u8>>, RenewError>;
}

/// Judges `ask` by the group's `state` and issues with `keys` at `now`.
pub fn issue(state: &State, keys: &Keys, ask: &RenewAsk, now: LogTime) -> Result<Vec<Vec<u8>>, RenewError> {
    let admitted = state.nodes.get(&ask.member).map(|node| node.incarnation);
    let revoked = state.revoked.contains(&(ask.member.clone(), ask.incarnation));
    if admitted != Some(ask.incarnation) || revoked {
        // One that has not applied its own admission yet knows nobody, and must not be taken for a refusal.
        if state.nodes.is_empty() {
            return Err(RenewError::Unavailable("it knows no member yet".to_owned()));
        }
        return Err(RenewError::NotAdmitted { member: ask.member.clone(), incarnation: ask.incarnation });
    }
    let issuing =
        keys.issuing().ok_or_else(|| RenewError::Unavailable("it holds no issuing key".to_owned()))?;
    let issued = issuing
        .issue_node(&ask.request, &ask.member, ask.incarnation, Validity::leaf(now))
        .map_err(RenewError::Pki)?;
    let mut chain = issued.chain;
    chain.extend(keys.cross());
    Ok(chain)
}
