//! Puts one voter's coordinator together: Raft node, state machine, group, leader loop, signs of life, services.
//!
//! The command line and the simulation both call this, so the simulation runs the shipped wiring. What differs is
//! handed in: the runtime's randomness, the store's disk, the dialer, the incoming connections, the clock.

use crate::{
    alarm::Alarm,
    api::{Api, LocalEnrolment, LocalRenewal, LocalRights, group_service, operator_service},
    flight::Flight,
    greeting::Greeting,
    incumbents::Incumbents,
    leader::Leader,
    local_group::LocalGroup,
    machine::StateMachine,
    pki::{Keys, enrol::enrol_service, renew::renew_service},
    presence::{HostReport, Presence},
    raft::{AsyncRuntime, OneOfEach, RaftHandle, RaftService, ScopeLayer, Setup, StartError, Store, Tuning, start as start_raft},
    raft_consensus::RaftConsensus,
    sight::Sightings,
};
use futures::future::BoxFuture;
use lockkeeper_core::ids::{Incarnation, MemberName};
use lockkeeper_proto::{
    port::{Clock, Instance, Observer},
    transport::{Dialer, Incoming, joining_server, peer_server, renewing_server},
};
use std::{future::Future, sync::Arc};
use tokio::{sync::watch, task::JoinSet};
use tower::util::option_layer;

/// What a voter's coordinator is made of.
pub struct Parts {
    /// This node.
    pub me: MemberName,
    /// Its identity's incarnation.
    pub incarnation: Incarnation,
    /// Its build, for `status` and for features.
    pub agent_version: String,
    /// Its open store, whose marker was checked against the identity.
    pub store: Store,
    /// Election and snapshot figures.
    pub tuning: Tuning,
    /// Ways to other agents.
    pub dialer: Arc<dyn Dialer>,
    /// Looks at this host.
    pub observer: Arc<dyn Observer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who is who on the local socket.
    pub local: LocalRights,
    /// What this node issues with, and the roots it hands out.
    pub keys: Arc<Keys>,
    /// What the agent sees of its host.
    pub report: watch::Receiver<HostReport>,
    /// Which running of this agent; the default tells nothing.
    pub instance: Instance,
    /// Simulation only: where its random numbers come from, also in tasks and requests.
    pub scope: Option<ScopeLayer>,
}

/// A running coordinator.
pub struct Coordinator {
    /// The Raft node, for benchmarks and the store's fatal errors.
    pub raft: RaftHandle,
    /// The group, for the agent.
    pub group: Arc<LocalGroup>,
    /// What the services need.
    pub api: Api,
    /// Why peers will not hear this node any more: another agent has its name.
    pub rival: watch::Receiver<Option<String>>,
    scope: Option<ScopeLayer>,
    // Aborted when the coordinator is dropped.
    tasks: JoinSet<()>,
}

impl Coordinator {
    /// Starts everything but the services.
    pub async fn start<Rt: AsyncRuntime>(parts: Parts) -> Result<Self, StartError> {
        let (machine, state) = StateMachine::new();
        let (alarm, incumbents) = (Arc::new(Alarm::default()), Arc::new(Incumbents::default()));
        let (trail, flight) = (machine.trail(), Flight::default());
        let setup = Setup {
            name: parts.me.clone(),
            store: parts.store,
            machine: Box::new(machine),
            dialer: parts.dialer.clone(),
            tuning: parts.tuning,
            instance: parts.instance.clone(),
            alarm: alarm.clone(),
        };
        let raft = start_raft::<Rt>(setup).await?;
        let consensus = RaftConsensus::new(raft.clone(), parts.clock.clone());
        let (dialer, clock) = (parts.dialer.clone(), parts.clock.clone());
        let group = LocalGroup::new(parts.me.clone(), parts.instance.clone(), consensus, state, dialer, clock);
        let sightings = Arc::new(Sightings::default());
        let (shown, facts) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let leader = Leader {
            me: parts.me.clone(),
            group: group.clone(),
            sightings: sightings.clone(),
            clock: parts.clock.clone(),
            flight: flight.clone(),
        };
        tasks.spawn(scoped(parts.scope.as_ref(), leader.run(shown)));
        let presence = Presence {
            me: parts.me.clone(),
            incarnation: parts.incarnation,
            agent_version: parts.agent_version,
            group: group.clone(),
            sightings: sightings.clone(),
            dialer: parts.dialer.clone(),
            clock: parts.clock.clone(),
            report: parts.report,
            instance: parts.instance.clone(),
            alarm: alarm.clone(),
        };
        tasks.spawn(scoped(parts.scope.as_ref(), presence.run()));
        if !parts.instance.is_silent() {
            let greeting = Greeting {
                me: parts.me.clone(),
                instance: parts.instance.clone(),
                group: group.clone(),
                dialer: parts.dialer.clone(),
                clock: parts.clock.clone(),
                alarm: alarm.clone(),
            };
            tasks.spawn(scoped(parts.scope.as_ref(), greeting.run()));
        }
        let api = Api {
            me: parts.me,
            group: group.clone(),
            trail,
            raft: raft.clone(),
            flight,
            sightings,
            facts,
            clock: parts.clock,
            dialer: parts.dialer,
            observer: parts.observer,
            local: parts.local,
            keys: parts.keys,
            instance: parts.instance,
            incumbents,
        };
        Ok(Self { raft, group, api, rival: alarm.rung(), scope: parts.scope, tasks })
    }

    /// Serves agents and operators with certificates, until `stop`.
    pub fn serve_peers(
        &self,
        incoming: Incoming,
        stop: BoxFuture<'static, ()>,
    ) -> impl Future<Output = Result<(), lockkeeper_proto::transport::ServeError>> + Send + use<> {
        let router = peer_server()
            .layer(option_layer(self.scope.clone()))
            .add_service(RaftService::server(self.raft.clone(), self.one_of_each()))
            .add_service(group_service(self.api.clone()))
            .add_service(operator_service(self.api.clone()));
        async move { router.serve_with_incoming_shutdown(incoming, stop).await }
    }

    fn one_of_each(&self) -> OneOfEach {
        OneOfEach { incumbents: self.api.incumbents.clone(), clock: self.api.clock.clone() }
    }

    /// Serves operators on the local socket, until `stop`. Neither Raft nor the group is offered there.
    pub fn serve_local(
        &self,
        incoming: Incoming,
        stop: BoxFuture<'static, ()>,
    ) -> impl Future<Output = Result<(), lockkeeper_proto::transport::ServeError>> + Send + use<> {
        let router = peer_server().add_service(operator_service(self.api.clone()));
        async move { router.serve_with_incoming_shutdown(incoming, stop).await }
    }

    /// Serves those who have a token and no certificate, until `stop`: enrolment and nothing else.
    pub fn serve_joiners(
        &self,
        incoming: Incoming,
        stop: BoxFuture<'static, ()>,
    ) -> impl Future<Output = Result<(), lockkeeper_proto::transport::ServeError>> + Send + use<> {
        let enrolment = Arc::new(LocalEnrolment(self.api.clone()));
        let router = joining_server().add_service(enrol_service(enrolment));
        async move { router.serve_with_incoming_shutdown(incoming, stop).await }
    }

    /// Serves nodes whose certificate is good, or was, until `stop`: renewal and nothing else.
    pub fn serve_renewing(
        &self,
        incoming: Incoming,
        stop: BoxFuture<'static, ()>,
    ) -> impl Future<Output = Result<(), lockkeeper_proto::transport::ServeError>> + Send + use<> {
        let renewal = Arc::new(LocalRenewal(self.api.clone()));
        let router = renewing_server().add_service(renew_service(renewal));
        async move { router.serve_with_incoming_shutdown(incoming, stop).await }
    }

    /// Hands leadership over, if this node has it, and stops.
    pub async fn shutdown(mut self) {
        self.group.consensus().shutdown().await;
        self.tasks.shutdown().await;
    }
}

fn scoped(
    scope: Option<&ScopeLayer>,
    task: impl Future<Output = ()> + Send + 'static,
) -> BoxFuture<'static, ()> {
    match scope {
        Some(scope) => Box::pin(scope.run(task)),
        None => Box::pin(task),
    }
}
