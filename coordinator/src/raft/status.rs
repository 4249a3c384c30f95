//! What one node knows about its group, in plain words: no type of openraft.

use super::limits::LAG_ENTRIES_MAX;
use lockkeeper_core::ids::{LogIndex, NodeId};
use lockkeeper_proto::wire::raft::{Membership, Seat, Term, Vote};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// What a node is in its group at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Standing {
    /// Holds the log and has no vote, or is not admitted yet.
    #[default]
    Learner,
    /// Has a vote and follows.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
    /// Takes no part any more.
    Stopped,
}

/// How far the leader knows a peer to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last entry known to be on the peer's disk.
    pub matched: Option<LogIndex>,
    /// When the peer last answered.
    pub heard: Option<Instant>,
}

/// One node's view of its group. Indices are none on an empty log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RaftStatus {
    /// What this node is.
    pub standing: Standing,
    /// Who leads, as far as this node knows; stays until it knows better, see [`super::RaftHandle::leader_heard`].
    pub leader: Option<NodeId>,
    /// Raft's clock.
    pub term: Term,
    /// The claim this node granted last; never a lower one, also after a restart. None before it has heard of any.
    pub vote: Option<Vote>,
    /// The last entry in the log.
    pub last_log: Option<LogIndex>,
    /// The last entry known to be committed.
    pub committed: Option<LogIndex>,
    /// The last entry the state machine has.
    pub applied: Option<LogIndex>,
    /// The last entry in the newest snapshot.
    pub snapshot: Option<LogIndex>,
    /// The last entry that is no longer in the log.
    pub purged: Option<LogIndex>,
    /// Voters, learners and their seats, possibly not committed yet.
    pub membership: Membership,
    /// Whether [`Self::membership`] is committed.
    pub membership_committed: bool,
    /// The others, while this node leads; empty otherwise.
    pub peers: BTreeMap<NodeId, Progress>,
    /// When a quorum last confirmed this node as leader; none while it does not lead.
    pub quorum_acked: Option<Instant>,
}

impl RaftStatus {
    /// Everybody with a vote; during a change those of the old and of the new set.
    pub fn voters(&self) -> BTreeSet<NodeId> {
        self.membership.configs.iter().flatten().copied().collect()
    }

    /// Everybody who holds the log without a vote.
    pub fn learners(&self) -> BTreeSet<NodeId> {
        let voters = self.voters();
        self.membership.nodes.keys().filter(|node| !voters.contains(node)).copied().collect()
    }

    /// The seat of a node.
    pub fn seat(&self, node: NodeId) -> Option<&Seat> {
        self.membership.nodes.get(&node)
    }

    /// The leader and its seat.
    pub fn leader_seat(&self) -> Option<(NodeId, &Seat)> {
        self.leader.and_then(|leader| self.seat(leader).map(|seat| (leader, seat)))
    }

    /// How long ago a quorum last confirmed this node as leader; none while it does not lead.
    pub fn quorum_silence(&self) -> Option<Duration> {
        self.quorum_acked.map(|acked| acked.elapsed())
    }

    /// Whether a change of voters was begun and not finished; [`super::RaftHandle::set_voters`] finishes it.
    pub fn changing_voters(&self) -> bool {
        self.membership.configs.len() > 1
    }

    /// Whether a peer has all but the newest entries. Always false on a node that does not lead.
    pub fn caught_up(&self, node: NodeId) -> bool {
        let matched = self.peers.get(&node).and_then(|progress| progress.matched);
        matched.is_some_and(|matched| {
            self.last_log.is_none_or(|last| last.0.saturating_sub(matched.0) <= LAG_ENTRIES_MAX)
        })
    }

    /// The other voters that were heard within `silence`, those with most entries first, then by number.
    pub fn successors(&self, own: NodeId, silence: Duration) -> Vec<NodeId> {
        let heard = |progress: &Progress| progress.heard.is_some_and(|heard| heard.elapsed() <= silence);
        let mut found: Vec<_> = self
            .voters()
            .into_iter()
            .filter(|voter| *voter != own)
            .filter_map(|voter| {
                self.peers.get(&voter).filter(|found| heard(found)).map(|found| (voter, found))
            })
            .collect();
        found.sort_by_key(|(voter, progress)| (std::cmp::Reverse(progress.matched), *voter));
        found.into_iter().map(|(voter, _)| voter).collect()
    }
}
