//! Who this node is: written once at enrolment, compared at every start, before the log store is opened.
//!
//! Knows the identity file and what it takes to believe it. Does not know certificates or the group; the store marker
//! in here is what the store itself is compared with.

pub mod error;
pub mod fingerprint;
pub mod stored;
pub mod verdict;

pub use error::IdentityError;
pub use fingerprint::{Changes, Fingerprint, Signal, Strength, WEAK};
pub use verdict::{Verdict, compare};

use crate::{
    journal::Disk,
    platform::{Signals, Source},
};
use lockkeeper_core::ids::{ClusterId, Generation, Incarnation, MemberName, NodeId};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Who this node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The group it belongs to.
    pub cluster: ClusterId,
    /// Its name in the cluster file.
    pub name: MemberName,
    /// Its number as a voter.
    pub node: NodeId,
    /// Which making of this identity; certificates carry it.
    pub incarnation: Incarnation,
    /// Which life of the group it belongs to.
    pub generation: Generation,
    /// A random number that stands in its log store too, so that a store moved beside another identity is recognised.
    pub store: Uuid,
    /// The machine it was sealed on.
    pub fingerprint: Fingerprint,
}

/// An identity that was compared with this machine and these settings: what opening the store asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The identity.
    pub identity: Identity,
    /// How much the comparison proves.
    pub strength: Strength,
    /// What changed without raising suspicion, for people.
    pub changes: Option<Changes>,
}

impl Identity {
    /// Reads the identity file; an error when there is none.
    pub fn load(disk: &mut dyn Disk) -> Result<Self, IdentityError> {
        let bytes =
            disk.read(stored::LENGTH_MAX).map_err(IdentityError::File)?.ok_or(IdentityError::Missing)?;
        stored::from_bytes(&bytes)
    }

    /// Writes the identity file of a node that has none yet.
    pub fn create(&self, disk: &mut dyn Disk) -> Result<(), IdentityError> {
        match Identity::load(disk) {
            Err(IdentityError::Missing) => {
                disk.replace(&stored::to_bytes(self)?).map_err(IdentityError::File)
            }
            Ok(present) => Err(IdentityError::Exists { name: present.name }),
            Err(other) => Err(other),
        }
    }

    /// Puts a new making of this identity in place of the old one (`recover`, a lifted quarantine).
    pub fn replace(&self, disk: &mut dyn Disk) -> Result<(), IdentityError> {
        disk.replace(&stored::to_bytes(self)?).map_err(IdentityError::File)
    }

    /// Compares it with the settings and with this machine, over the `chosen` sources. After this, and not before, the
    /// store may be opened.
    pub fn check(
        self,
        configured: &MemberName,
        signals: &Signals,
        chosen: &BTreeSet<Source>,
    ) -> Result<Checked, IdentityError> {
        if *configured != self.name {
            return Err(IdentityError::Name { configured: configured.clone(), sealed: self.name });
        }
        let changes = match compare(&self.fingerprint, &Fingerprint::seal(&self.cluster, signals), chosen) {
            Verdict::Same(strength) => return Ok(Checked { identity: self, strength, changes: None }),
            Verdict::Tolerated(changes) => changes,
            Verdict::Changed { changes, reverted } => {
                return Err(IdentityError::Machine { name: self.name, changes, reverted });
            }
            Verdict::Weak(changes) => return Err(IdentityError::Weak { name: self.name, changes }),
        };
        tracing::warn!(code = "LK6210", %changes, "this machine has changed since it was enrolled");
        Ok(Checked { identity: self, strength: Strength::Strong, changes: Some(changes) })
    }
}

#[cfg(test)]
mod tests;
