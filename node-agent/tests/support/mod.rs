//! A world to crash in: a host that counts double effects, a group of one real state machine, a clock in virtual
//! time, and a disk that loses what was not synced. All of it can be copied at the moment of a crash.

pub mod crash;
pub mod group;
pub mod host;
pub mod life;
pub mod plan;
