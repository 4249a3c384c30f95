//! Follows the chain entry by entry and says where it breaks.

use super::{AuditEntry, AuditHead};

/// How an entry does not fit behind the ones before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// Entries are missing, doubled or out of order.
    #[error(
        "LK3601: entry {found} stands where entry {expected} belongs: entries were dropped, doubled or moved"
    )]
    Order {
        /// What belongs here.
        expected: u64,
        /// What stands here.
        found: u64,
    },
    /// The entry, or the digest before it, is not what was written.
    #[error(
        "LK3602: the digest of entry {number} does not follow from it and the entry before it: one of them was changed"
    )]
    Digest {
        /// The entry.
        number: u64,
    },
    /// The last entry is not the chain's head.
    #[error(
        "LK3603: the entries end at {found}, the head is at {head}: the last entries were dropped, or the head is another chain's"
    )]
    Head {
        /// Where the entries end.
        found: u64,
        /// Where the head is.
        head: u64,
    },
}

impl Break {
    /// The page under `deploy/errors/`.
    pub const fn code(&self) -> &'static str {
        match self {
            Break::Order { .. } => "LK3601",
            Break::Digest { .. } => "LK3602",
            Break::Head { .. } => "LK3603",
        }
    }
}

/// The chain as far as it was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    head: AuditHead,
}

impl Chain {
    /// Begins behind an entry whose digest is known.
    pub fn after(anchor: AuditHead) -> Self {
        Self { head: anchor }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// When it does not follow. The chain is as before then.
    pub fn push(&mut self, entry: &AuditEntry) -> Result<(), Break> {
        let expected = self.head.count + 1;
        if entry.number != expected {
            return Err(Break::Order { expected, found: entry.number });
        }
        if entry.digest_after(&self.head.digest) != entry.digest {
            return Err(Break::Digest { number: entry.number });
        }
        self.head = entry.head();
        Ok(())
    }

    /// The digest and number of the last entry.
    pub fn head(&self) -> &AuditHead {
        &self.head
    }

    /// Whether the chain ends at `head`.
    ///
    /// # Errors
    /// When it does not.
    pub fn ends_at(&self, head: &AuditHead) -> Result<(), Break> {
        if self.head == *head {
            return Ok(());
        }
        if self.head.count == head.count {
            return Err(Break::Digest { number: head.count });
        }
        Err(Break::Head { found: self.head.count, head: head.count })
    }
}
