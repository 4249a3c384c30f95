//! The bad night with real processes: no quorum, one data directory, a group founded anew. One demo at a time: several
//! would starve each other on two cores.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, helpers included")]

mod bed;
mod by_hand;
mod guard;
mod recover;
mod twin;
