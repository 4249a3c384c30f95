//! Ports: what an agent needs of its group, whoever implements it.

pub mod clock;
pub mod group;
pub mod instance;
pub mod observer;
pub use clock::Clock;
pub use group::{Group, GroupError, Proposal, View};
pub use instance::Instance;
pub use observer::Observer;
