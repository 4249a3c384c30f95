//! The one writer. All changes pass through it in order; it puts what waits into one commit and one fsync.

use super::super::fatal::Fatal;
use super::super::limits::{COMMIT_BYTES_MAX, COMMITTED_LINGER, WRITER_QUEUE};
use super::disk::{self, Change};
use super::{Shared, lock};
use redb::Database;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::watch;

/// How work that blocks is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocking {
    /// On threads: the writer has one of its own, snapshots are encoded on the runtime's blocking pool.
    Threads,
    /// Where it is called. For simulation: a thread would make the order of events depend on the machine.
    Inline,
}

/// Called once, when the change is on disk or will never be.
pub(super) type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// One change on its way to the disk.
pub(super) struct Job {
    pub change: Change,
    /// The number of an append. Rises by one with each; only the log makes appends, so they arrive in order.
    pub append: Option<u64>,
    pub done: Done,
}

pub(super) enum Message {
    Job(Job),
    /// Not worth a commit of its own; goes with the next one, or after a while.
    Committed(Vec<u8>),
    Close(Done),
}

/// What writer and readers share.
pub(super) struct Disk {
    /// None after closing.
    pub database: RwLock<Option<Database>>,
    pub shared: Mutex<Shared>,
    pub fatal: watch::Sender<Option<Fatal>>,
}

impl Disk {
    /// Runs `work` on the open database.
    pub fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> io::Result<T> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(closed)?;
        work(database).map_err(io::Error::other)
    }

    /// Writes down, once, that nothing can be written any more.
    fn fail(&self, why: &str) {
        self.fatal.send_if_modified(|fatal| {
            let first = fatal.is_none();
            if first {
                tracing::error!(why, "the Raft store failed; this node must stop");
                *fatal = Some(Fatal::Store(why.to_owned()));
            }
            first
        });
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the store is closed")
}

/// Puts jobs on disk. Exists once for a store.
pub(super) struct Committer {
    disk: Arc<Disk>,
    /// Encoded id of the last committed entry, if that is newer than the disk's.
    committed: Option<Change>,
}

impl Committer {
    /// Puts the jobs and what is known to be committed on disk, and answers the jobs.
    fn run(&mut self, jobs: Vec<Job>) {
        // After one failure the disk's content is unknown, and a later success would hide that.
        let failed = self.disk.fatal.borrow().as_ref().map(ToString::to_string);
        let result = match failed {
            Some(why) => Err(io::Error::other(why)),
            None => {
                let changes = jobs.iter().map(|job| &job.change).chain(self.committed.as_ref());
                self.disk.with(|database| disk::commit(database, changes))
            }
        };
        match &result {
            Ok(()) => {
                self.committed = None;
                if let Some(append) = jobs.iter().rev().find_map(|job| job.append) {
                    lock(&self.disk.shared).tail.settle(append);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
            Err(error) => self.disk.fail(&error.to_string()),
        }
        for job in jobs {
            let answer = match &result {
                Ok(()) => Ok(()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            (job.done)(answer);
        }
    }

    fn close(&mut self, done: Done) {
        if self.committed.is_some() {
            self.run(Vec::new());
        }
        // Dropping the database closes the file, so that it can be opened again at once.
        *self.disk.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        done(Ok(()));
    }
}

/// The way to the writer.
pub(super) enum Writer {
    Thread(SyncSender<Message>),
    Inline(Mutex<Committer>),
}

impl Writer {
    pub fn start(blocking: Blocking, disk: Arc<Disk>) -> io::Result<Self> {
        let committer = Committer { disk, committed: None };
        match blocking {
            Blocking::Inline => Ok(Self::Inline(Mutex::new(committer))),
            Blocking::Threads => {
                let (sender, receiver) = sync_channel(WRITER_QUEUE);
                std::thread::Builder::new()
                    .name("raft-store".to_owned())
                    .spawn(move || run_thread(committer, &receiver))?;
                Ok(Self::Thread(sender))
            }
        }
    }

    pub fn submit(&self, job: Job) {
        self.send(Message::Job(job));
    }

    pub fn committed(&self, record: Vec<u8>) {
        self.send(Message::Committed(record));
    }

    pub fn close(&self, done: Done) {
        self.send(Message::Close(done));
    }

    fn send(&self, message: Message) {
        match self {
            Self::Thread(sender) => {
                // The thread ends only when it is closed.
                if let Err(error) = sender.send(message) {
                    match error.0 {
                        Message::Job(job) => (job.done)(Err(closed())),
                        Message::Committed(_) => {}
                        Message::Close(done) => done(Ok(())),
                    }
                }
            }
            Self::Inline(committer) => match message {
                Message::Job(job) => lock(committer).run(vec![job]),
                Message::Committed(record) => lock(committer).committed = Some(Change::Committed(record)),
                Message::Close(done) => lock(committer).close(done),
            },
        }
    }
}

/// Says so if the thread ends by a panic: then nothing is written any more, and nobody else would notice.
struct Alarm(Arc<Disk>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("the writer panicked");
        }
    }
}

fn run_thread(mut committer: Committer, receiver: &Receiver<Message>) {
    let _alarm = Alarm(committer.disk.clone());
    loop {
        let message = if committer.committed.is_some() {
            match receiver.recv_timeout(COMMITTED_LINGER) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    committer.run(Vec::new());
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        } else {
            match receiver.recv() {
                Ok(message) => message,
                Err(_) => break,
            }
        };
        let (mut jobs, mut bytes, mut next) = (Vec::new(), 0, Some(message));
        let mut close = None;
        while let Some(message) = next.take() {
            match message {
                Message::Job(job) => {
                    bytes += job.change.bytes();
                    jobs.push(job);
                }
                Message::Committed(record) => committer.committed = Some(Change::Committed(record)),
                Message::Close(done) => {
                    close = Some(done);
                    break;
                }
            }
            if bytes < COMMIT_BYTES_MAX {
                next = receiver.try_recv().ok();
            }
        }
        if !jobs.is_empty() {
            committer.run(jobs);
        }
        if let Some(done) = close {
            committer.close(done);
            return;
        }
    }
    committer.close(Box::new(|_| ()));
}
