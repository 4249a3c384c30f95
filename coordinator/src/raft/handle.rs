//! What the rest of the process holds of a running node.

use super::error::RaftError;
use super::fatal::Fatal;
use super::limits::{
    CATCH_UP_TIMEOUT, CHANGE_TIMEOUT, COMMAND_BYTES_MAX, HAND_OVER_TIMEOUT, LEASE_POLL, LEASE_WAIT,
    PROPOSE_TIMEOUT, READ_TIMEOUT, STOP_TIMEOUT, SUCCESSOR_SILENCE, TRANSFER_TIMEOUT,
};
use super::local::Local;
use super::network::Network;
use super::node::{Change, Inbound, Node, Outbound, watch_status};
use super::peers::Peers;
use super::state_machine::StateMachine;
use super::status::{RaftStatus, Standing};
use super::store::Store;
use super::tuning::{BadTuning, Tuning};
use super::{AsyncRuntime, Machine};
use crate::alarm::Alarm;
use futures::future::BoxFuture;
use lockkeeper_core::ids::{LogIndex, MemberName, NodeId};
use lockkeeper_proto::port::Instance;
use lockkeeper_proto::transport::Dialer;
use lockkeeper_proto::wire::raft::Seat;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// What a node is started with.
pub struct Setup {
    /// Its name in the cluster file; a certificate proves it to the others.
    pub name: MemberName,
    /// Its open store, which says whose it is.
    pub store: Store,
    /// The replicated state machine, empty.
    pub machine: Box<dyn Machine>,
    /// How the others are reached.
    pub dialer: Arc<dyn Dialer>,
    /// Usually the default.
    pub tuning: Tuning,
    /// Which running of this agent; the default tells nothing.
    pub instance: Instance,
    /// Collects peers' word that another agent has this name.
    pub alarm: Arc<Alarm>,
}

/// Why a node was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is impossible.
    #[error(transparent)]
    Tuning(BadTuning),
    /// What the store holds could not be read or does not fit together.
    #[error("cannot restore the state of this node")]
    Restore(#[source] Fatal),
}

/// A running node. Clones are the same node.
#[derive(Clone)]
pub struct RaftHandle {
    inner: Arc<Inner>,
}

struct Inner {
    local: Local,
    outbound: Arc<dyn Outbound>,
    inbound: Arc<dyn Inbound>,
    peers: Arc<Peers>,
    store: Store,
    status: watch::Receiver<RaftStatus>,
    failed: watch::Receiver<Option<Fatal>>,
    leader_heard: Mutex<Option<Instant>>,
    spawn: fn(BoxFuture<'static, ()>),
    stopping: watch::Sender<bool>,
}

/// Starts a node: restores its state machine from the newest snapshot and the committed entries after it, and takes
/// part in the group from then on. In simulation, call it inside the host's [`super::ScopeLayer::run`].
///
/// # Errors
/// When the store does not fit together, or the state machine cannot read its snapshot.
pub fn start<Rt: AsyncRuntime>(setup: Setup) -> BoxFuture<'static, Result<RaftHandle, StartError>> {
    // Boxed here, so that callers need not prove openraft's futures to be `Send`.
    Box::pin(start_node::<Rt>(setup))
}

async fn start_node<Rt: AsyncRuntime>(setup: Setup) -> Result<RaftHandle, StartError> {
    let local = Local::new(setup.store.marker(), setup.name).running_as(setup.instance);
    let config = setup.tuning.config(&local.cluster).map_err(StartError::Tuning)?;
    let peers = Arc::new(Peers::new(local.clone(), setup.dialer, setup.alarm));
    let machine = StateMachine::new(setup.machine, setup.store.clone());
    let raft = super::node::OrRaft::<Rt>::new(
        local.party.node.0,
        Arc::new(config),
        Network::new(peers.clone()),
        setup.store.clone(),
        machine,
    )
    .await
    .map_err(|error| StartError::Restore(super::node::fatal(error)))?;
    let (failed, seen_failed) = watch::channel(None);
    let status = watch_status::<Rt>(&raft, peers.clone(), failed, setup.store.fatal());
    let node = Arc::new(Node { raft });
    let inner = Inner {
        local,
        outbound: node.clone(),
        inbound: node,
        peers,
        store: setup.store,
        status,
        failed: seen_failed,
        leader_heard: Mutex::new(None),
        spawn: |task| drop(Rt::spawn(task)),
        stopping: watch::Sender::new(false),
    };
    Ok(RaftHandle { inner: Arc::new(inner) })
}

impl RaftHandle {
    /// Who this node is to its peers.
    pub fn local(&self) -> &Local {
        &self.inner.local
    }

    /// The newest snapshot and the committed commands after it up to `upto`, for the flight recorder. Reads the disk.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn recorded(&self, upto: LogIndex) -> std::io::Result<super::Recorded> {
        self.inner.store.recorded(upto)
    }

    /// This node's view of its group; changes with every change of it, also while a leader hears its followers.
    pub fn status(&self) -> watch::Receiver<RaftStatus> {
        self.inner.status.clone()
    }

    /// Says, once and for ever, why this node can take no part any more. The process must exit then.
    pub fn fatal(&self) -> watch::Receiver<Option<Fatal>> {
        self.inner.failed.clone()
    }

    /// When this node last took entries or a heartbeat from a leader. [`RaftStatus::leader`] alone may name one that
    /// died a moment ago.
    pub fn leader_heard(&self) -> Option<Instant> {
        *self.inner.leader_heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a new group whose only voter is this node, and returns when it leads and takes commands and changes of
    /// membership. Once in the life of a group.
    ///
    /// # Errors
    /// [`RaftError::Refused`] if the store is not empty.
    pub async fn initialize(&self, seat: Seat) -> Result<(), RaftError> {
        let members = BTreeMap::from([(self.inner.local.party.node, seat)]);
        let ready = async {
            self.inner.outbound.initialize(members).await?;
            let mut status = self.status();
            let leads = status.wait_for(|status| status.standing == Standing::Leader).await;
            leads.map_err(|_| RaftError::Stopping)?;
            // Its first entry is committed when a read succeeds.
            self.inner.outbound.read_index().await
        };
        self.limited(CHANGE_TIMEOUT, ready).await.map(drop)
    }

    /// Commits a command and returns its index and what the state machine answered.
    ///
    /// # Errors
    /// After [`RaftError::Timeout`] or [`RaftError::Unknown`] it may be committed all the same; after any other error
    /// it is not. Deadline [`PROPOSE_TIMEOUT`].
    pub async fn propose(&self, command: Vec<u8>) -> Result<(LogIndex, Vec<u8>), RaftError> {
        let bytes = command.len();
        if bytes > COMMAND_BYTES_MAX {
            return Err(RaftError::TooLarge { bytes });
        }
        let begun = Instant::now();
        let committed = async {
            loop {
                match self.inner.outbound.propose(command.clone()).await {
                    // Nothing was done, and a leader that was elected a moment ago is about to be confirmed.
                    Err(RaftError::NoQuorum) if begun.elapsed() < LEASE_WAIT => sleep(LEASE_POLL).await,
                    answered => return answered,
                }
            }
        };
        self.limited(PROPOSE_TIMEOUT, committed).await
    }

    /// Confirms with a quorum that this node leads. Everything that was committed before the call is applied here
    /// when it returns; the answer is the index up to which that is certain.
    ///
    /// # Errors
    /// When this node does not lead, or no quorum answers. Deadline [`READ_TIMEOUT`].
    pub async fn linearizable_read(&self) -> Result<LogIndex, RaftError> {
        self.limited(READ_TIMEOUT, self.inner.outbound.read_index()).await
    }

    /// Admits a node that holds the log without a vote. Returns when that is committed; [`RaftStatus::caught_up`]
    /// says when it has the log. A node that is there already stays as it is.
    ///
    /// # Errors
    /// As [`Self::set_voters`].
    pub async fn add_learner(&self, node: NodeId, seat: Seat) -> Result<LogIndex, RaftError> {
        self.change(Change::AddLearner(node, seat)).await
    }

    /// Dismisses a node that has no vote.
    ///
    /// # Errors
    /// As [`Self::set_voters`].
    pub async fn remove_learner(&self, node: NodeId) -> Result<LogIndex, RaftError> {
        if self.status().borrow().voters().contains(&node) {
            return Err(RaftError::NotThere { node, needed: "a learner" });
        }
        self.change(Change::RemoveLearner(node)).await
    }

    /// Gives a node another address or incarnation.
    ///
    /// # Errors
    /// As [`Self::set_voters`].
    pub async fn update_seat(&self, node: NodeId, seat: Seat) -> Result<LogIndex, RaftError> {
        if self.status().borrow().seat(node).is_none() {
            return Err(RaftError::NotThere { node, needed: "a member" });
        }
        self.change(Change::Seat(node, seat)).await
    }

    /// Makes exactly these nodes voters, by joint consensus; the others become learners. They must be learners or
    /// voters already. Also finishes a change that another leader began.
    ///
    /// # Errors
    /// [`RaftError::Busy`] while another change is not committed. A change that ran into the deadline
    /// ([`CHANGE_TIMEOUT`]) goes on; look at the status.
    pub async fn set_voters(&self, voters: BTreeSet<NodeId>) -> Result<LogIndex, RaftError> {
        self.change(Change::Voters(voters)).await
    }

    /// Hands the leadership to a voter that has every entry, and returns when it leads.
    ///
    /// # Errors
    /// [`RaftError::Behind`] if it does not catch up or does not answer: then nothing has changed. After a
    /// [`RaftError::Timeout`] the group elects somebody by itself.
    pub async fn transfer_leader(&self, to: NodeId) -> Result<(), RaftError> {
        let mut status = self.status();
        self.must_lead(&status.borrow())?;
        if to == self.inner.local.party.node {
            return Ok(());
        }
        if !status.borrow().voters().contains(&to) {
            return Err(RaftError::NotThere { node: to, needed: "a voter" });
        }
        // While the library hands over, it takes no commands and sends no heartbeats; a successor that is behind or
        // gone would leave the group without a leader for an election. So nothing is begun before it has everything
        // and has answered a heartbeat that was sent after this moment.
        let asked = Instant::now();
        self.inner.outbound.trigger_heartbeat().await?;
        let ready = |status: &RaftStatus| {
            let progress = status.peers.get(&to).copied().unwrap_or_default();
            let answers = progress.heard.is_some_and(|heard| heard >= asked);
            status.standing != Standing::Leader || (answers && progress.matched == status.last_log)
        };
        match timeout(CATCH_UP_TIMEOUT, status.wait_for(ready)).await {
            Ok(Ok(seen)) => self.must_lead(&seen)?,
            Ok(Err(_)) => return Err(RaftError::Stopping),
            Err(_) => return Err(RaftError::Behind { node: to }),
        }
        self.inner.outbound.trigger_transfer(to).await?;
        match timeout(TRANSFER_TIMEOUT, status.wait_for(|status| status.leader == Some(to))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(RaftError::Stopping),
            Err(_) => Err(RaftError::Timeout { after: TRANSFER_TIMEOUT }),
        }
    }

    /// Takes a snapshot now, beside those that are taken by themselves.
    ///
    /// # Errors
    /// When this node has stopped.
    pub async fn snapshot_now(&self) -> Result<(), RaftError> {
        self.inner.outbound.trigger_snapshot().await
    }

    /// Drops the entries up to `upto` from the log, as far as a snapshot has them.
    ///
    /// # Errors
    /// When this node has stopped.
    pub async fn purge_now(&self, upto: LogIndex) -> Result<(), RaftError> {
        self.inner.outbound.trigger_purge(upto).await
    }

    /// Hands the leadership to the most caught-up voter, if this node leads, and stops. Returns when the store is
    /// closed. Waits for the others no longer than [`HAND_OVER_TIMEOUT`].
    pub async fn shutdown(&self) {
        if self.inner.stopping.send_replace(true) {
            let mut status = self.status();
            // Somebody else is at it; an error means that it is done.
            let _done = status.wait_for(|status| status.standing == Standing::Stopped).await;
            return;
        }
        if timeout(HAND_OVER_TIMEOUT, self.hand_over()).await.is_err() {
            tracing::warn!("stopping without hand-over of the leadership: nobody took it in time");
        }
        if timeout(STOP_TIMEOUT, self.inner.outbound.stop()).await.is_err() {
            tracing::warn!(
                "the Raft core did not end within {STOP_TIMEOUT:?}; closing the store all the same"
            );
        }
        self.inner.store.close().await;
    }

    /// Gives the leadership to the first voter that takes it, the most caught-up one first.
    async fn hand_over(&self) {
        let own = self.inner.local.party.node;
        let candidates = {
            let status = self.inner.status.borrow();
            if status.standing != Standing::Leader {
                return;
            }
            status.successors(own, SUCCESSOR_SILENCE)
        };
        for candidate in candidates {
            match self.transfer_leader(candidate).await {
                Ok(()) => {
                    tracing::info!(node = %candidate, "leadership handed over before stopping");
                    return;
                }
                Err(error) => tracing::warn!(node = %candidate, %error, "could not hand over the leadership"),
            }
        }
    }

    pub(super) fn inbound(&self) -> &Arc<dyn Inbound> {
        &self.inner.inbound
    }

    pub(super) fn known(&self, node: NodeId) -> Option<Seat> {
        self.inner.peers.known(node)
    }

    pub(super) fn note_leader(&self) {
        *self.inner.leader_heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn must_lead(&self, status: &RaftStatus) -> Result<(), RaftError> {
        if status.standing == Standing::Leader {
            return Ok(());
        }
        let leader = status.leader_seat().map(|(node, seat)| Box::new((node, seat.clone())));
        Err(RaftError::NotLeader { leader })
    }

    /// Runs a change to its end even if the caller stops waiting: one that is dropped half-way would leave the group
    /// with two sets of voters.
    async fn change(&self, change: Change) -> Result<LogIndex, RaftError> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let outbound = self.inner.outbound.clone();
        (self.inner.spawn)(Box::pin(async move {
            drop(sender.send(outbound.change(change).await));
        }));
        self.limited(CHANGE_TIMEOUT, async { receiver.await.unwrap_or(Err(RaftError::Stopping)) }).await
    }

    async fn limited<T>(
        &self,
        after: Duration,
        work: impl Future<Output = Result<T, RaftError>>,
    ) -> Result<T, RaftError> {
        let result = timeout(after, work).await.unwrap_or(Err(RaftError::Timeout { after }));
        match result {
            Err(RaftError::Fatal(_)) if *self.inner.stopping.borrow() => Err(RaftError::Stopping),
            result => result,
        }
    }
}
