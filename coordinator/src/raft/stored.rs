//! What stands in the store, byte for byte: one frozen module per format version, and the frame around every record.
//!
//! A record is `[version: u8][crc32 of the body: u32, little endian][body: postcard]`. The checksum is ours because
//! redb verifies its own only after a crash; a record that does not match is corruption and stops the node.

pub(super) mod v1;

use lockkeeper_proto::wire::raft as wire;
use serde::{Deserialize, Serialize};

/// Version of the records this build writes. It reads this one and every older one.
pub(super) const RECORD_VERSION: u8 = 1;

const HEADER_LEN: usize = 5;

/// Why a record cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Shorter than its own header.
    #[error("record of {0} bytes is cut off")]
    Short(usize),
    /// Written by a newer build.
    #[error("record has version {found}, this build reads up to {RECORD_VERSION}")]
    Version {
        /// The record's version.
        found: u8,
    },
    /// The bytes are not what was written.
    #[error("checksum {found:08x} does not match {expected:08x}: the record is damaged")]
    Checksum {
        /// As written.
        expected: u32,
        /// As read.
        found: u32,
    },
    /// The checksum matches and the content does not.
    #[error("record cannot be decoded: {0}")]
    Decode(String),
}

fn seal<T: Serialize>(body: &T) -> Result<Vec<u8>, RecordError> {
    let record = vec![RECORD_VERSION, 0, 0, 0, 0];
    let mut record =
        postcard::to_extend(body, record).map_err(|error| RecordError::Decode(error.to_string()))?;
    let checksum = crc32fast::hash(&record[HEADER_LEN..]);
    record[1..HEADER_LEN].copy_from_slice(&checksum.to_le_bytes());
    Ok(record)
}

fn open<'r, T: Deserialize<'r>>(record: &'r [u8]) -> Result<T, RecordError> {
    let Some((&[version, a, b, c, d], body)) = record.split_first_chunk::<HEADER_LEN>() else {
        return Err(RecordError::Short(record.len()));
    };
    if version != RECORD_VERSION {
        return Err(RecordError::Version { found: version });
    }
    let (expected, found) = (u32::from_le_bytes([a, b, c, d]), crc32fast::hash(body));
    if expected != found {
        return Err(RecordError::Checksum { expected, found });
    }
    postcard::from_bytes(body).map_err(|error| RecordError::Decode(error.to_string()))
}

/// A kind of record: how the plain struct and its frozen form turn into each other.
pub(super) trait Record: Sized {
    /// The newest frozen form.
    type Frozen: Serialize + for<'r> Deserialize<'r> + From<Self>;
    /// Back from the frozen form.
    fn thaw(frozen: Self::Frozen) -> Result<Self, RecordError>;

    /// The bytes that go to disk.
    fn to_record(self) -> Result<Vec<u8>, RecordError> {
        seal(&Self::Frozen::from(self))
    }

    /// Back from disk.
    fn from_record(record: &[u8]) -> Result<Self, RecordError> {
        Self::thaw(open(record)?)
    }
}

/// A snapshot as the store knows it: what it stands for, and how to put its pieces together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SnapshotRecord {
    /// Key of its pieces.
    pub id: u64,
    /// What it stands for.
    pub meta: wire::SnapshotMeta,
    /// Length of the state in bytes.
    pub size: u64,
    /// BLAKE3 of the state.
    pub digest: [u8; 32],
}

#[cfg(test)]
mod tests;
