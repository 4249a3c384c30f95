//! Thin services: who may call, what is asked of the group, what is answered. They decide nothing about rollouts.

mod claim;
mod enrolment;
mod group;
mod operator;
mod plans;
mod quarantine;
mod renewal;
mod records;
mod rights;
mod trust;
mod views;

pub use enrolment::LocalEnrolment;
pub use group::group_service;
pub use operator::operator_service;
pub use quarantine::serve_refusal;
pub use renewal::LocalRenewal;
pub use rights::LocalRights;

use crate::{
    flight::Flight, incumbents::Incumbents, local_group::LocalGroup, machine::SharedTrail, pki::Keys, raft::RaftHandle,
    sight::Sightings,
};
use lockkeeper_core::{ids::MemberName, rollout::Facts};
use lockkeeper_proto::{port::{Clock, Instance, Observer}, transport::Dialer};
use std::sync::Arc;
use tokio::sync::watch;

/// What every service of one node needs.
#[derive(Clone)]
pub struct Api {
    /// This node.
    pub me: MemberName,
    /// Its group.
    pub group: Arc<LocalGroup>,
    /// The audit's entries, as the state machine keeps them.
    pub trail: SharedTrail,
    /// The Raft node, for its log.
    pub raft: RaftHandle,
    /// What this node decided as leader.
    pub flight: Flight,
    /// Signs of life, on the leader.
    pub sightings: Arc<Sightings>,
    /// What the leader loop last looked at; none on followers.
    pub facts: watch::Receiver<Option<Facts>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ways to other agents.
    pub dialer: Arc<dyn Dialer>,
    /// Looks at this host.
    pub observer: Arc<dyn Observer>,
    /// Who is who on the local socket.
    pub local: LocalRights,
    /// What this node issues with, and the roots it hands out.
    pub keys: Arc<Keys>,
    /// Which running of this agent.
    pub instance: Instance,
    /// Who is heard under which name.
    pub incumbents: Arc<Incumbents>,
}
