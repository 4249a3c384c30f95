//! The making of a group: the first member initialises it and enrols the others. Happens once, before any fault.

use crate::{cluster::Cluster, sim::SimClock};
use lockkeeper_coordinator::assembly::Coordinator;
use lockkeeper_core::{
    identity::{Actor, Role},
    ids::{ClusterName, Digest, Generation, Incarnation, MemberName, RequestId},
    rollout::{Command, Reply, command::Enrol},
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
        let Ok(name) = ClusterName::new("library") else { return };
        let generation = Generation(1);
        let init = Command::Init { cluster: self.cluster.id.clone(), name, generation };
        self.propose(coordinator, "init", init).await;
        for (at, member) in self.cluster.agents().enumerate() {
            let hash = Digest::of(member.as_str().as_bytes());
            if at > 0 {
                let expires = LogTime(self.clock.wall_ms() + 3_600_000);
                let command = Command::TokenCreate { hash: hash.clone(), member: member.clone(), expires };
                self.propose(coordinator, &format!("token-{member}"), command).await;
            }
            let enrol = Enrol {
                member: member.clone(),
                node_id: self.cluster.node(member),
                incarnation: Incarnation(1),
                address: self.cluster.address(member),
                fingerprint: Digest::of(b"machine"),
                token: (at > 0).then_some(hash),
            };
            self.propose(coordinator, &format!("enrol-{member}"), Command::Enrol(enrol)).await;
        }
    }

    async fn propose(&self, coordinator: &Coordinator, word: &str, command: Command) {
        let actor = Actor { name: "ada".into(), role: Role::Admin, via: self.me.to_string() };
        let id = RequestId(format!("found/{word}"));
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
