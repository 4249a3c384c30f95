//! What the members of one Raft group say to each other, as plain structs.
//!
//! Knows field names and limits. Knows nothing about openraft, whose types are made from these in the coordinator,
//! nor about what a command means.

mod append;
mod election;
mod error;
mod header;
mod log;
mod membership;
mod snapshot;

pub use append::{AppendFrame, AppendRequest, AppendResponse};
pub use election::{TransferRequest, TransferResponse, Vote, VoteRequest, VoteResponse};
pub use error::{Problem, WireError};
pub use header::{Header, Party};
pub use log::{Entry, LogId, Payload, Term};
pub use membership::{Membership, Seat};
pub use snapshot::{SnapshotFrame, SnapshotHead, SnapshotMeta};

#[cfg(test)]
mod tests;
