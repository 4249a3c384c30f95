//! Follows openraft's metrics and shows them in our words.

use super::super::convert;
use super::super::fatal::Fatal;
use super::super::peers::Peers;
use super::super::status::{Progress, RaftStatus, Standing};
use super::super::types::Types;
use super::{OrRaft, fatal};
use lockkeeper_core::ids::{LogIndex, NodeId};
use lockkeeper_proto::wire::raft::Term;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::Fatal as OrFatal;
use openraft::{AsyncRuntime, Instant as _, RaftMetrics, ServerState};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// Starts a task that lives as long as the Raft core.
pub(in super::super) fn watch_status<Rt: AsyncRuntime>(
    raft: &OrRaft<Rt>,
    peers: Arc<Peers>,
    failed: watch::Sender<Option<Fatal>>,
    mut store_failed: watch::Receiver<Option<Fatal>>,
) -> watch::Receiver<RaftStatus> {
    let mut metrics = raft.metrics();
    let first = {
        let metrics = metrics.borrow_watched();
        status(&metrics)
    };
    let (sender, receiver) = watch::channel(first);
    let _detached = Rt::spawn(async move {
        loop {
            let seen = metrics.borrow_watched().clone();
            let status = status(&seen);
            let moved = sender.borrow().membership != status.membership;
            if moved {
                peers.update(&status.membership);
            }
            sender.send_if_modified(|shown| {
                let changed = *shown != status;
                *shown = status;
                changed
            });
            let why = match &seen.running_state {
                Err(error @ (OrFatal::StorageError(_) | OrFatal::Panicked)) => Some(fatal(error.clone())),
                Ok(()) | Err(OrFatal::Stopped) => store_failed.borrow().clone(),
            };
            if let Some(why) = why {
                failed.send_if_modified(|failed| {
                    let first = failed.is_none();
                    failed.get_or_insert(why);
                    first
                });
            }
            // The store's failure is shown even if the core has not met it yet.
            let ended = tokio::select! {
                biased;
                changed = metrics.changed() => changed.is_err(),
                changed = store_failed.changed() => changed.is_err() && metrics.changed().await.is_err(),
            };
            if ended {
                sender.send_modify(|shown| {
                    shown.standing = Standing::Stopped;
                    shown.peers.clear();
                    shown.quorum_acked = None;
                });
                return;
            }
        }
    });
    receiver
}

fn status<Rt: AsyncRuntime>(metrics: &RaftMetrics<Types<Rt>>) -> RaftStatus {
    let index = |id: &Option<super::super::types::OrLogId>| id.map(|id| LogIndex(id.index));
    let leads = metrics.state == ServerState::Leader;
    let mut peers = std::collections::BTreeMap::<NodeId, Progress>::new();
    for (node, matched) in metrics.replication.iter().flatten() {
        peers.entry(NodeId(*node)).or_default().matched = index(matched);
    }
    for (node, heard) in metrics.heartbeat.iter().flatten() {
        peers.entry(NodeId(*node)).or_default().heard = heard.as_ref().map(|at| ago(at.elapsed()));
    }
    peers.remove(&NodeId(metrics.id));
    RaftStatus {
        standing: match metrics.state {
            ServerState::Learner => Standing::Learner,
            ServerState::Follower => Standing::Follower,
            ServerState::Candidate => Standing::Candidate,
            ServerState::Leader => Standing::Leader,
            ServerState::Shutdown => Standing::Stopped,
        },
        leader: metrics.current_leader.map(NodeId),
        term: Term(metrics.current_term),
        // Term 0 is no claim: it is what openraft shows before it has heard of any.
        vote: (metrics.vote.leader_id.term > 0).then(|| convert::vote_to_wire(metrics.vote)),
        last_log: metrics.last_log_index.map(LogIndex),
        committed: index(&metrics.cluster_committed),
        applied: index(&metrics.last_applied),
        snapshot: index(&metrics.snapshot),
        purged: index(&metrics.purged),
        membership: convert::membership_to_wire(metrics.membership_config.membership()),
        membership_committed: metrics.membership_config == metrics.committed_membership_config,
        peers,
        quorum_acked: metrics.last_quorum_acked.as_ref().filter(|_| leads).map(|acked| ago(acked.elapsed())),
    }
}

/// The runtime's instants are tokio's behind an alias; their age says the same thing.
fn ago(age: std::time::Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(age).unwrap_or(now)
}
