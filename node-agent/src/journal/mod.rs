//! The agent's memory: one append-only file of checksummed records, each durable before its effect.
//!
//! Knows how to write, read, check and shorten the file. Does not know when to write what: that order is in
//! [`crate::task`].

pub mod convert;
pub mod disk;
pub mod error;
pub mod frame;
pub mod ledger;
pub mod memory;
pub mod record;
pub mod v1;

pub use disk::{Disk, FsDisk};
pub use error::JournalError;
pub use ledger::{Disorder, Entry, Ledger};
pub use memory::MemoryDisk;
pub use record::{Ending, Key, Record};

use frame::Damage;
use std::io;

/// The file's name inside the journal's directory.
pub const FILE: &str = "attempts";

/// Bytes after which the file is rewritten with what still matters. An attempt takes about 700 bytes, a rollout of
/// 50 members on one agent about 60 KiB: rewriting happens every few rollouts and takes milliseconds.
pub const COMPACT_AT: u64 = 256 * 1024;

/// The longest file. What still matters is bounded by targets times steps of one grant; 16 MiB is a hundred times
/// more than the largest cluster makes, and can still be read at once.
pub const LENGTH_MAX: u64 = 16 * 1024 * 1024;

/// The open journal. It is the file's only writer; the lock on the data directory sees to that.
pub struct Journal {
    disk: Box<dyn Disk>,
    ledger: Ledger,
    next: u64,
    length: u64,
    compact_at: u64,
    /// A write failed. After that the kernel may answer "synced" for pages it has dropped, so only reading the file
    /// anew, in another life of the agent, tells what is there.
    closed: bool,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("next", &self.next)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal, or makes it. A torn end is cut off, which leaves a [`Record::TornTail`]; anything else that
    /// is wrong is an error and changes nothing on the disk. `now_ms` is the wall clock, for people.
    pub fn open(mut disk: Box<dyn Disk>, now_ms: u64) -> Result<Self, JournalError> {
        let limit = LENGTH_MAX;
        let bytes = match disk.read(limit) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Err(JournalError::Full { found: limit.saturating_add(1), limit });
            }
            Err(error) => return Err(JournalError::Read(error)),
        };
        let Some(bytes) = bytes else {
            let mut journal = Self::on(disk, Ledger::default(), 1, 0);
            journal.rewrite(vec![Record::Origin { made_ms: now_ms }])?;
            return Ok(journal);
        };
        let reading = frame::read(&bytes).map_err(|damage| match damage {
            Damage::Version { .. } => JournalError::Newer(damage),
            Damage::Bytes { .. } | Damage::Sequence { .. } => JournalError::Damaged(damage),
        })?;
        let mut ledger = Ledger::default();
        let mut next = 1;
        for (n, frame) in reading.frames.iter().enumerate() {
            let sequence = frame.sequence;
            let record = convert::from_bytes(frame.payload)
                .map_err(|source| JournalError::Unreadable { sequence, source })?;
            if (n == 0) != matches!(record, Record::Origin { .. }) {
                return Err(JournalError::NoOrigin);
            }
            ledger.apply(&record).map_err(|source| JournalError::Disorder { sequence, source })?;
            next = sequence.saturating_add(1);
        }
        if reading.frames.is_empty() {
            return Err(JournalError::NoOrigin);
        }
        let (whole, torn) = bytes.split_at(reading.whole);
        let mut journal = Self::on(disk, ledger, next, length(whole));
        if !torn.is_empty() {
            journal.cut(whole, length(torn))?;
        }
        Ok(journal)
    }

    /// Everything remembered.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Writes one record and makes it durable. When this returns `Ok`, the record survives a crash; after a failed
    /// write the journal is closed.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        if self.closed {
            return Err(JournalError::Closed);
        }
        let sequence = self.next;
        let disorder = |source| JournalError::Disorder { sequence, source };
        self.ledger.judge(record).map_err(disorder)?;
        let bytes = frame::encode(sequence, &convert::to_bytes(record)?);
        let length = self.length.saturating_add(length(&bytes));
        if length > LENGTH_MAX {
            return Err(JournalError::Full { found: length, limit: LENGTH_MAX });
        }
        let written = self.disk.append(&bytes).and_then(|()| self.disk.sync());
        if let Err(error) = written {
            self.closed = true;
            return Err(JournalError::Write(error));
        }
        (self.next, self.length) = (sequence.saturating_add(1), length);
        self.ledger.apply(record).map_err(disorder)?;
        if self.length >= self.compact_at { self.compact() } else { Ok(()) }
    }

    /// Rewrites the file with what still matters.
    pub fn compact(&mut self) -> Result<(), JournalError> {
        let mut records = vec![Record::Origin { made_ms: 0 }];
        records.extend(self.ledger.essence());
        self.rewrite(records)
    }

    fn on(disk: Box<dyn Disk>, ledger: Ledger, next: u64, length: u64) -> Self {
        Self { disk, ledger, next, length, compact_at: COMPACT_AT, closed: false }
    }

    fn rewrite(&mut self, records: Vec<Record>) -> Result<(), JournalError> {
        let mut ledger = Ledger::default();
        let mut bytes = Vec::new();
        let mut next = self.next;
        for record in &records {
            ledger.apply(record).map_err(|source| JournalError::Disorder { sequence: next, source })?;
            bytes.extend(frame::encode(next, &convert::to_bytes(record)?));
            next = next.saturating_add(1);
        }
        self.replace(&bytes)?;
        (self.ledger, self.next) = (ledger, next);
        // When much of it still matters, wait until the file has doubled instead of rewriting at every record.
        self.compact_at = COMPACT_AT.max(self.length.saturating_mul(2));
        Ok(())
    }

    fn cut(&mut self, whole: &[u8], torn: u64) -> Result<(), JournalError> {
        let record = Record::TornTail { bytes: torn };
        tracing::warn!(code = "LK6009", bytes = torn, "the journal ended inside a record, which was cut off");
        let bytes = [whole, &frame::encode(self.next, &convert::to_bytes(&record)?)].concat();
        self.replace(&bytes)?;
        self.next = self.next.saturating_add(1);
        self.ledger.apply(&record).map_err(|source| JournalError::Disorder { sequence: self.next, source })
    }

    fn replace(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        match self.disk.replace(bytes) {
            Ok(()) => {
                self.length = length(bytes);
                Ok(())
            }
            Err(error) => {
                self.closed = true;
                Err(JournalError::Write(error))
            }
        }
    }
}

fn length(bytes: &[u8]) -> u64 {
    // A length in memory always fits.
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
