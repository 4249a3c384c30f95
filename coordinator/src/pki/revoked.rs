//! The revocation list of the replicated state, in the form the handshake asks.

use lockkeeper_core::rollout::State;
use lockkeeper_proto::transport::Revocations;

/// Everybody whose certificates no longer count.
pub fn revocations(state: &State) -> Revocations {
    let mut list: Revocations = state.revoked.iter().cloned().collect();
    for (name, operator) in &state.trust.operators {
        if operator.revoked.is_some() {
            list.revoke_operator(name.clone());
        }
    }
    list
}
