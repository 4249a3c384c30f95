//! Ports: what an agent needs of its group, whoever implements it.

pub mod group;
pub use group::{Group, GroupError, Proposal, View};
