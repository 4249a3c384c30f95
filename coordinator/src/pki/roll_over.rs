//! A new authority as it goes through the log: checked before it is proposed, read back from the state.

use lockkeeper_core::ids::{ClusterId, Digest, Incarnation, MemberName};
use lockkeeper_core::rollout::State;
use lockkeeper_core::rollout::trust::Authority;
use lockkeeper_core::time::LogTime;
use lockkeeper_proto::transport::{Credentials, Revocations, Tls};

use super::authority::{IssuingCa, Validity};
use super::error::PkiError;
use super::keys::Keys;
use super::pem;
use super::request::PrivateKey;

/// The roots every agent must trust, DER; none before the first roll-over. Entries that cannot be read are left out,
/// and whoever leaves one out never says that it trusts it, so a roll-over does not go on.
pub fn roots_of(state: &State) -> Option<Vec<Vec<u8>>> {
    let read = |a: &Authority| pem::read(a.root_pem.as_bytes()).ok()?.certificates.into_iter().next();
    let roots: Vec<Vec<u8>> = state.trust.authorities.iter().filter_map(read).collect();
    (!roots.is_empty()).then_some(roots)
}

/// The present issuing certificate as the root before signed it, DER; only while both roots are trusted.
pub fn cross_of(state: &State) -> Option<Vec<u8>> {
    let roll = state.trust.roll_over.as_ref()?;
    let new = state.trust.authorities.iter().find(|a| a.root == roll.root)?;
    pem::read(new.cross_pem.as_ref()?.as_bytes()).ok()?.certificates.into_iter().next()
}

/// The authorities trusted so far and the new one, as the log keeps them.
///
/// # Errors
/// When `issuing` does not sign certificates that are good under `root`: found out by making one.
pub fn introduced(
    cluster: &ClusterId,
    keys: &Keys,
    root: &[u8],
    issuing: &IssuingCa,
    cross: Option<&[u8]>,
    now: LogTime,
) -> Result<(Vec<Authority>, Authority), PkiError> {
    let bad = |reason: String| PkiError::BadRequest { reason };
    let probe = PrivateKey::generate()?;
    let name = MemberName::new("probe").map_err(|error| bad(error.to_string()))?;
    let issued = issuing.issue_node(&probe.request()?, &name, Incarnation(1), Validity::leaf(now))?;
    let good = |chain: Vec<Vec<u8>>, roots: Vec<Vec<u8>>| {
        let credentials = Credentials { cluster: cluster.clone(), chain, key: probe.to_der(), roots };
        Tls::new(credentials, Revocations::none()).map(drop).map_err(|error| bad(error.to_string()))
    };
    good(issued.chain.clone(), vec![root.to_vec()])?;
    if let Some(cross) = cross {
        let chain = issued.chain.iter().cloned().chain([cross.to_vec()]).collect();
        good(chain, keys.roots())?;
    }
    let old =
        keys.roots().iter().map(|der| authority(der, keys.issuing().map(|i| i.digest()), now)).collect();
    let new =
        Authority { cross_pem: cross.map(pem::certificate), ..authority(root, Some(issuing.digest()), now) };
    Ok((old, new))
}

fn authority(root: &[u8], issuing: Option<Digest>, since: LogTime) -> Authority {
    Authority { root: Digest::of(root), root_pem: pem::certificate(root), issuing, cross_pem: None, since }
}
