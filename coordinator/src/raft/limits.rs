//! Every limit of the Raft shell, each with its reason.

use std::time::Duration;

/// Memory redb may use for pages. An idle agent has a budget of 30 MB for everything; the log is read from the end,
/// which [`TAIL_BYTES_MAX`] keeps in memory anyway.
pub const STORE_CACHE_BYTES: usize = 4 << 20;

/// Newest entries kept decoded in memory, so that sending them to followers reads no disk. Entries that are not yet
/// on disk stay whatever their size.
pub const TAIL_BYTES_MAX: usize = 1 << 20;

/// Jobs waiting for the writer. One job is one batch of openraft's; when so many wait, the disk has stopped, and the
/// Raft core should wait too.
pub const WRITER_QUEUE: usize = 1024;

/// Bytes put into one commit. More would only delay the first waiter.
pub const COMMIT_BYTES_MAX: usize = 4 << 20;

/// How long "committed up to here" may wait for company before it gets a commit of its own. Losing it costs nothing
/// but a later start, so it must not cost an fsync per command; it should not lag for ever on a quiet group either,
/// because break-glass reads it from the disk.
pub const COMMITTED_LINGER: Duration = Duration::from_millis(500);

/// Bytes of one stored piece of a snapshot. redb rounds a large value up to a power of two of its 4 KiB pages, so
/// this stays one page below 512 KiB.
pub const SNAPSHOT_PIECE_BYTES: usize = (512 << 10) - 4096;

/// Largest snapshot taken over from a peer. The state of a 50-member group is a few megabytes; a receiver holds the
/// whole of it in memory, so this is what a broken or hostile leader can cost.
pub const SNAPSHOT_BYTES_MAX: u64 = 256 << 20;

/// Entries between two snapshots. Replaying one entry takes microseconds, so a start replays at most some tens of
/// milliseconds; a snapshot writes the whole state, so it must be rare beside the commands of one rollout (hundreds).
pub const SNAPSHOT_ENTRIES: u64 = 10_000;

/// Entries kept after a snapshot, so that a node that was away for a rollout or two catches up from the log instead
/// of taking the whole state.
pub const ENTRIES_KEPT: u64 = 2_000;

/// A learner this many entries behind is still called caught up. More than [`SNAPSHOT_ENTRIES`] would be pointless,
/// because behind that it takes a snapshot.
pub const LAG_ENTRIES_MAX: u64 = 1_000;

/// Largest command. The largest we know is a plan for 1,000 members with its report, some 8 MiB.
pub const COMMAND_BYTES_MAX: usize = 16 << 20;

/// Bytes of entries in one append message, unless a single entry is larger. Keeps heartbeats, which share the
/// connection, from waiting behind a long message.
pub const APPEND_BYTES_MAX: usize = 1 << 20;

/// Entries in one append message.
pub const APPEND_ENTRIES_MAX: u64 = 512;

/// Largest message on the wire: the largest command and room for the rest.
pub const MESSAGE_BYTES_MAX: usize = COMMAND_BYTES_MAX + (1 << 20);
