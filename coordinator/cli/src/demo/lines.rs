//! A log of JSON lines that never makes its caller wait. Knows files and threads, not what the lines say.

use anyhow::Context as _;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Lines that may wait for the disk. At the client's 120 requests/s that is more than a minute of a hung disk;
/// beyond it lines are counted and dropped, and the loss is written into the log, where the oracle finds it.
const WAITING_MAX: usize = 10_000;

/// The largest number of lines written in one go, so that one write stays far below a second.
const BATCH_MAX: usize = 256;

/// An open log. Clones share the file; the last line is on its way to the disk when [`LineLog::finish`] returns.
#[derive(Debug, Clone)]
pub struct LineLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    lines: Mutex<Option<SyncSender<Vec<u8>>>>,
    writer: Mutex<Option<JoinHandle<std::io::Result<()>>>>,
    lost: Arc<AtomicU64>,
}

impl LineLog {
    /// Opens `path` for appending; several processes may append to one file, a line is written in one piece.
    pub fn append(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot open the log {}", path.display()))?;
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let writer = std::thread::Builder::new()
            .name("lines".to_owned())
            .spawn(move || write_all(&receiver, file, &counted))
            .context("cannot start the log's thread")?;
        let shared = Shared { lines: Mutex::new(Some(sender)), writer: Mutex::new(Some(writer)), lost };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Hands one record to the writer. Never blocks; a record that finds no room is counted as lost.
    pub fn write(&self, record: &impl Serialize) {
        let Ok(mut line) = serde_json::to_vec(record) else {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        line.push(b'\n');
        let lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.as_ref().is_none_or(|sender| sender.try_send(line).is_err()) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes what waits and closes the log. Later records are lost and counted.
    pub fn finish(&self) -> anyhow::Result<()> {
        drop(self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        match writer.map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(written)) => written.context("the log could not be written"),
            Some(Err(_)) => anyhow::bail!("the log's thread panicked"),
        }
    }
}

#[derive(Serialize)]
struct Lost {
    event: &'static str,
    lost: u64,
}

fn write_all(lines: &Receiver<Vec<u8>>, mut file: File, lost: &AtomicU64) -> std::io::Result<()> {
    while let Ok(mut batch) = lines.recv() {
        for line in lines.try_iter().take(BATCH_MAX) {
            batch.extend_from_slice(&line);
        }
        file.write_all(&batch)?;
        note_loss(&mut file, lost)?;
    }
    note_loss(&mut file, lost)
}

fn note_loss(file: &mut File, lost: &AtomicU64) -> std::io::Result<()> {
    let lost = lost.swap(0, Ordering::Relaxed);
    if lost == 0 {
        return Ok(());
    }
    let mut line = serde_json::to_vec(&Lost { event: "lines-lost", lost }).map_err(std::io::Error::other)?;
    line.push(b'\n');
    file.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_written_before_finish_is_in_the_file_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let log = LineLog::append(&path).unwrap();
        for n in 0..1_000 {
            log.write(&n);
        }
        log.finish().unwrap();
        let expected: String = (0..1_000).map(|n| format!("{n}\n")).collect();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn a_line_without_room_is_counted_in_the_log_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let log = LineLog::append(&path).unwrap();
        log.shared.lost.fetch_add(3, Ordering::Relaxed);
        log.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"event\":\"lines-lost\",\"lost\":3}\n");
    }
}
