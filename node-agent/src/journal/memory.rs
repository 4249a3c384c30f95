//! A disk in memory that forgets and tears what was not synced; for simulation and tests.

use super::disk::Disk;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Handles share one file, so that a test can crash the disk under a journal and open it again.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    /// What survives a crash; `None` while the file does not exist.
    durable: Option<Vec<u8>>,
    /// Appended, not synced.
    pending: Vec<u8>,
    /// Further syncs that succeed; `None`: all.
    syncs_left: Option<u64>,
    /// A disk that says yes to a sync and does nothing (a planted bug).
    lies: bool,
}

impl MemoryDisk {
    /// A disk that has `bytes` on it.
    pub fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Content { durable: Some(bytes), ..Content::default() })))
    }

    /// A disk whose `sync` answers yes and does nothing: the bug that a crash test must see.
    pub fn lying() -> Self {
        Self(Arc::new(Mutex::new(Content { lies: true, ..Content::default() })))
    }

    /// A lying disk that has `bytes` on it.
    pub fn lying_over(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Content { durable: Some(bytes), lies: true, ..Content::default() })))
    }

    /// The machine loses power: of what was not synced only the first `kept` bytes are left.
    pub fn crash(&self, kept: usize) {
        let mut content = self.content();
        let pending = std::mem::take(&mut content.pending);
        if let Some(durable) = &mut content.durable {
            durable.extend(pending.into_iter().take(kept));
        }
    }

    /// What a crash would lose.
    pub fn unsynced_bytes(&self) -> Vec<u8> {
        self.content().pending.clone()
    }

    /// What a crash that keeps nothing unsynced would leave.
    pub fn durable(&self) -> Option<Vec<u8>> {
        self.content().durable.clone()
    }

    /// Lets `count` further syncs succeed and all later ones fail.
    pub fn fail_sync_after(&self, count: u64) {
        self.content().syncs_left = Some(count);
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // Nobody panics while holding it; and plain bytes have no broken half-way state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for MemoryDisk {
    fn read(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let content = self.content();
        let Some(durable) = &content.durable else { return Ok(None) };
        let bytes = [durable.as_slice(), &content.pending].concat();
        if u64::try_from(bytes.len()).is_ok_and(|found| found > limit) {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        Ok(Some(bytes))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.content();
        if content.durable.is_none() {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        content.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut content = self.content();
        if let Some(left) = content.syncs_left {
            let left = left.checked_sub(1).ok_or_else(|| io::Error::other("the disk refuses to sync"))?;
            content.syncs_left = Some(left);
        }
        if !content.lies {
            let pending = std::mem::take(&mut content.pending);
            if let Some(durable) = &mut content.durable {
                durable.extend(pending);
            }
        }
        Ok(())
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.content();
        content.pending.clear();
        content.durable = Some(bytes.to_vec());
        Ok(())
    }
}
