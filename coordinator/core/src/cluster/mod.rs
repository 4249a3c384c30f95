//! The cluster file: what members, balancers and databases there are, and the policies.
//!
//! Knows nothing about rollouts; of plans it asks only whether every text could be filled in.

mod read;
pub mod spec;
mod voters;

pub use read::read_cluster;
pub use spec::*;
pub use voters::VOTERS_MAX;
