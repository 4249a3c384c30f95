//! The cluster file: what members, balancers and databases there are, and the policies.
//!
//! Knows nothing about plans or rollouts.

pub mod spec;
pub use spec::*;
