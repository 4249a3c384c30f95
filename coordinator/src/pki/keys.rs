//! What this node signs with and which roots it hands out, replaced while it runs. Shared by everything on this node
//! that issues; only the certificate keeper and an admin's roll-over change it.

use lockkeeper_core::ids::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use super::authority::IssuingCa;
use super::error::PkiError;
use super::store::PkiStore;

/// Issuing keys by the digest of their certificates, and the roots in force.
#[derive(Debug, Default)]
pub struct Keys {
    held: RwLock<Held>,
    store: Option<PkiStore>,
}

#[derive(Debug, Default)]
struct Held {
    current: Option<Digest>,
    all: BTreeMap<Digest, Arc<IssuingCa>>,
    roots: Vec<Vec<u8>>,
    cross: Option<Vec<u8>>,
}

impl Keys {
    /// Issues with `issuing` under `roots` (DER); files nothing.
    pub fn new(issuing: Option<IssuingCa>, roots: Vec<Vec<u8>>) -> Self {
        let mut held = Held { roots, ..Held::default() };
        if let Some(issuing) = issuing {
            held.current = Some(issuing.digest());
            held.all.insert(issuing.digest(), Arc::new(issuing));
        }
        Self { held: RwLock::new(held), store: None }
    }

    /// What `store` holds, and changes are filed there. `cluster` is the one this node belongs to.
    pub fn open(store: PkiStore, cluster: &lockkeeper_core::ids::ClusterId) -> Result<Self, PkiError> {
        let keys = Self::new(store.load_issuing(cluster)?, store.load_roots()?);
        if let Some(next) = store.load_next_issuing(cluster)? {
            keys.write(|held| drop(held.all.insert(next.digest(), Arc::new(next))));
        }
        Ok(Self { store: Some(store), ..keys })
    }

    /// What issues now; none on a node without a key.
    pub fn issuing(&self) -> Option<Arc<IssuingCa>> {
        self.read(|held| held.all.get(held.current.as_ref()?).cloned())
    }

    /// One that is held, by the digest of its certificate.
    pub fn find(&self, digest: &Digest) -> Option<Arc<IssuingCa>> {
        self.read(|held| held.all.get(digest).cloned())
    }

    /// Digests of all that are held.
    pub fn holds(&self) -> BTreeSet<Digest> {
        self.read(|held| held.all.keys().cloned().collect())
    }

    /// Roots handed to those who join and to operators; DER.
    pub fn roots(&self) -> Vec<Vec<u8>> {
        self.read(|held| held.roots.clone())
    }

    /// Hands out these roots from now on. The caller has filed them.
    pub fn set_roots(&self, roots: Vec<Vec<u8>>) {
        self.write(|held| held.roots = roots);
    }

    /// The present issuing certificate as an older root signed it; DER.
    pub fn cross(&self) -> Option<Vec<u8>> {
        self.read(|held| held.cross.clone())
    }

    /// Shows this beside the issuing certificate from now on.
    pub fn set_cross(&self, cross: Option<Vec<u8>>) {
        self.write(|held| held.cross = cross);
    }

    /// Files the next issuing key, which does not issue yet.
    pub fn hold_next(&self, next: IssuingCa) -> Result<(), PkiError> {
        if let Some(store) = &self.store {
            store.save_next_issuing(&next)?;
        }
        self.write(|held| {
            // One that came to nothing makes room.
            let current = held.current.clone();
            held.all.retain(|digest, _| Some(digest) == current.as_ref());
            held.all.insert(next.digest(), Arc::new(next));
        });
        Ok(())
    }

    /// Issues with this one from now on, and forgets all others. False if it is not held.
    pub fn issue_with(&self, digest: &Digest) -> Result<bool, PkiError> {
        let Some(issuing) = self.find(digest) else { return Ok(false) };
        if let Some(store) = &self.store {
            store.save_issuing(&issuing)?;
            store.remove_next_issuing()?;
        }
        self.write(|held| {
            held.all.retain(|d, _| d == digest);
            held.current = Some(digest.clone());
        });
        Ok(true)
    }

    fn read<T>(&self, look: impl FnOnce(&Held) -> T) -> T {
        // Whole after every statement, so a panic elsewhere does not spoil it.
        look(&self.held.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        change(&mut self.held.write().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
