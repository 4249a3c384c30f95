//! Why a node must stop.

/// What ended this node's part in the group. The process exits on it: after a failed write nobody knows what is on
/// the disk, and only a fresh start reads it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// A write or an fsync failed.
    #[error("the store can no longer be written: {0}")]
    Store(String),
    /// The Raft core ended by itself.
    #[error("the Raft core stopped: {0}")]
    Core(String),
}
