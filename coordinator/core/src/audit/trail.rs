//! The newest entries, as a voter keeps them beside the state.

use super::{AuditEntry, AuditHead, Break, Chain};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, sync::Arc};

/// Entries a voter keeps. A rollout of three members makes about 200, one of 50 members some 2,500; an entry has about
/// 450 bytes and never more than 3 KiB, so this is some 4 MB of memory and of each snapshot. Older entries are
/// dropped; `lockkeeper audit show -o FILE` keeps them, and the anchor says where the rest begins.
pub const ENTRIES_KEPT: usize = 8_192;

/// A contiguous end of the chain. Copies share the entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    after: AuditHead,
    entries: VecDeque<Arc<AuditEntry>>,
}

impl Trail {
    /// A trail that begins behind `anchor`; everything before it is unknown here.
    pub fn begin(anchor: AuditHead) -> Self {
        Self { after: anchor, entries: VecDeque::new() }
    }

    /// The point behind which the kept entries begin. A count of 0: nothing was dropped.
    pub fn after(&self) -> &AuditHead {
        &self.after
    }

    /// The kept entries, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Arc<AuditEntry>> + ExactSizeIterator {
        self.entries.iter()
    }

    /// The end of the chain.
    pub fn head(&self) -> AuditHead {
        self.entries.back().map_or_else(|| self.after.clone(), |entry| entry.head())
    }

    /// Digest of entry `number`, if it is kept or the anchor.
    pub fn digest_at(&self, number: u64) -> Option<&str> {
        if number == self.after.count {
            return Some(&self.after.digest);
        }
        let at = usize::try_from(number.checked_sub(self.after.count + 1)?).ok()?;
        self.entries.get(at).filter(|e| e.number == number).map(|e| e.digest.as_str())
    }

    /// Adds an entry and drops the oldest beyond the bound.
    pub fn push(&mut self, entry: AuditEntry) {
        self.entries.push_back(Arc::new(entry));
        while self.entries.len() > ENTRIES_KEPT {
            if let Some(dropped) = self.entries.pop_front() {
                self.after = dropped.head();
            }
        }
    }

    /// The trail up to entry `number`, for a view of an older state.
    pub fn upto(&self, number: u64) -> Self {
        let entries = self.entries.iter().filter(|e| e.number <= number).cloned().collect();
        Self { after: self.after.clone(), entries }
    }

    /// Follows the kept entries from their anchor to `head`.
    ///
    /// # Errors
    /// Where the chain breaks.
    pub fn verify(&self, head: &AuditHead) -> Result<(), Break> {
        let mut chain = Chain::after(self.after.clone());
        for entry in &self.entries {
            chain.push(entry)?;
        }
        chain.ends_at(head)
    }
}
