//! Puts one agent together: executor, announcement, facts. The command line and the simulation both call this, so the
//! simulation runs the shipped wiring; what differs is behind the ports that are handed in.
//!
//! Knows nothing about Raft, TLS or sockets: the group is a port, whoever implements it.

use crate::{
    announce,
    clock::Clock,
    facts::{self, HostObserver, Sight},
    host::Host,
    journal::Journal,
    task::{self, Context, TaskError},
};
use lockkeeper_core::{ids::MemberName, plan::ActionKind};
use lockkeeper_proto::port::Group;
use std::{collections::BTreeSet, sync::Arc};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// What an agent is made of.
pub struct Parts {
    /// Its name in the cluster file.
    pub me: MemberName,
    /// Its build.
    pub agent_version: String,
    /// Actions the local policy allows.
    pub allowed: BTreeSet<ActionKind>,
    /// The group.
    pub group: Arc<dyn Group>,
    /// The outside.
    pub host: Arc<dyn Host>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The open journal.
    pub journal: Journal,
}

/// A running agent.
#[derive(Debug)]
pub struct Node {
    executor: JoinHandle<Result<(), TaskError>>,
    // Aborted when the node is dropped.
    helpers: JoinSet<()>,
    stop: watch::Sender<bool>,
    sights: watch::Receiver<Option<Sight>>,
}

impl Node {
    /// Starts everything. Must run inside a runtime.
    pub fn start(parts: Parts) -> Self {
        let Parts { me, agent_version, allowed, group, host, clock, journal } = parts;
        let observer = HostObserver { host: host.clone(), clock: clock.clone() };
        let context = Arc::new(Context::new(me.clone(), group.clone(), host, clock, allowed, journal));
        let (stop, stopping) = watch::channel(false);
        let (sender, sights) = watch::channel(None);
        let mut helpers = JoinSet::new();
        helpers.spawn(announce::keep(context.clone(), agent_version));
        helpers.spawn(facts::keep(me, group, observer, sender));
        let executor = tokio::spawn(task::run(context, stopping));
        Self { executor, helpers, stop, sights }
    }

    /// What the agent sees of its host; none before the first look.
    pub fn sights(&self) -> watch::Receiver<Option<Sight>> {
        self.sights.clone()
    }

    /// Waits for the end of the executor: an error means that the whole agent must stop, because it may not act
    /// without its memory; `Ok` that the group is gone or [`Node::stop`] was called.
    pub async fn ended(&mut self) -> Result<(), TaskError> {
        match (&mut self.executor).await {
            Ok(ended) => ended,
            Err(error) => Err(TaskError::Panicked(error)),
        }
    }

    /// Stops in good order: nothing new is taken up, units run on and are adopted by the next life, and every record
    /// is on the disk already.
    pub async fn stop(mut self) -> Result<(), TaskError> {
        self.stop.send_replace(true);
        let ended = self.ended().await;
        self.helpers.shutdown().await;
        ended
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A simulated crash, or an agent that gives up: whatever waits is dropped where it stands.
        self.executor.abort();
    }
}
