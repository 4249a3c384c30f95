//! The audit: one entry for every command that was applied or rejected, each with a digest over itself and the entry
//! before it.
//!
//! The head of the chain is part of the replicated state; the entries are kept beside the state by every voter, bounded,
//! and travel with snapshots. An entry names who, what, when, why and what was answered, and the digest of the whole
//! command; values that steps captured, evidence and file texts are in that digest only. This module knows nothing
//! about where entries are kept.

mod chain;
mod entry;
mod file;
mod trail;
mod words;

pub use chain::{Break, Chain};
pub use entry::AuditEntry;
pub use file::{Fault, FileFault, Verified, render, verify};
pub use trail::{ENTRIES_KEPT, Trail};

use serde::{Deserialize, Serialize};

/// A point of the chain: how many entries there are up to it, and the digest of the last of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditHead {
    /// Number of entries.
    pub count: u64,
    /// Digest of the last one, 64 hexadecimal digits; empty before the first.
    pub digest: String,
}
