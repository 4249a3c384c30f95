//! Log, vote and snapshots of one node, in one redb file.
//!
//! Knows whose store it is and what is on disk. Does not know what an entry means, nor anything about peers.
//! An answer of success means that the bytes were fsynced; after one failed write nothing more is written, and
//! [`Store::fatal`] says why.

mod disk;
mod error;
mod log;
mod offline;
mod recorded;
mod snapshot;
mod tail;
mod writer;

use super::convert;
use super::fatal::Fatal;
use super::marker::Marker;
use super::stored::{Record, RecordError, SnapshotRecord};
use super::types::{OrLogId, OrVote};
use redb::{Database, StorageBackend};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tail::Tail;
use tokio::sync::{oneshot, watch};

pub use disk::FORMAT;
pub use error::StoreError;
pub use offline::{Founding, Offline, Upto};
pub use recorded::Recorded;
pub use writer::Blocking;

/// The open store. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<writer::Disk>,
    writer: writer::Writer,
    marker: Marker,
    blocking: Blocking,
    /// The number of the next snapshot; held while one is written, so that two never mix.
    snapshot_turn: tokio::sync::Mutex<u64>,
}

/// What the store holds, as of the last call; the disk may be a moment behind.
struct Shared {
    tail: Tail,
    vote: Option<OrVote>,
    committed: Option<OrLogId>,
    purged: Option<OrLogId>,
    last: Option<OrLogId>,
    /// Index of the first entry the log has, or will have.
    first: u64,
    snapshot: Option<SnapshotRecord>,
    /// Number of the next append.
    next_append: u64,
}

/// A panic elsewhere has not made this data wrong: every change to it is a single assignment or push.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Makes a new store that belongs to `marker`. Its bytes and its name are on disk when this returns.
    ///
    /// # Errors
    /// When there is a finished store already, or the file cannot be written.
    pub fn create(path: &Path, marker: &Marker, blocking: Blocking) -> Result<Self, StoreError> {
        Self::make(disk::open_file(path, true)?, marker, blocking)
    }

    /// [`Store::create`] on a disk that is not a file.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create_backend(
        backend: impl StorageBackend,
        marker: &Marker,
        blocking: Blocking,
    ) -> Result<Self, StoreError> {
        Self::make(disk::open_backend(backend)?, marker, blocking)
    }

    /// Opens the store that the identity file names.
    ///
    /// # Errors
    /// When there is none, when it is another node's or an older copy's, when a newer build wrote it, or when it is
    /// damaged. Nothing is changed then.
    pub fn open(path: &Path, expected: &Marker, blocking: Blocking) -> Result<Self, StoreError> {
        Self::check(disk::open_file(path, false)?, expected, blocking)
    }

    /// [`Store::open`] on a disk that is not a file.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_backend(
        backend: impl StorageBackend,
        expected: &Marker,
        blocking: Blocking,
    ) -> Result<Self, StoreError> {
        Self::check(disk::open_backend(backend)?, expected, blocking)
    }

    /// Hands the closed store at `path` from one making of the node's identity to another. Log and vote stay.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn remark(path: &Path, expected: &Marker, new: &Marker) -> Result<(), StoreError> {
        let database = disk::open_file(path, false)?;
        let found = disk::read_marker(&database)?.ok_or(StoreError::Unfinished)?;
        expected.check(&found).map_err(StoreError::Mismatch)?;
        disk::write_marker(&database, new)
    }

    fn make(database: Database, marker: &Marker, blocking: Blocking) -> Result<Self, StoreError> {
        if let Some(found) = disk::read_marker(&database)? {
            return Err(StoreError::AlreadyThere { found: Box::new(found) });
        }
        disk::write_marker(&database, marker)?;
        Self::start(database, marker.clone(), blocking)
    }

    fn check(database: Database, expected: &Marker, blocking: Blocking) -> Result<Self, StoreError> {
        let found = disk::read_marker(&database)?.ok_or(StoreError::Unfinished)?;
        expected.check(&found).map_err(StoreError::Mismatch)?;
        Self::start(database, found, blocking)
    }

    fn start(database: Database, marker: Marker, blocking: Blocking) -> Result<Self, StoreError> {
        let loaded = disk::load(&database)?;
        let shared = Shared {
            tail: Tail::default(),
            vote: loaded.vote.map(convert::vote_from_wire),
            committed: loaded.committed.map(convert::log_id_from_wire),
            purged: loaded.purged.map(convert::log_id_from_wire),
            last: loaded.last.map(convert::log_id_from_wire),
            first: loaded.first,
            snapshot: loaded.snapshot,
            next_append: 1,
        };
        let disk = Arc::new(writer::Disk {
            database: RwLock::new(Some(database)),
            shared: Mutex::new(shared),
            fatal: watch::Sender::new(None),
        });
        let writer = writer::Writer::start(blocking, disk.clone())
            .map_err(|error| StoreError::engine("start the writer")(redb::Error::Io(error)))?;
        let snapshot_turn = tokio::sync::Mutex::new(loaded.next_snapshot);
        Ok(Self { inner: Arc::new(Inner { disk, writer, marker, blocking, snapshot_turn }) })
    }

    /// Whose store this is.
    pub fn marker(&self) -> &Marker {
        &self.inner.marker
    }

    /// How work that blocks is done.
    pub fn blocking(&self) -> Blocking {
        self.inner.blocking
    }

    /// Says, once and for ever, why nothing can be written any more. The process must stop then.
    pub fn fatal(&self) -> watch::Receiver<Option<Fatal>> {
        self.inner.disk.fatal.subscribe()
    }

    /// Writes what waits and closes the file, whoever else still holds the store; every later call fails.
    pub async fn close(&self) {
        let (sender, receiver) = oneshot::channel();
        self.inner.writer.close(Box::new(move |_| {
            // Nobody waits any more if the caller was dropped.
            let _gone = sender.send(());
        }));
        // The sender is dropped only after the file was closed.
        let _closed = receiver.await;
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.inner.disk.shared)
    }

    /// Puts a change on disk.
    async fn write(&self, change: disk::Change) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        let done: writer::Done = Box::new(move |result| drop(sender.send(result)));
        self.inner.writer.submit(writer::Job { change, append: None, done });
        receiver.await.map_err(|_| io::Error::other("the writer ended"))?
    }
}

fn invalid(error: RecordError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn encode<T: Record>(value: T) -> io::Result<Vec<u8>> {
    value.to_record().map_err(invalid)
}

#[cfg(test)]
mod tests;
