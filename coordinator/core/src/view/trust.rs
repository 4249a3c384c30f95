//! `operator list` and `ca show`: operators, authorities, and how far a roll-over has come.

use super::Stamp;
use crate::rollout::State;
use serde::{Deserialize, Serialize};

/// `operator list --json` and `ca show --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustView {
    /// Where this comes from.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Operators that got a certificate from the group, and revoked names.
    pub operators: Vec<OperatorView>,
    /// Roots every agent trusts; empty until the first roll-over.
    pub authorities: Vec<AuthorityView>,
    /// The roll-over under way.
    pub roll_over: Option<RollOverView>,
    /// Commands up to this feature may be used.
    pub feature_floor: u32,
}

/// One operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorView {
    /// Name.
    pub name: String,
    /// Role of the newest certificate; none if the group issued none.
    pub role: Option<String>,
    /// When that one ends, unix ms.
    pub expires: u64,
    /// Since when the name is revoked.
    pub revoked: Option<u64>,
    /// Whether the certificate is of the newest authority, so that it goes on to count after a roll-over.
    pub newest_authority: bool,
}

/// One authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityView {
    /// BLAKE3 of the root.
    pub root: String,
    /// When it was introduced, log time.
    pub since: u64,
}

/// How far a roll-over has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollOverView {
    /// `trust`, `reissue` or `overlap`.
    pub stage: String,
    /// Since when.
    pub since: u64,
    /// Who began it.
    pub by: String,
    /// The new root.
    pub root: String,
    /// Agents that are not through the stage.
    pub waits_for: Vec<String>,
}

/// The part of a state that is about identities.
pub fn trust(state: &State, stamp: Stamp) -> TrustView {
    let trust = &state.trust;
    let newest = trust.authorities.last().and_then(|a| a.issuing.as_ref());
    let operators = trust.operators.iter().map(|(name, o)| OperatorView {
        name: name.to_string(),
        role: o.role.map(|r| r.to_string()),
        expires: o.expires.0,
        revoked: o.revoked.map(|t| t.0),
        newest_authority: newest.is_none_or(|digest| *digest == o.issuer),
    });
    let authorities =
        trust.authorities.iter().map(|a| AuthorityView { root: a.root.0.clone(), since: a.since.0 });
    let roll_over = trust.roll_over.as_ref().map(|roll| RollOverView {
        stage: roll.stage.as_str().to_owned(),
        since: roll.since.0,
        by: roll.by.clone(),
        root: roll.root.0.clone(),
        waits_for: state.roll_over_waits_for().iter().map(ToString::to_string).collect(),
    });
    TrustView {
        stamp,
        operators: operators.collect(),
        authorities: authorities.collect(),
        roll_over,
        feature_floor: state.floor(),
    }
}
