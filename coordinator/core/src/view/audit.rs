//! `audit show`: the entries one voter keeps, with the head they must end at.

use super::Stamp;
use crate::{
    audit::{AuditEntry, AuditHead, Break, Chain, Trail},
    ids::ClusterId,
    rollout::State,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `audit show --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditView {
    /// Where this comes from.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// The group; empty before `init`.
    pub cluster_id: ClusterId,
    /// Head of the chain in the replicated state.
    pub head: AuditHead,
    /// The kept entries begin behind this one; older ones were dropped, or the agent joined later.
    pub after: AuditHead,
    /// The kept entries, oldest first.
    pub entries: Vec<Arc<AuditEntry>>,
}

/// The kept entries up to the head of `state`; the trail may be a moment ahead of it.
pub fn audit(state: &State, stamp: Stamp, trail: &Trail) -> AuditView {
    let trail = trail.upto(state.audit.count);
    AuditView {
        stamp,
        cluster_id: state.group.as_ref().map_or_else(|| ClusterId(String::new()), |g| g.cluster.clone()),
        head: state.audit.clone(),
        after: trail.after().clone(),
        entries: trail.entries().cloned().collect(),
    }
}

impl AuditView {
    /// Follows the entries from their anchor to the head.
    ///
    /// # Errors
    /// Where the chain breaks.
    pub fn verify(&self) -> Result<(), Break> {
        let mut chain = Chain::after(self.after.clone());
        for entry in &self.entries {
            chain.push(entry)?;
        }
        chain.ends_at(&self.head)
    }

    /// The same entries as a trail.
    pub fn trail(&self) -> Trail {
        let mut trail = Trail::begin(self.after.clone());
        for entry in &self.entries {
            trail.push(entry.as_ref().clone());
        }
        trail
    }
}
