//! A store with nobody running on it: read for break-glass, and founded anew for `recover`.

use super::super::machine::{Machine, MachineError};
use super::super::marker::Marker;
use super::super::stored::{Record, SnapshotRecord};
use super::disk::{self, Change};
use super::{Store, StoreError};
use crate::raft::limits::{COPY_ATTEMPTS, SNAPSHOT_PIECE_BYTES};
use bytes::Bytes;
use lockkeeper_core::ids::LogIndex;
use lockkeeper_proto::wire::raft::{Entry, LogId, Membership, Payload, Seat, SnapshotMeta, Term, Vote};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Everything one node's store holds, read without Raft, network or quorum.
#[derive(Debug, Clone)]
pub struct Offline {
    /// Whose store it is.
    pub marker: Marker,
    /// The highest term the node has voted in.
    pub term: Term,
    /// The last entry the node knew to be committed; the group may have committed more.
    pub committed: Option<LogId>,
    /// The last entry it holds. Of several survivors, the one where this is greatest has the longest log.
    pub last_log: Option<LogId>,
    /// The newest membership it holds, committed or not.
    pub membership: Membership,
    pub(super) snapshot: Option<(SnapshotMeta, Bytes)>,
    pub(super) entries: Vec<Entry>,
}

/// How far a log is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upto {
    /// What the node knew to be committed: true for certain, perhaps a little old.
    Committed,
    /// Everything it holds: contains all that was ever committed if this is the longest log of a majority, and
    /// perhaps more.
    Last,
}

/// What a new generation of a group begins with.
#[derive(Debug, Clone)]
pub struct Founding {
    /// The last entry of the old log; the new log goes on after it, so that fencing tokens only rise.
    pub after: LogId,
    /// The highest term any survivor has voted in.
    pub term: Term,
    /// Where the founder sits; it is the only voter at first.
    pub seat: Seat,
    /// The state machine's state after the last entry.
    pub state: Vec<u8>,
}

impl Offline {
    /// Reads the store of a node that is not running.
    ///
    /// # Errors
    /// As [`Store::open`], but whosever store it is.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        Self::of(&disk::open_file(path, false)?)
    }

    /// Reads a copy of the store in memory: whether its node runs or not, and without changing a byte of the file.
    ///
    /// A copy of a file that is being written may be torn. That cannot pass for a store: every page of it is under a
    /// checksum of the page above, all of which are compared when a store that was not closed is opened. A torn copy
    /// is taken anew, [`COPY_ATTEMPTS`] times.
    ///
    /// # Errors
    /// As [`Store::open`], except that it is never in use.
    pub fn read_copy(path: &Path) -> Result<Self, StoreError> {
        let mut attempt = 1;
        loop {
            match disk::open_copy(path).and_then(|database| Self::of(&database)) {
                Err(StoreError::Damaged { .. } | StoreError::Engine { .. }) if attempt < COPY_ATTEMPTS => attempt += 1,
                read => return read,
            }
        }
    }

    fn of(database: &redb::Database) -> Result<Self, StoreError> {
        let marker = disk::read_marker(database)?.ok_or(StoreError::Unfinished)?;
        let loaded = disk::load(database)?;
        let snapshot = match loaded.snapshot {
            Some(record) => {
                let state =
                    disk::pieces(database, record.id).map_err(StoreError::engine("read the snapshot"))?;
                if *blake3::hash(&state).as_bytes() != record.digest {
                    return Err(StoreError::damaged(format!("snapshot {}", record.id)));
                }
                Some((record.meta, Bytes::from(state)))
            }
            None => None,
        };
        let end = loaded.last.map_or(0, |last| last.index.0 + 1);
        let records = disk::entries(database, loaded.first, end, usize::MAX)
            .map_err(StoreError::engine("read the log"))?;
        let entries = records
            .iter()
            .map(|record| Entry::from_record(record).map_err(StoreError::record("entry")))
            .collect::<Result<Vec<_>, _>>()?;
        let newest = entries.iter().rev().find_map(|entry| match &entry.payload {
            Payload::Membership(membership) => Some(membership.clone()),
            Payload::Blank | Payload::Command(_) => None,
        });
        let membership =
            newest.or_else(|| snapshot.as_ref().map(|(meta, _)| meta.membership.clone())).unwrap_or_default();
        Ok(Self {
            marker,
            term: loaded.vote.map_or(Term(0), |vote| vote.term),
            committed: loaded.committed,
            last_log: loaded.last,
            membership,
            snapshot,
            entries,
        })
    }

    /// The last entry up to which is read.
    pub(super) fn end(&self, upto: Upto) -> Option<LogIndex> {
        match upto {
            Upto::Committed => self.committed.map(|committed| committed.index),
            Upto::Last => self.last_log.map(|last| last.index),
        }
    }

    /// Feeds an empty state machine with the snapshot and the entries after it. Returns the last index it has then.
    ///
    /// # Errors
    /// When this build cannot read the snapshot.
    pub fn replay(&self, machine: &mut dyn Machine, upto: Upto) -> Result<Option<LogIndex>, MachineError> {
        let mut done = None;
        if let Some((meta, state)) = &self.snapshot {
            machine.restore(state)?;
            done = meta.last_log.map(|last| last.index);
            if let Some(index) = done {
                machine.applied(index);
            }
        }
        let end = self.end(upto);
        for entry in &self.entries {
            let index = entry.id.index;
            if Some(index) <= done {
                continue;
            }
            if Some(index) > end {
                break;
            }
            if let Payload::Command(command) = &entry.payload {
                machine.apply(index, command);
            }
            machine.applied(index);
            done = Some(index);
        }
        Ok(done)
    }
}

impl Store {
    /// Makes the store of the first node of a new generation. Like [`Store::create`], but the log goes on where the
    /// old one ended, and the group consists of this node alone; the others are admitted with fresh stores.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn found(path: &Path, marker: &Marker, founding: Founding) -> Result<(), StoreError> {
        const ID: u64 = 1;
        let database = disk::open_file(path, true)?;
        if let Some(found) = disk::read_marker(&database)? {
            return Err(StoreError::AlreadyThere { found: Box::new(found) });
        }
        let state = Bytes::from(founding.state);
        let record = SnapshotRecord {
            id: ID,
            meta: SnapshotMeta {
                last_log: Some(founding.after),
                membership_log: Some(founding.after),
                membership: Membership {
                    configs: vec![BTreeSet::from([marker.node])],
                    nodes: BTreeMap::from([(marker.node, founding.seat)]),
                },
            },
            size: state.len() as u64,
            digest: *blake3::hash(&state).as_bytes(),
        };
        let vote = Vote { term: founding.term.max(founding.after.term), node: marker.node, committed: false };
        let sealed = |what| StoreError::record(what);
        let after = founding.after.to_record().map_err(sealed("last entry"))?;
        let mut changes = vec![
            Change::Vote(vote.to_record().map_err(sealed("vote"))?),
            Change::Committed(after.clone()),
            Change::Purge { upto: founding.after.index.0, id: after },
        ];
        for (number, piece) in (0..).zip(state.chunks(SNAPSHOT_PIECE_BYTES)) {
            changes.push(Change::Piece { snapshot: ID, number, bytes: state.slice_ref(piece) });
        }
        changes.push(Change::Snapshot { id: ID, record: record.to_record().map_err(sealed("snapshot"))? });
        disk::commit(&database, &changes).map_err(StoreError::engine("found the store"))?;
        // Last: a store without owner can be founded again.
        disk::write_marker(&database, marker)
    }
}
