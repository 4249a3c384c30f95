//! The port to the replicated state machine: what the Raft shell needs of it, and nothing about what it decides.

use lockkeeper_core::ids::LogIndex;

/// Turns the state as it was when the job was made into bytes. Runs outside every lock, possibly on another thread.
pub type SnapshotJob = Box<dyn FnOnce() -> Vec<u8> + Send>;

/// Why a snapshot could not be taken over. The process stops: a state it cannot read must not be voted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state machine cannot read the snapshot: {0}")]
pub struct MachineError(pub String);

/// The replicated state machine.
///
/// Called in log order, by one caller at a time, and never across an `await`: every method must return quickly and
/// must not block. After a restart it is fed the newest snapshot and then every later committed command again.
pub trait Machine: Send + 'static {
    /// Applies one committed command and answers it. The same commands must give the same state on every node and
    /// every build, so it reads no clock and draws no random number.
    fn apply(&mut self, index: LogIndex, command: &[u8]) -> Vec<u8>;

    /// Everything up to and with `index` is now part of the state. Called after each entry, also after those that
    /// carry no command (a new leader's first entry, a change of voters), and after [`Machine::restore`].
    fn applied(&mut self, index: LogIndex);

    /// A handle on the state as it is now. Must not copy the state: keep it behind an `Arc` and change it by
    /// copy-on-write, so that commands go on while the job runs.
    fn snapshot(&self) -> SnapshotJob;

    /// Replaces the state by that of a snapshot.
    ///
    /// # Errors
    /// When the bytes are not a state this build can read.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), MachineError>;
}
