//! The file: tables, the marker that is read before anything else, and the one place where a transaction is written.

use super::super::limits::STORE_CACHE_BYTES;
use super::super::marker::Marker;
use super::super::stored::{Record, SnapshotRecord};
use super::error::StoreError;
use lockkeeper_proto::wire::raft as wire;
use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageBackend, TableDefinition,
};
use std::fs::{File, OpenOptions};
use std::path::Path;

/// Version of the whole store. Raised when an older build could misread it; an older build then refuses to open it.
pub const FORMAT: u32 = 1;

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const STATE: TableDefinition<&str, &[u8]> = TableDefinition::new("state");
const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const PIECES: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("snapshot_pieces");

const KEY_FORMAT: &str = "format";
const KEY_MARKER: &str = "marker";
const KEY_VOTE: &str = "vote";
const KEY_COMMITTED: &str = "committed";
const KEY_PURGED: &str = "purged";
const KEY_SNAPSHOT: &str = "snapshot";

/// One change of the store; the writer puts several into one transaction, in order.
pub(super) enum Change {
    /// Encoded entries by index.
    Append(Vec<(u64, Vec<u8>)>),
    /// The encoded vote.
    Vote(Vec<u8>),
    /// The encoded id of the last entry known to be committed.
    Committed(Vec<u8>),
    /// Removes the entries after this index (all, if none).
    TruncateAfter(Option<u64>),
    /// Removes the entries up to this index; with the encoded id of the last one.
    Purge { upto: u64, id: Vec<u8> },
    /// Piece number of a snapshot that does not count yet.
    Piece { snapshot: u64, number: u32, bytes: bytes::Bytes },
    /// Makes a snapshot count and removes all older pieces.
    Snapshot { id: u64, record: Vec<u8> },
}

impl Change {
    /// About how many bytes it writes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Append(entries) => entries.iter().map(|(_, record)| record.len()).sum(),
            Self::Piece { bytes, .. } => bytes.len(),
            Self::Vote(record) | Self::Committed(record) | Self::Snapshot { record, .. } => record.len(),
            Self::TruncateAfter(_) | Self::Purge { .. } => 0,
        }
    }
}

/// What a store holds besides entries and snapshot pieces.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub vote: Option<wire::Vote>,
    pub committed: Option<wire::LogId>,
    pub purged: Option<wire::LogId>,
    pub last: Option<wire::LogId>,
    /// Index of the first entry, or after the last one purged.
    pub first: u64,
    pub snapshot: Option<SnapshotRecord>,
    /// A number no stored piece has.
    pub next_snapshot: u64,
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(STORE_CACHE_BYTES);
    builder
}

/// Opens the file, creating it if `create` says so.
pub(super) fn open_file(path: &Path, create: bool) -> Result<Database, StoreError> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound if !create => StoreError::Missing { path: path.to_owned() },
        _ => StoreError::File { path: path.to_owned(), source },
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(failed)?;
    let database = builder().create_file(file).map_err(StoreError::engine("open the store"))?;
    if create {
        // The name of a new file is on disk only when its directory is.
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    }
    Ok(database)
}

/// Opens a store that is not a file: a simulated disk.
pub(super) fn open_backend(backend: impl StorageBackend) -> Result<Database, StoreError> {
    builder().create_with_backend(backend).map_err(StoreError::engine("open the store"))
}

/// Opens a copy of the file in memory. Needs no lock, and writes nothing to the file.
pub(super) fn open_copy(path: &Path) -> Result<Database, StoreError> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => StoreError::Missing { path: path.to_owned() },
        _ => StoreError::File { path: path.to_owned(), source },
    };
    let bytes = std::fs::read(path).map_err(failed)?;
    if bytes.is_empty() {
        // The engine would make an empty store of it.
        return Err(StoreError::damaged("the file is empty"));
    }
    let memory = redb::backends::InMemoryBackend::new();
    memory.set_len(bytes.len() as u64).and_then(|()| memory.write(0, &bytes)).map_err(failed)?;
    let mut database = open_backend(memory)?;
    // A store that was closed is not compared with its checksums when it is opened; a copy need not be so fast.
    match database.check_integrity().map_err(StoreError::engine("check the copy"))? {
        true => Ok(database),
        false => Err(StoreError::damaged("its pages do not fit their checksums")),
    }
}

/// Whose store it is; none if its creation was never finished.
pub(super) fn read_marker(database: &Database) -> Result<Option<Marker>, StoreError> {
    let doing = "read the store's marker";
    let read = database.begin_read().map_err(StoreError::engine(doing))?;
    let meta = match read.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(StoreError::engine(doing)(error)),
    };
    let format = meta.get(KEY_FORMAT).map_err(StoreError::engine(doing))?;
    let format = format.ok_or_else(|| StoreError::damaged("it has no format"))?;
    let format = <[u8; 4]>::try_from(format.value()).map_err(|_| StoreError::damaged("format"))?;
    let found = u32::from_le_bytes(format);
    // Before the marker: a newer build may have changed how that is written.
    if found > FORMAT {
        return Err(StoreError::Newer { found, supported: FORMAT });
    }
    let marker = meta.get(KEY_MARKER).map_err(StoreError::engine(doing))?;
    let marker = marker.ok_or_else(|| StoreError::damaged("it has no marker"))?;
    Marker::from_record(marker.value()).map(Some).map_err(StoreError::record("marker"))
}

/// Writes format and marker, and makes the tables.
pub(super) fn write_marker(database: &Database, marker: &Marker) -> Result<(), StoreError> {
    let doing = "write the store's marker";
    let record = marker.clone().to_record().map_err(StoreError::record("marker"))?;
    let write = || -> Result<(), redb::Error> {
        let mut txn = database.begin_write()?;
        txn.set_durability(redb::Durability::Immediate)?;
        {
            let mut meta = txn.open_table(META)?;
            meta.insert(KEY_FORMAT, FORMAT.to_le_bytes().as_slice())?;
            meta.insert(KEY_MARKER, record.as_slice())?;
            txn.open_table(STATE)?;
            txn.open_table(LOG)?;
            txn.open_table(PIECES)?;
        }
        txn.commit()?;
        Ok(())
    };
    write().map_err(StoreError::engine(doing))
}

/// Reads what must be known before the first call, and checks that the log has no hole.
pub(super) fn load(database: &Database) -> Result<Loaded, StoreError> {
    let doing = "read the store";
    let read = database.begin_read().map_err(StoreError::engine(doing))?;
    let state = read.open_table(STATE).map_err(StoreError::engine(doing))?;
    let log = read.open_table(LOG).map_err(StoreError::engine(doing))?;
    let pieces = read.open_table(PIECES).map_err(StoreError::engine(doing))?;

    let purged: Option<wire::LogId> = record(&state, KEY_PURGED)?;
    let first = log.first().map_err(StoreError::engine(doing))?.map(|(key, _)| key.value());
    let last = match log.last().map_err(StoreError::engine(doing))? {
        Some((key, value)) => {
            let entry = wire::Entry::from_record(value.value()).map_err(StoreError::record("last entry"))?;
            if entry.id.index.0 != key.value() {
                return Err(StoreError::damaged(format!("entry {} stands at {}", entry.id, key.value())));
            }
            Some(entry.id)
        }
        None => purged,
    };
    if let (Some(first), Some(last)) = (first, last) {
        let count = log.len().map_err(StoreError::engine(doing))?;
        let after_purged = purged.map_or(first, |purged| purged.index.0 + 1);
        if first != after_purged || last.index.0 - first + 1 != count {
            let what = format!("the log has a hole: {count} entries from {first} to {}", last.index);
            return Err(StoreError::damaged(what));
        }
    }
    let next_snapshot =
        pieces.last().map_err(StoreError::engine(doing))?.map_or(1, |(key, _)| key.value().0 + 1);
    let snapshot: Option<SnapshotRecord> = record(&state, KEY_SNAPSHOT)?;
    let next_snapshot = snapshot.as_ref().map_or(next_snapshot, |found| next_snapshot.max(found.id + 1));
    Ok(Loaded {
        vote: record(&state, KEY_VOTE)?,
        committed: record(&state, KEY_COMMITTED)?,
        purged,
        last,
        first: first.unwrap_or(purged.map_or(0, |purged| purged.index.0 + 1)),
        snapshot,
        next_snapshot,
    })
}

fn record<T: Record>(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &'static str,
) -> Result<Option<T>, StoreError> {
    let value = table.get(key).map_err(StoreError::engine("read the store"))?;
    value.map(|value| T::from_record(value.value()).map_err(StoreError::record(key))).transpose()
}

/// Writes all changes in one transaction and returns when they are on disk.
pub(super) fn commit<'a>(
    database: &Database,
    changes: impl IntoIterator<Item = &'a Change>,
) -> Result<(), redb::Error> {
    let mut txn = database.begin_write()?;
    txn.set_durability(redb::Durability::Immediate)?;
    {
        let mut state = txn.open_table(STATE)?;
        let mut log = txn.open_table(LOG)?;
        let mut pieces = txn.open_table(PIECES)?;
        for change in changes {
            match change {
                Change::Append(entries) => {
                    for (index, record) in entries {
                        log.insert(index, record.as_slice())?;
                    }
                }
                Change::Vote(record) => drop(state.insert(KEY_VOTE, record.as_slice())?),
                Change::Committed(record) => drop(state.insert(KEY_COMMITTED, record.as_slice())?),
                Change::TruncateAfter(Some(last)) => log.retain_in(last + 1.., |_, _| false)?,
                Change::TruncateAfter(None) => log.retain(|_, _| false)?,
                Change::Purge { upto, id } => {
                    log.retain_in(..=*upto, |_, _| false)?;
                    state.insert(KEY_PURGED, id.as_slice())?;
                }
                Change::Piece { snapshot, number, bytes } => {
                    pieces.insert((*snapshot, *number), bytes.as_ref())?;
                }
                Change::Snapshot { id, record } => {
                    pieces.retain_in(..(*id, 0), |_, _| false)?;
                    state.insert(KEY_SNAPSHOT, record.as_slice())?;
                }
            }
        }
    }
    txn.commit()?;
    Ok(())
}

/// The encoded entries from `start` to before `end`, as far as they are there, until `bytes_max` is reached.
pub(super) fn entries(
    database: &Database,
    start: u64,
    end: u64,
    bytes_max: usize,
) -> Result<Vec<Vec<u8>>, redb::Error> {
    let read = database.begin_read()?;
    let log = read.open_table(LOG)?;
    let (mut found, mut bytes) = (Vec::new(), 0usize);
    for row in log.range(start..end)? {
        let (_, record) = row?;
        let record = record.value().to_vec();
        bytes += record.len();
        if !found.is_empty() && bytes > bytes_max {
            break;
        }
        found.push(record);
    }
    Ok(found)
}

/// The pieces of a snapshot, put together.
pub(super) fn pieces(database: &Database, id: u64) -> Result<Vec<u8>, redb::Error> {
    let read = database.begin_read()?;
    let pieces = read.open_table(PIECES)?;
    let mut whole = Vec::new();
    for row in pieces.range((id, 0)..=(id, u32::MAX))? {
        let (_, piece) = row?;
        whole.extend_from_slice(piece.value());
    }
    Ok(whole)
}
