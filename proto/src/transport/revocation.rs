//! Which certificates no longer count although they are signed and in date. The list lives in the replicated log;
//! this is the form the handshake asks.

use lockkeeper_core::ids::{ActorName, Incarnation, MemberName};
use std::collections::{BTreeMap, BTreeSet};

use super::certificate::{Serial, Subject};
use super::peer::PeerIdentity;

/// The revocation list. Bounded by the number of members and operators; serials are for single cases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    lowest: BTreeMap<MemberName, Incarnation>,
    removed: BTreeSet<MemberName>,
    operators: BTreeSet<ActorName>,
    serials: BTreeSet<Serial>,
}

impl Revocations {
    /// Nothing is revoked.
    pub fn none() -> Self {
        Self::default()
    }

    /// Revokes `incarnation` of `name` and all before it: a clone's certificates, and those of the original that
    /// shares them, which then enrols anew.
    pub fn revoke_incarnation(&mut self, name: MemberName, incarnation: Incarnation) {
        // The highest number of all cannot be followed by another, so it means the member itself.
        let Some(next) = incarnation.0.checked_add(1) else {
            self.remove_member(name);
            return;
        };
        let lowest = self.lowest.entry(name).or_default();
        *lowest = (*lowest).max(Incarnation(next));
    }

    /// Revokes every certificate of `name`, also future ones.
    pub fn remove_member(&mut self, name: MemberName) {
        self.removed.insert(name);
    }

    /// Revokes every certificate of an operator.
    pub fn revoke_operator(&mut self, name: ActorName) {
        self.operators.insert(name);
    }

    /// Revokes one certificate.
    pub fn revoke_serial(&mut self, serial: Serial) {
        self.serials.insert(serial);
    }

    /// Whether the certificate with this subject no longer counts.
    pub fn revoked(&self, subject: &Subject) -> bool {
        self.serials.contains(&subject.serial)
            || match &subject.identity {
                PeerIdentity::Node { name, incarnation, .. } => {
                    self.removed.contains(name)
                        || self.lowest.get(name).is_some_and(|lowest| incarnation < lowest)
                }
                PeerIdentity::Operator { name, .. } => self.operators.contains(name),
                PeerIdentity::Unix { .. } | PeerIdentity::Joining => false,
            }
    }
}

impl FromIterator<(MemberName, Incarnation)> for Revocations {
    fn from_iter<I: IntoIterator<Item = (MemberName, Incarnation)>>(list: I) -> Self {
        let mut revocations = Self::none();
        list.into_iter().for_each(|(name, incarnation)| revocations.revoke_incarnation(name, incarnation));
        revocations
    }
}
