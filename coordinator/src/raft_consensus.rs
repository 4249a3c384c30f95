//! The `Consensus` port over a running Raft node: names instead of numbers, and what follows from silence.

use crate::{
    consensus::{Consensus, ConsensusError, Leadership, Seat},
    raft::{RaftError, RaftHandle, RaftStatus, Standing},
};
use async_trait::async_trait;
use lockkeeper_core::{
    ids::{LogIndex, NodeId},
    time::Millis,
};
use lockkeeper_proto::port::Clock;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// A leader that no quorum confirmed for this long says so, and a follower that heard no leader for this long, too:
/// twice the longest election time-out, so that an ordinary election does not show.
const SILENCE_MAX: Duration = Duration::from_millis(1_200);

/// How often silence is looked at.
const LOOK_EVERY: Millis = Millis(250);

/// A Raft node as the rest of the coordinator sees it.
pub struct RaftConsensus {
    handle: RaftHandle,
    leadership: watch::Receiver<Leadership>,
}

impl RaftConsensus {
    /// Over a running node. Spawns one task that watches it.
    pub fn new(handle: RaftHandle, clock: Arc<dyn Clock>) -> Arc<Self> {
        let (send, leadership) = watch::channel(leadership(&handle, &handle.status().borrow()));
        tokio::spawn(watching(handle.clone(), clock, send));
        Arc::new(Self { handle, leadership })
    }
}

async fn watching(handle: RaftHandle, clock: Arc<dyn Clock>, shown: watch::Sender<Leadership>) {
    let mut status = handle.status();
    loop {
        let now = leadership(&handle, &status.borrow_and_update().clone());
        shown.send_if_modified(|old| {
            let changed = *old != now;
            *old = now;
            changed
        });
        tokio::select! {
            biased;
            changed = status.changed() => if changed.is_err() { return },
            () = shown.closed() => return,
            () = clock.sleep(LOOK_EVERY) => {}
        }
    }
}

fn leadership(handle: &RaftHandle, status: &RaftStatus) -> Leadership {
    let leads = status.standing == Standing::Leader;
    // The only voter is its own quorum; nobody confirms it and nobody has to.
    let alone = status.voters().len() == 1 && status.voters().contains(&handle.local().party.node);
    let confirmed = leads && (alone || status.quorum_silence().is_some_and(|s| s <= SILENCE_MAX));
    let hears = !leads && handle.leader_heard().is_some_and(|at| at.elapsed() <= SILENCE_MAX);
    let leader = status.leader_seat().filter(|_| confirmed || hears);
    let named = |id: NodeId| status.seat(id).map(|seat| (id, seat.name.clone()));
    Leadership {
        leader: leader.map(|(_, seat)| (seat.name.clone(), seat.address.clone())),
        leading: confirmed,
        term: status.term.0,
        quorum: confirmed || hears,
        voters: status.voters().into_iter().filter_map(named).collect(),
        learners: status
            .learners()
            .into_iter()
            .filter_map(|id| named(id).map(|(id, name)| (id, name, status.caught_up(id))))
            .collect(),
    }
}

fn error(error: RaftError) -> ConsensusError {
    match error {
        RaftError::NotLeader { .. } => ConsensusError::NotLeader,
        RaftError::Unknown | RaftError::Timeout { .. } | RaftError::NoQuorum | RaftError::Busy => {
            ConsensusError::Timeout
        }
        RaftError::TooLarge { .. }
        | RaftError::NotThere { .. }
        | RaftError::Behind { .. }
        | RaftError::Refused(_)
        | RaftError::Stopping
        | RaftError::Fatal(_) => ConsensusError::Stopped(error.to_string()),
    }
}

#[async_trait]
impl Consensus for RaftConsensus {
    async fn propose(&self, command: Vec<u8>) -> Result<Vec<u8>, ConsensusError> {
        self.handle.propose(command).await.map(|(_, reply)| reply).map_err(error)
    }

    async fn read_index(&self) -> Result<LogIndex, ConsensusError> {
        self.handle.linearizable_read().await.map_err(error)
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    async fn add_learner(&self, id: NodeId, seat: Seat) -> Result<(), ConsensusError> {
        self.handle.add_learner(id, seat).await.map(drop).map_err(error)
    }

    async fn set_voters(&self, voters: Vec<NodeId>) -> Result<(), ConsensusError> {
        self.handle.set_voters(voters.into_iter().collect()).await.map(drop).map_err(error)
    }

    async fn remove_learner(&self, id: NodeId) -> Result<(), ConsensusError> {
        self.handle.remove_learner(id).await.map(drop).map_err(error)
    }

    async fn shutdown(&self) {
        self.handle.shutdown().await;
    }
}
