//! The store as openraft's log storage.

use super::super::convert;
use super::super::limits::APPEND_BYTES_MAX;
use super::super::stored::Record;
use super::super::types::{OrEntry, OrLogId, OrVote, Types};
use super::disk::{self, Change};
use super::{Store, encode, invalid, writer};
use lockkeeper_proto::wire::raft as wire;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{AsyncRuntime, OptionalSend, RaftLogReader};
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};

impl Store {
    /// Entries from `start` to before `end`, as far as the log has them, until they have `bytes_max` bytes; at least
    /// one.
    pub(super) fn read_log(&self, start: u64, end: u64, bytes_max: usize) -> io::Result<Vec<OrEntry>> {
        let (start, end, tail_first) = {
            let shared = self.shared();
            let first = shared.first;
            // Entries that were cut off are on the disk a moment longer; `last` is already right.
            let after_last = shared.last.map_or(0, |last| last.index + 1).max(first);
            let tail_first = shared.tail.first().unwrap_or(after_last);
            (start.max(first), end.min(after_last), tail_first)
        };
        if start >= end {
            return Ok(Vec::new());
        }
        let (mut found, mut bytes) = (Vec::new(), 0usize);
        let disk_end = end.min(tail_first);
        if start < disk_end {
            let records =
                self.inner.disk.with(|database| disk::entries(database, start, disk_end, bytes_max))?;
            for (index, record) in (start..).zip(records) {
                bytes += record.len();
                let entry = wire::Entry::from_record(&record).map_err(invalid)?;
                if entry.id.index.0 != index {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the log has a hole: expected entry {index}, found {}", entry.id),
                    ));
                }
                let entry = convert::entry_from_wire(entry);
                found.push(entry.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?);
            }
            if found.is_empty() {
                let what = format!("the log has a hole at {start}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
        let next = start + found.len() as u64;
        // Goes on in memory only where the disk ended, so that the answer has no hole.
        if next >= tail_first {
            let shared = self.shared();
            for (entry, size) in shared.tail.from(next) {
                bytes += size;
                let full = !found.is_empty() && bytes > bytes_max;
                if entry.log_id.index != start + found.len() as u64 || entry.log_id.index >= end || full {
                    break;
                }
                found.push(entry.clone());
            }
        }
        Ok(found)
    }
}

impl<Rt: AsyncRuntime> RaftLogReader<Types<Rt>> for Store {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<OrEntry>> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.read_log(start, end, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<OrEntry>> {
        self.read_log(start, end, APPEND_BYTES_MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<OrVote>> {
        Ok(self.shared().vote)
    }
}

impl<Rt: AsyncRuntime> RaftLogStorage<Types<Rt>> for Store {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types<Rt>>> {
        let shared = self.shared();
        Ok(LogState { last_purged_log_id: shared.purged, last_log_id: shared.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &OrVote) -> io::Result<()> {
        self.write(Change::Vote(encode(convert::vote_to_wire(*vote))?)).await?;
        self.shared().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<OrLogId>) -> io::Result<()> {
        if let Some(committed) = committed {
            self.shared().committed = Some(committed);
            self.inner.writer.committed(encode(convert::log_id_to_wire(committed))?);
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<OrLogId>> {
        Ok(self.shared().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types<Rt>>) -> io::Result<()>
    where
        I: IntoIterator<Item = OrEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        let append = {
            let mut shared = self.shared();
            let append = shared.next_append;
            shared.next_append += 1;
            for entry in entries {
                let record = encode(convert::entry_to_wire(entry.clone()))?;
                if shared.last == shared.purged {
                    shared.first = entry.log_id.index;
                }
                shared.last = Some(entry.log_id);
                let index = entry.log_id.index;
                shared.tail.push(entry, record.len(), append);
                records.push((index, record));
            }
            append
        };
        // Outside the lock: the writer takes it when it is done, and waits when its queue is full.
        let done: writer::Done = Box::new(move |result| callback.io_completed(result));
        let change = Change::Append(records);
        self.inner.writer.submit(writer::Job { change, append: Some(append), done });
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<OrLogId>) -> io::Result<()> {
        {
            let mut shared = self.shared();
            shared.tail.truncate_after(last.map(|last| last.index));
            shared.last = shared.last.min(last).max(shared.purged);
        }
        self.write(Change::TruncateAfter(last.map(|last| last.index))).await
    }

    async fn purge(&mut self, upto: OrLogId) -> io::Result<()> {
        {
            let mut shared = self.shared();
            shared.tail.purge(upto.index);
            shared.purged = shared.purged.max(Some(upto));
            shared.first = shared.first.max(upto.index + 1);
            shared.last = shared.last.max(Some(upto));
        }
        let id = encode(convert::log_id_to_wire(upto))?;
        self.write(Change::Purge { upto: upto.index, id }).await
    }
}
