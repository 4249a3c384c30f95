//! The newest snapshot: written in pieces beside the old one, then made to count in one transaction.

use super::super::limits::SNAPSHOT_PIECE_BYTES;
use super::super::stored::SnapshotRecord;
use super::disk::{self, Change};
use super::{Store, encode};
use bytes::Bytes;
use lockkeeper_proto::wire::raft::SnapshotMeta;
use std::io;

impl Store {
    /// Makes `state` the newest snapshot. Does nothing if there is one that is as new.
    pub(in super::super) async fn put_snapshot(&self, meta: SnapshotMeta, state: Bytes) -> io::Result<()> {
        let mut turn = self.inner.snapshot_turn.lock().await;
        let newest = self.shared().snapshot.as_ref().map(|found| found.meta.last_log);
        // Also on the way up: openraft hands back at start what it was given by `get_snapshot`.
        if newest.is_some_and(|newest| newest >= meta.last_log) {
            return Ok(());
        }
        let id = *turn;
        *turn += 1;
        let mut rest = state.clone();
        for number in 0.. {
            if rest.is_empty() {
                break;
            }
            let bytes = rest.split_to(rest.len().min(SNAPSHOT_PIECE_BYTES));
            // One commit each, so that appends in between wait for one piece and not for the whole.
            self.write(Change::Piece { snapshot: id, number, bytes }).await?;
        }
        let digest = *blake3::hash(&state).as_bytes();
        let record = SnapshotRecord { id, meta, size: state.len() as u64, digest };
        self.write(Change::Snapshot { id, record: encode(record.clone())? }).await?;
        self.shared().snapshot = Some(record);
        Ok(())
    }

    /// The newest snapshot, read from disk and compared with its digest.
    pub(in super::super) fn get_snapshot(&self) -> io::Result<Option<(SnapshotMeta, Bytes)>> {
        let Some(record) = self.shared().snapshot.clone() else {
            return Ok(None);
        };
        let state = self.inner.disk.with(|database| disk::pieces(database, record.id))?;
        if state.len() as u64 != record.size || *blake3::hash(&state).as_bytes() != record.digest {
            let what = format!("snapshot {} on disk is not what was written", record.id);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(Some((record.meta, Bytes::from(state))))
    }
}
