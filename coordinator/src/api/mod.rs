//! Thin services: who may call, what is asked of the group, what is answered. They decide nothing about rollouts.

mod enrolment;
mod group;
mod operator;
mod plans;
mod records;
mod rights;
mod views;

pub use enrolment::LocalEnrolment;
pub use group::group_service;
pub use operator::operator_service;
pub use rights::LocalRights;

use crate::{flight::Flight, local_group::LocalGroup, machine::SharedTrail, raft::RaftHandle, pki::IssuingCa, sight::Sightings};
use lockkeeper_core::{ids::MemberName, rollout::Facts};
use lockkeeper_proto::{port::{Clock, Observer}, transport::Dialer};
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
    /// The issuing key, on voters that hold it.
    pub issuing: Option<Arc<IssuingCa>>,
    /// Roots handed to those who join; DER.
    pub roots: Vec<Vec<u8>>,
}
