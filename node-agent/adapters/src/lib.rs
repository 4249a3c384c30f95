//! Everything that touches the outside world: processes, balancers, databases, files and probes.
//!
//! Knows nothing about Raft, and decides nothing: it looks, acts once and tells what it saw. The way in is
//! [`system::SystemHost`], the shipped implementation of the agent's `Host` port.

pub mod backup;
pub mod balancer;
pub mod by_hand;
pub mod clock;
pub mod code;
pub mod database;
pub mod door;
pub mod exec;
pub mod files;
pub mod isolation;
pub mod probe;
pub mod secret;
pub mod service;
pub mod system;
pub mod template;

pub use code::HostCode;
pub use exec::step_runner_main;
pub use system::{Settings, SystemHost};
