//! Deterministic simulation: the shipped wiring over fake hosts, one invariant a file. Never names the adapters.
//!
//! [`run`] plays one seed in this process, [`sweep`] plays many in processes of their own. What is simulated is put
//! together by `Coordinator::start` and `Node::start`; see `docs/simulation.md`.

pub mod bed;
pub mod cluster;
pub mod echo;
pub mod fault;
pub mod found;
pub mod host;
pub mod invariant;
pub mod kills;
pub mod knobs;
pub mod light;
pub mod liveness;
pub mod model;
pub mod net;
pub mod paths;
pub mod people;
pub mod plant;
pub mod plot;
mod pool;
pub mod process;
pub mod report;
pub mod run;
pub mod sim;
pub mod sweep;
pub mod tier;
pub mod trace;
pub mod watch;
pub mod world;
