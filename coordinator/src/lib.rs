//! The Raft shell, the leader loop and the operator API. Knows nothing about databases, balancers or processes.

pub mod alarm;
pub mod api;
pub mod assembly;
pub mod claim;
pub mod consensus;
pub mod greeting;
pub mod incumbents;
pub mod flight;
pub mod leader;
pub mod limits;
pub mod local_group;
pub mod metrics;
pub mod telemetry;
pub mod machine;
pub mod pki;
pub mod planning;
pub mod doctor;
pub mod preflight;
pub mod presence;
pub mod raft;
pub mod raft_consensus;
pub mod recording;
pub mod sight;
pub mod voters;
