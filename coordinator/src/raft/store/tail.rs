//! The newest entries, decoded, in memory: those not yet on disk, and as many before them as [`TAIL_BYTES_MAX`] holds.

use super::super::limits::TAIL_BYTES_MAX;
use super::super::types::OrEntry;
use std::collections::VecDeque;

/// One entry with the number of the append that puts it on disk.
struct Held {
    entry: OrEntry,
    bytes: usize,
    append: u64,
}

/// A contiguous end of the log. Everything before it is on disk.
#[derive(Default)]
pub(super) struct Tail {
    held: VecDeque<Held>,
    bytes: usize,
    /// The newest append that is on disk. Entries are compared by append and not by index, because an index can be written
    /// twice: cut off as a minority's entry and filled again.
    done: u64,
}

impl Tail {
    /// Adds the next entry. `append` is not less than that of the entry before.
    pub fn push(&mut self, entry: OrEntry, bytes: usize, append: u64) {
        self.held.push_back(Held { entry, bytes, append });
        self.bytes += bytes;
    }

    /// The index of the first entry held, if any.
    pub fn first(&self) -> Option<u64> {
        self.held.front().map(|held| held.entry.log_id.index)
    }

    /// The entries from `start` on, with their sizes.
    pub fn from(&self, start: u64) -> impl Iterator<Item = (&OrEntry, usize)> {
        let skip = self.first().map_or(0, |first| start.saturating_sub(first));
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.held.iter().skip(skip).map(|held| (&held.entry, held.bytes))
    }

    /// Everything up to `append` is on disk. The newest entry stays even if it alone is too large: it is about to be
    /// sent to every follower and applied, and would be read again each time.
    pub fn settle(&mut self, append: u64) {
        self.done = self.done.max(append);
        while self.bytes > TAIL_BYTES_MAX
            && self.held.len() > 1
            && self.held.front().is_some_and(|held| held.append <= self.done)
        {
            self.pop_front();
        }
    }

    /// Forgets the entries after `last` (all, if none).
    pub fn truncate_after(&mut self, last: Option<u64>) {
        while self.held.back().is_some_and(|held| last.is_none_or(|last| held.entry.log_id.index > last)) {
            if let Some(held) = self.held.pop_back() {
                self.bytes -= held.bytes;
            }
        }
    }

    /// Forgets the entries up to and with `upto`.
    pub fn purge(&mut self, upto: u64) {
        while self.held.front().is_some_and(|held| held.entry.log_id.index <= upto) {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(held) = self.held.pop_front() {
            self.bytes -= held.bytes;
        }
    }
}
