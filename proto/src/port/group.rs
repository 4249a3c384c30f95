//! The `Group` port. The coordinator implements it in process; a voter's API implements it for subscribers and the
//! command line; the agent consumes it. It says whose knowledge a view is and as of when.

use async_trait::async_trait;
use lockkeeper_core::{
    identity::Actor,
    ids::{LogIndex, MemberName, RequestId},
    rollout::{Command, Reply, State},
};
use std::sync::Arc;
use tokio::sync::watch;

/// A stamped view of the replicated state.
#[derive(Debug, Clone)]
pub struct View {
    /// The state; shared, never changed in place.
    pub state: Arc<State>,
    /// Up to which log index.
    pub applied: LogIndex,
    /// Whose knowledge it is.
    pub source: Option<MemberName>,
    /// Who leads, as far as the source knows.
    pub leader: Option<MemberName>,
    /// Raft term, as far as the source knows.
    pub term: u64,
    /// Whether the source hears a quorum. Without one the view may be old.
    pub quorum: bool,
}

/// A command on its way to the leader.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Makes a repetition harmless.
    pub id: RequestId,
    /// The person behind it.
    pub actor: Option<Actor>,
    /// W3C `traceparent`, empty for none.
    pub trace: String,
    /// What shall change.
    pub command: Command,
}

/// Why the group did not answer. Nothing is said about whether a proposal was committed, so callers repeat with the
/// same id or look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Nobody leads, or the leader does not answer.
    #[error("LK3101: the group has no leader that answers ({0})")]
    NoLeader(String),
    /// No answer within the deadline.
    #[error("LK3102: no answer within {0} ms")]
    Timeout(u64),
    /// This node stops.
    #[error("LK3103: this node is stopping")]
    Stopping,
    /// The command could not be encoded or was too large.
    #[error("LK3104: {0}")]
    Refused(String),
}

/// What an agent needs of its group.
#[async_trait]
pub trait Group: Send + Sync + 'static {
    /// The latest view this node has; changes with every applied entry. May be stale.
    fn follow(&self) -> watch::Receiver<Arc<View>>;

    /// Commits a command and answers what applying it said. Deadline 5 s.
    async fn propose(&self, proposal: Proposal) -> Result<Reply, GroupError>;

    /// A linearizable read: everything committed before the call is in the view. Deadline 5 s.
    async fn read(&self) -> Result<Arc<View>, GroupError>;
}
