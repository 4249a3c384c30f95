//! Every limit of the Raft shell, each with its reason.

use std::time::Duration;

/// Memory redb may use for pages. An idle agent has a budget of 30 MB for everything; the log is read from the end,
/// which [`TAIL_BYTES_MAX`] keeps in memory anyway.
pub const STORE_CACHE_BYTES: usize = 4 << 20;

/// Newest entries kept decoded in memory, so that sending them to followers reads no disk. Entries that are not yet
/// on disk, and the last one, stay whatever their size.
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

/// Bytes of entries in one append message, unless a single entry is larger. What a follower decodes and holds at
/// once.
pub const APPEND_BYTES_MAX: usize = 1 << 20;

/// Entries in one append message.
pub const APPEND_ENTRIES_MAX: u64 = 512;

/// Largest message on the wire: the largest command and room for the rest.
pub const MESSAGE_BYTES_MAX: usize = COMMAND_BYTES_MAX + (1 << 20);

/// Between two signs of life of a leader. See [`ELECTION_MIN`].
pub const HEARTBEAT: Duration = Duration::from_millis(100);

/// Least election time-out. The library waits a lease of [`ELECTION_MAX`] and then a random time between the two, so
/// a dead leader is replaced after 0.8 to 1.2 s and a round of votes. Below 300 ms an fsync stall (4 ms is common on
/// a shared disk, 55 ms was the worst seen) together with a busy machine comes too near.
pub const ELECTION_MIN: Duration = Duration::from_millis(400);

/// Greatest election time-out, and the leader's lease.
pub const ELECTION_MAX: Duration = Duration::from_millis(600);

/// Until an append stream is answered by its header: a connect (at most one second, see the transport) and a round
/// trip. A frozen peer accepts connections and never answers.
pub const APPEND_OPEN_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a follower may keep an append request unanswered. It has to write it to disk; the worst fsync seen took
/// 56 ms.
pub const APPEND_STALL: Duration = Duration::from_secs(5);

/// More time for each MiB of the request: a line of 4 Mbit/s.
pub const APPEND_STALL_PER_MIB: Duration = Duration::from_secs(2);

/// After a failed stream, no new one to that peer for so long. A peer that is down, or refuses us, would otherwise
/// cost a dial and a handshake with every heartbeat. Votes do not wait: they are rare, and failover hangs on them.
pub const REDIAL_PAUSE: Duration = Duration::from_millis(250);

/// Bytes of one snapshot message: large enough to be cheap, small enough to let other messages in between.
pub const SNAPSHOT_FRAME_BYTES: usize = 256 << 10;

/// Least time for sending and taking over a snapshot.
pub const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(30);

/// More time for each MiB of snapshot: a line of 8 Mbit/s, and the receiver's disk.
pub const SNAPSHOT_TIMEOUT_PER_MIB: Duration = Duration::from_secs(2);

/// How long a receiver waits for the next frame of a snapshot, or for the first frame of any stream.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(10);

/// For a command to be committed and applied. Two elections fit in; the caller repeats with the same request id.
pub const PROPOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a command waits for a leader to be confirmed by its quorum: a new leader is with its first heartbeat.
pub const LEASE_WAIT: Duration = Duration::from_millis(300);

/// How often it looks meanwhile. Happens in the first moments of a leadership only.
pub const LEASE_POLL: Duration = Duration::from_millis(10);

/// For a linearizable read.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// For a change of membership, which is two commits.
pub const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// For a planned successor to catch up before the hand-over begins. Meanwhile the leader goes on as before.
pub const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// For the successor to be elected. Until then nobody leads, so a failed hand-over must end soon; it ends by itself
/// with the next election.
pub const TRANSFER_TIMEOUT: Duration = Duration::from_secs(2);

/// For all attempts to hand over before stopping. Without a hand-over the group needs an election, which takes 1.2 s;
/// trying much longer than that would be worse than not trying.
pub const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(3);

/// A voter that has been silent for longer is not even asked to take the leadership: three heartbeats and a stall.
pub const SUCCESSOR_SILENCE: Duration = Duration::from_millis(500);

/// For the Raft core to end. It waits for its own tasks only, never for a peer.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the store of a running node is copied until a copy is whole. One transaction is written in milliseconds
/// and a copy of the usual few MiB takes as long, so the second is nearly always whole.
pub const COPY_ATTEMPTS: u32 = 20;
