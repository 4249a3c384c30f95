//! One simulated process: the shipped wiring of coordinator and agent, on a simulated machine. Everything that is put
//! together here is put together by `Coordinator::start` and `Node::start`, as in a real process.

use crate::{
    cluster::Cluster,
    echo::EchoGroup,
    found::Founding,
    host::FakeHost,
    knobs::Knobs,
    sim::{Card, Now, Power, SimClock, SimDialer},
    watch::{Seen, Watch},
    world::Shared,
};
use futures::{StreamExt as _, future::BoxFuture};
use lockkeeper_agent::{
    journal::Journal,
    node::{Node, Parts as AgentParts},
};
use lockkeeper_coordinator::{
    api::LocalRights,
    assembly::{Coordinator, Parts},
    presence::HostReport,
    raft::{Blocking, Marker, RaftHandle, ScopeLayer, Simulation, Store, StoreError, StoreMarker, Tuning},
};
use lockkeeper_core::{
    ids::{Generation, Incarnation, LogIndex, MemberName, NodeId},
    plan::ActionKind,
};
use lockkeeper_proto::{
    port::{Clock as _, Group, View},
    transport::PeerIo,
};
use std::{io, sync::Arc};
use tokio::sync::{mpsc, watch};

/// The build every simulated agent announces.
const BUILD: &str = "sim";

/// What a process is started with.
pub struct Process {
    /// The machine's name.
    pub me: MemberName,
    /// Of this start.
    pub seed: u64,
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// Snapshot figures differ by seed.
    pub tuning: Tuning,
    /// The outside.
    pub world: Shared,
    /// The machine's clock.
    pub clock: SimClock,
    /// The world's time, for the books.
    pub now: Now,
    /// The machine's power and disks.
    pub power: Power,
    /// The machine's network card.
    pub card: Card,
    /// What is seen of it.
    pub watch: Watch,
    /// What the driver turns while it runs.
    pub knobs: Knobs,
}

/// Why a process ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("store: {0}")]
    Store(#[from] StoreError),
    #[error("journal: {0}")]
    Journal(#[from] lockkeeper_agent::journal::JournalError),
    #[error("start: {0}")]
    Start(#[from] lockkeeper_coordinator::raft::StartError),
    #[error("raft: {0}")]
    Raft(lockkeeper_coordinator::raft::Fatal),
    #[error("agent: {0}")]
    Agent(#[from] lockkeeper_agent::task::TaskError),
    #[error("{0} ended")]
    Part(&'static str),
}

fn marker(cluster: &Cluster, node: NodeId) -> Marker {
    Marker {
        cluster: cluster.id.clone(),
        generation: Generation(1),
        node,
        incarnation: Incarnation(1),
        store: StoreMarker(uuid::Uuid::from_u128(u128::from(node.0))),
    }
}

impl Process {
    /// Lives until it fails; killing drops it.
    pub async fn run(self) {
        let (now, me, watch, power) =
            (self.now.clone(), self.me.clone(), self.watch.clone(), self.power.clone());
        let incoming = self.card.listen();
        let scope = ScopeLayer::new(self.seed);
        let life = scope.run(self.live(scope.clone(), incoming));
        // Boxed, because the whole agent is in this future.
        let life: BoxFuture<'static, Result<(), Ended>> = Box::pin(life);
        if let Err(ended) = life.await {
            // What a machine without power says is heard by nobody.
            if !power.is_off() {
                watch.saw(now.ms(), &me, Seen::Ended { why: chain(&ended) });
            }
        }
    }

    fn open_store(&self) -> Result<(Store, bool), Ended> {
        let marker = marker(&self.cluster, self.cluster.node(&self.me));
        let (disk, exists) = self.power.store();
        if exists {
            match Store::open_backend(disk.clone(), &marker, Blocking::Inline) {
                Err(StoreError::Unfinished) => {}
                opened => return Ok((opened?, true)),
            }
        }
        Ok((Store::create_backend(disk, &marker, Blocking::Inline)?, false))
    }

    async fn live(self, scope: ScopeLayer, incoming: mpsc::UnboundedReceiver<PeerIo>) -> Result<(), Ended> {
        let (store, found) = self.open_store()?;
        let journal = Journal::open(Box::new(self.power.journal()), self.clock.wall_ms())?;
        let torn = journal.ledger().torn();
        self.watch.saw(self.now.ms(), &self.me, Seen::Started { torn, store: found });
        let dialer = Arc::new(SimDialer::new(self.card.clone(), self.cluster.places.clone()));
        let clock = Arc::new(self.clock.clone());
        let host = FakeHost::new(self.me.clone(), self.world.clone(), self.clock.clone(), self.power.clone());
        let (report, reports) = watch::channel(HostReport::default());
        let coordinator = Coordinator::start::<Simulation>(Parts {
            me: self.me.clone(),
            incarnation: Incarnation(1),
            agent_version: BUILD.into(),
            store,
            tuning: self.tuning,
            dialer,
            observer: Arc::new(host.clone()),
            clock: clock.clone(),
            local: LocalRights::default(),
            keys: Arc::default(),
            report: reports,
            instance: lockkeeper_proto::port::Instance::default(),
            scope: Some(scope.clone()),
        })
        .await?;
        let incoming = tokio_stream::wrappers::UnboundedReceiverStream::new(incoming).map(io::Result::Ok);
        let server = coordinator.serve_peers(Box::pin(incoming), Box::pin(std::future::pending()));
        let group: Arc<dyn Group> = coordinator.group.clone();
        let mut node = Node::start(AgentParts {
            me: self.me.clone(),
            agent_version: BUILD.into(),
            allowed: ActionKind::ALL.into_iter().collect(),
            group: Arc::new(EchoGroup::new(group.clone(), self.knobs.clone(), self.seed)),
            host: Arc::new(host),
            clock,
            journal,
        });
        let reporting = tell_facts(node.sights(), report);
        let watching = self.watch_group(group.follow());
        let raft = coordinator.raft.clone();
        let watching_raft = self.watch_raft(raft.clone(), coordinator.group.consensus().leadership());
        let founding = Founding::new(&self.cluster, &self.me, &self.clock).run(&coordinator, found);
        let mut fatal = raft.fatal();
        tokio::select! {
            biased;
            ended = node.ended() => Ok(ended?),
            why = fatal.wait_for(Option::is_some) => Err(match why {
                Ok(why) => why.clone().map_or(Ended::Part("raft"), Ended::Raft),
                Err(_) => Ended::Part("raft"),
            }),
            _ = server => Err(Ended::Part("the server")),
            () = reporting => Err(Ended::Part("the report")),
            () = watching => Err(Ended::Part("the group")),
            () = watching_raft => Err(Ended::Part("raft's status")),
            () = founding => Err(Ended::Part("the founding")),
        }
    }

    /// Shows every state that this process comes to.
    pub async fn watch_group(&self, mut views: watch::Receiver<Arc<View>>) {
        let mut seen = LogIndex(0);
        loop {
            let view = views.borrow_and_update().clone();
            if view.applied != seen {
                seen = view.applied;
                self.watch.saw_state(self.now.ms(), &self.me, &view.state);
            }
            if views.changed().await.is_err() {
                return;
            }
        }
    }

    async fn watch_raft(
        &self,
        raft: RaftHandle,
        mut leadership: watch::Receiver<lockkeeper_coordinator::consensus::Leadership>,
    ) {
        let mut status = raft.status();
        let (mut vote, mut leading, mut snapshot) = (None, (0, false), None);
        loop {
            let now = status.borrow_and_update().clone();
            let lead = leadership.borrow_and_update().clone();
            // A vote whose sync failed was never given.
            if !self.power.is_off() && now.vote != vote {
                vote = now.vote;
                if let Some(vote) = vote {
                    let seen = Seen::Vote { term: vote.term.0, node: vote.node.0, committed: vote.committed };
                    self.watch.saw(self.now.ms(), &self.me, seen);
                }
            }
            if (lead.term, lead.leading) != leading {
                leading = (lead.term, lead.leading);
                let seen = Seen::Leading { term: lead.term, leading: lead.leading };
                self.watch.saw(self.now.ms(), &self.me, seen);
            }
            // A log that was cut off as a whole was replaced by the leader's snapshot; after one of its own a node keeps
            // some entries.
            if now.snapshot != snapshot {
                snapshot = now.snapshot;
                if let Some(index) = snapshot
                    && now.last_log == Some(index)
                    && now.purged == Some(index)
                {
                    self.watch.saw(self.now.ms(), &self.me, Seen::Snapshot { index });
                }
            }
            let changed = tokio::select! {
                biased;
                changed = status.changed() => changed,
                changed = leadership.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }
}

/// Passes on what the agent sees of its host.
pub async fn tell_facts(
    mut sights: watch::Receiver<Option<lockkeeper_agent::facts::Sight>>,
    report: watch::Sender<HostReport>,
) {
    loop {
        let sight = sights.borrow_and_update().clone();
        if let Some(sight) = sight {
            let (facts_json, digest) = (sight.json(), sight.digest().0);
            report.send_replace(HostReport { facts_json, digest, at: sight.at });
        }
        if sights.changed().await.is_err() {
            return;
        }
    }
}

/// An error with all its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
