//! The making of a group: the first member initialises it and enrols the others. Happens once, before any fault.

use crate::{cluster::Cluster, sim::SimClock};
use lockkeeper_coordinator::assembly::Coordinator;
use lockkeeper_core::{
    identity::{Actor, Role},
    ids::{ClusterName, Digest, Generation, Incarnation, MemberName, RequestId},
    rollout::{Command, Envelope, Reply, command::Enrol},
    stored,
    time::{LogTime, Millis},
};
use lockkeeper_proto::{
    port::{Clock as _, Group as _, Proposal},
    wire::raft::Seat,
};

/// What the first member needs.
pub struct Founding<'a> {
    cluster: &'a Cluster,
    me: &'a MemberName,
    clock: &'a SimClock,
}

impl<'a> Founding<'a> {
    /// For the process of `me`.
    pub const fn new(cluster: &'a Cluster, me: &'a MemberName, clock: &'a SimClock) -> Self {
        Self { cluster, me, clock }
    }

    /// Makes the group, if this is the first member's first start; never returns.
    pub async fn run(self, coordinator: &Coordinator, found: bool) {
        if !found && self.cluster.members.first() == Some(self.me) {
            self.make(coordinator).await;
        }
        std::future::pending().await
    }

    async fn make(&self, coordinator: &Coordinator) {
        let seat = Seat {
            name: self.me.clone(),
            address: self.cluster.address(self.me),
            incarnation: Incarnation(1),
        };
        // Nothing has failed yet, and what comes after waits for the group in any case.
        let _made = coordinator.raft.initialize(seat).await;
        for (word, command) in commands(self.cluster, self.clock.wall_ms()) {
            self.propose(coordinator, &word, command).await;
        }
    }

    async fn propose(&self, coordinator: &Coordinator, word: &str, command: Command) {
        let (id, actor) = by(word, self.me);
        loop {
            let (id, actor) = (id.clone(), Some(actor.clone()));
            let proposal = Proposal { id, actor, trace: String::new(), command: command.clone() };
            match coordinator.group.propose(proposal).await {
                Ok(Reply::Applied { .. }) => return,
                Ok(Reply::Rejected(rejection)) => {
                    tracing::error!(%rejection, kind = ?command.kind(), "the founding is refused");
                    return;
                }
                Err(error) => tracing::debug!(%error, "again"),
            }
            self.clock.sleep(Millis(100)).await;
        }
    }
}

fn by(word: &str, first: &MemberName) -> (RequestId, Actor) {
    let actor = Actor { name: "ada".into(), role: Role::Admin, via: first.to_string() };
    (RequestId(format!("found/{word}")), actor)
}

/// What makes a group: its identity, then a token and an enrolment for each machine. `now` in unix ms.
fn commands(cluster: &Cluster, now: u64) -> Vec<(String, Command)> {
    let Ok(name) = ClusterName::new("library") else { return Vec::new() };
    let init = Command::Init { cluster: cluster.id.clone(), name, generation: Generation(1) };
    let mut commands = vec![("init".to_owned(), init)];
    for (at, member) in cluster.agents().enumerate() {
        let hash = Digest::of(member.as_str().as_bytes());
        if at > 0 {
            let expires = LogTime(now + 3_600_000);
            let command = Command::TokenCreate { hash: hash.clone(), member: member.clone(), expires };
            commands.push((format!("token-{member}"), command));
        }
        let enrol = Enrol {
            member: member.clone(),
            node_id: cluster.node(member),
            incarnation: Incarnation(1),
            address: cluster.address(member),
            fingerprint: Digest::of(b"machine"),
            token: (at > 0).then_some(hash),
        };
        commands.push((format!("enrol-{member}"), Command::Enrol(enrol)));
    }
    commands
}

/// The same as entries of a log, for the light tier, which has no founding. `now` in unix ms.
pub fn entries(cluster: &Cluster, now: u64) -> Vec<Vec<u8>> {
    let Some(first) = cluster.members.first() else { return Vec::new() };
    let entry = |(word, command): (String, Command)| {
        let (id, actor) = by(&word, first);
        let envelope = Envelope { id, time: LogTime(now), actor: Some(actor), trace: String::new(), command };
        stored::encode_envelope(&envelope).ok()
    };
    commands(cluster, now).into_iter().filter_map(entry).collect()
}
