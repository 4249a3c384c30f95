//! A disk in memory whose fsync can be made to fail.

use redb::backends::InMemoryBackend;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct FailingDisk {
    bytes: Arc<InMemoryBackend>,
    failing: Arc<AtomicBool>,
}

impl FailingDisk {
    pub fn fail(&self) {
        self.failing.store(true, Ordering::SeqCst);
    }
}

impl redb::StorageBackend for FailingDisk {
    fn len(&self) -> io::Result<u64> {
        self.bytes.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.bytes.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.bytes.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(io::Error::other("input/output error"));
        }
        self.bytes.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.bytes.write(offset, data)
    }
}
