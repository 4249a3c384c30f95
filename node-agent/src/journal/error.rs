//! Why the journal cannot be opened or written. Each has a code with a page in `deploy/errors/`.

use super::{
    convert::{TooLong, Unreadable},
    frame::Damage,
    ledger::Disorder,
};
use std::io;

/// A journal that cannot be trusted or used. Every one of these stops the agent: it may not act without its memory.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system answered with an error.
    #[error("LK6001: the journal could not be read")]
    Read(#[source] io::Error),
    /// Bytes differ from what was written, or are missing in the middle.
    #[error("LK6002: the journal is damaged; nothing was changed")]
    Damaged(#[source] Damage),
    /// Written by a newer build.
    #[error("LK6003: the journal was written by a newer build")]
    Newer(#[source] Damage),
    /// A record with a right checksum that this build cannot read.
    #[error("LK6003: record {sequence} of the journal is unknown to this build")]
    Unreadable {
        /// Its number.
        sequence: u64,
        /// Why.
        source: Unreadable,
    },
    /// A record that contradicts the ones before it.
    #[error("LK6004: record {sequence} contradicts the journal")]
    Disorder {
        /// Its number.
        sequence: u64,
        /// How.
        source: Disorder,
    },
    /// The file does not begin as this program makes it.
    #[error("LK6005: the journal has lost its beginning")]
    NoOrigin,
    /// The file has grown beyond its bound although it was compacted.
    #[error("LK6006: the journal has {found} bytes and may have at most {limit}")]
    Full {
        /// Its length.
        found: u64,
        /// The bound.
        limit: u64,
    },
    /// A write or sync failed; what is on the disk is unknown until the file is read again.
    #[error("LK6007: the journal could not be written")]
    Write(#[source] io::Error),
    /// An earlier write failed.
    #[error("LK6007: the journal is closed after an earlier write failed")]
    Closed,
    /// A record does not fit.
    #[error("LK6008: a record is too long for the journal")]
    TooLong(#[from] TooLong),
}

impl JournalError {
    /// The code, which is the name of its page.
    pub const fn code(&self) -> &'static str {
        match self {
            JournalError::Read(_) => "LK6001",
            JournalError::Damaged(_) => "LK6002",
            JournalError::Newer(_) | JournalError::Unreadable { .. } => "LK6003",
            JournalError::Disorder { .. } => "LK6004",
            JournalError::NoOrigin => "LK6005",
            JournalError::Full { .. } => "LK6006",
            JournalError::Write(_) | JournalError::Closed => "LK6007",
            JournalError::TooLong(_) => "LK6008",
        }
    }
}
