//! Pure decisions of Lockkeeper: model, profiles, planner, linter and the replicated rollout machine.
//!
//! This crate knows nothing about async, I/O, clocks, randomness, logging, Raft or gRPC: the same input gives the
//! same output on every build. Whoever needs the time passes it in.

pub mod audit;
pub mod cluster;
pub mod document;
pub mod fault;
pub mod guard;
pub mod identity;
pub mod ids;
pub mod lint;
pub mod observe;
pub mod plan;
pub mod plant;
pub mod profile;
pub mod record;
pub mod rollout;
pub mod stored;
pub mod time;
pub mod trace;
pub mod version;
pub mod view;
