//! Crash points: every place where the agent touches something is counted, and at one of them it dies.

use lockkeeper_agent::journal::{Disk, MemoryDisk};
use std::{
    io,
    sync::{Arc, Mutex},
};
use tokio::sync::watch;

/// Counts the points of one life and ends it at one of them.
#[derive(Clone)]
pub struct Crash {
    at: u64,
    count: Arc<Mutex<u64>>,
    dead: watch::Sender<Option<&'static str>>,
}

impl Crash {
    /// Dies at point `at`; the first is 1. 0 never dies.
    pub fn at(at: u64) -> Self {
        Self { at, count: Arc::default(), dead: watch::Sender::new(None) }
    }

    /// Points passed so far.
    pub fn count(&self) -> u64 {
        *self.count.lock().unwrap()
    }

    /// A point inside a call that can wait: the dead never return from it.
    pub async fn point(&self, name: &'static str) {
        if self.passes(name) {
            std::future::pending::<()>().await;
        }
    }

    /// A point inside a call that cannot wait. True: the caller is dead and may change nothing.
    pub fn passes(&self, name: &'static str) -> bool {
        if self.dead.borrow().is_some() {
            return true;
        }
        let mut count = self.count.lock().unwrap();
        *count += 1;
        if *count == self.at {
            self.dead.send_replace(Some(name));
        }
        *count == self.at
    }

    /// Returns when the agent has died, with the point's name.
    pub async fn died(&self) -> &'static str {
        let mut dead = self.dead.subscribe();
        dead.wait_for(Option::is_some).await.unwrap().unwrap()
    }
}

/// A disk whose calls are crash points.
pub struct CrashDisk {
    pub disk: MemoryDisk,
    pub crash: Crash,
}

impl Disk for CrashDisk {
    fn read(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.disk.read(limit)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.crash.passes("before append") { Ok(()) } else { self.disk.append(bytes) }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.crash.passes("before sync") { Ok(()) } else { self.disk.sync() }
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.crash.passes("before replace") { Ok(()) } else { self.disk.replace(bytes) }
    }
}
