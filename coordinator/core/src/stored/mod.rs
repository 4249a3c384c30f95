//! Bytes that outlive a build: what is in the log, in snapshots, on the wire between agents.
//!
//! Each format is a module of its own structs that are never edited after release; a new format is a new module.
//! The bytes are pinned by tests. This module knows nothing about where the bytes are kept.

pub mod v1;

pub use v1::{
    decode_envelope, decode_reply, decode_snapshot, decode_state, encode_envelope, encode_reply, encode_snapshot,
    encode_state,
};

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// Nothing there.
    #[error("LK3201: empty, expected a version byte")]
    Empty,
    /// Written by a newer build, or not by us.
    #[error("LK3202: format version {found}, this build knows up to {known}")]
    Version {
        /// What was found.
        found: u8,
        /// Highest known.
        known: u8,
    },
    /// The bytes do not decode.
    #[error("LK3203: {what} does not decode: {detail}")]
    Malformed {
        /// What kind of bytes.
        what: &'static str,
        /// The decoder's words.
        detail: String,
    },
}
