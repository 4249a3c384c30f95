//! Whose store this is: compared before anything in it is used, because a stranger's or a clone's log must never vote.

use lockkeeper_core::ids::{ClusterId, Generation, Incarnation, NodeId};
use std::fmt;
use uuid::Uuid;

/// A random number that stands both in the store and in the node's identity file, so that a store copied or moved
/// beside another identity is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreMarker(pub Uuid);

impl StoreMarker {
    /// A fresh one.
    pub fn generate() -> Self {
        Self(Uuid::from_u128(rand::random()))
    }
}

impl fmt::Display for StoreMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the identity file says about the store, and what the store says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// Which life of the group; `recover` makes a new one.
    pub generation: Generation,
    /// The voter or learner it belongs to.
    pub node: NodeId,
    /// Which making of that node's identity.
    pub incarnation: Incarnation,
    /// Which store of that node.
    pub store: StoreMarker,
}

/// The first thing in which a store differs from what the identity file expects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkerMismatch {
    /// Another cluster's store.
    #[error("the store belongs to cluster {found}, this node to {expected}")]
    Cluster {
        /// What the identity file says.
        expected: ClusterId,
        /// What the store says.
        found: ClusterId,
    },
    /// Another node's store.
    #[error("the store belongs to node {found}, this is node {expected}")]
    Node {
        /// What the identity file says.
        expected: NodeId,
        /// What the store says.
        found: NodeId,
    },
    /// A store of another life of the group.
    #[error("the store is of generation {found}, this node of {expected}")]
    Generation {
        /// What the identity file says.
        expected: Generation,
        /// What the store says.
        found: Generation,
    },
    /// A store of another making of this node's identity.
    #[error("the store is of incarnation {found}, this node of {expected}")]
    Incarnation {
        /// What the identity file says.
        expected: Incarnation,
        /// What the store says.
        found: Incarnation,
    },
    /// Another store of the same node: copied back, or the identity file is.
    #[error("the store carries marker {found}, the identity file {expected}")]
    Store {
        /// What the identity file says.
        expected: StoreMarker,
        /// What the store says.
        found: StoreMarker,
    },
}

impl Marker {
    /// Compares what a store says about itself with `self`, what is expected.
    ///
    /// # Errors
    /// Names the first difference, the gravest first.
    pub fn check(&self, found: &Marker) -> Result<(), MarkerMismatch> {
        if self.cluster != found.cluster {
            let (expected, found) = (self.cluster.clone(), found.cluster.clone());
            return Err(MarkerMismatch::Cluster { expected, found });
        }
        if self.node != found.node {
            return Err(MarkerMismatch::Node { expected: self.node, found: found.node });
        }
        if self.generation != found.generation {
            let (expected, found) = (self.generation, found.generation);
            return Err(MarkerMismatch::Generation { expected, found });
        }
        if self.incarnation != found.incarnation {
            let (expected, found) = (self.incarnation, found.incarnation);
            return Err(MarkerMismatch::Incarnation { expected, found });
        }
        if self.store != found.store {
            return Err(MarkerMismatch::Store { expected: self.store, found: found.store });
        }
        Ok(())
    }
}
