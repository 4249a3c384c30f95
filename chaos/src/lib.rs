//! Deterministic simulation: the shipped wiring over fake hosts, one invariant a file. Never names the adapters.

pub mod bed;
pub mod cluster;
pub mod echo;
pub mod found;
pub mod host;
pub mod knobs;
pub mod people;
pub mod process;
pub mod sim;
pub mod watch;
pub mod world;
