//! A state machine that remembers every command.

use lockkeeper_coordinator::raft::{Machine, MachineError, SnapshotJob};
use lockkeeper_core::ids::LogIndex;
use std::sync::Arc;
use tokio::sync::watch;

/// What it remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    pub applied: LogIndex,
    pub commands: Vec<Vec<u8>>,
}

/// Answers each command with `index:length`.
pub struct Ledger {
    book: Arc<Book>,
    shown: watch::Sender<Arc<Book>>,
}

impl Ledger {
    pub fn new() -> (Self, watch::Receiver<Arc<Book>>) {
        let book = Arc::new(Book::default());
        let (shown, seen) = watch::channel(book.clone());
        (Self { book, shown }, seen)
    }
}

impl Machine for Ledger {
    fn apply(&mut self, index: LogIndex, command: &[u8]) -> Vec<u8> {
        Arc::make_mut(&mut self.book).commands.push(command.to_vec());
        format!("{index}:{}", command.len()).into_bytes()
    }

    fn applied(&mut self, index: LogIndex) {
        assert!(index > self.book.applied || self.book.applied == LogIndex(0), "applied in order");
        Arc::make_mut(&mut self.book).applied = index;
        self.shown.send_replace(self.book.clone());
    }

    fn snapshot(&self) -> SnapshotJob {
        let book = self.book.clone();
        Box::new(move || serde_json::to_vec(&book.commands).unwrap())
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), MachineError> {
        let commands = serde_json::from_slice(bytes).map_err(|error| MachineError(error.to_string()))?;
        self.book = Arc::new(Book { applied: LogIndex(0), commands });
        Ok(())
    }
}
