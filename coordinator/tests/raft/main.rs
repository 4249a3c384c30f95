//! Groups of real nodes. One program, because each compiles the whole of Raft again: `dead_peer`, which measures its
//! process, is another.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod bed;
mod faults;
mod group;
mod identity;
mod recover;
mod runtime;
