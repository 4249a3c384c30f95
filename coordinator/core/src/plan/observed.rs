//! What was seen of the cluster before planning, and what a plan is made from.

use super::{Strategy, action::ActionKind};
use crate::{
    cluster::ClusterSpec,
    ids::{BalancerName, ClusterId, DatabaseName, Digest, Incarnation, MemberName, PlanHash},
    profile::Profile,
    time::LogTime,
    version::Version,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Everything a plan depends on; the same input gives the same plan.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The group.
    pub cluster_id: &'a ClusterId,
    /// The cluster file.
    pub cluster: &'a ClusterSpec,
    /// Its version in the log.
    pub cluster_version: u64,
    /// BLAKE3 of its text.
    pub cluster_digest: &'a Digest,
    /// The profile it names.
    pub profile: &'a Profile,
    /// What was seen.
    pub observed: &'a Observed,
    /// How members shall pass.
    pub strategy: Strategy,
    /// The wished version.
    pub to: &'a Version,
    /// The plan this one amends.
    pub parent: Option<&'a PlanHash>,
    /// Whether a cluster that somebody began to upgrade by hand is taken over.
    pub adopt: bool,
}

/// Servers' states by balancer and member, as words.
pub type Servers = BTreeMap<BalancerName, BTreeMap<MemberName, String>>;

/// The word of a server that takes traffic.
pub const SERVES: &str = "ready";

/// What was seen of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// When, by the planning node's clock.
    pub at: LogTime,
    /// Members and witnesses.
    pub members: BTreeMap<MemberName, ObservedMember>,
    /// Databases.
    pub databases: BTreeMap<DatabaseName, ObservedDatabase>,
    /// What the balancers that could be asked say of each member's server: `ready`, or a word for being out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub balancers: Servers,
}

/// What was seen of a member or witness.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedMember {
    /// Its certificate's incarnation.
    pub incarnation: Incarnation,
    /// The application's installed version; none if it could not be read or there is no application.
    pub version: Option<Version>,
    /// Whether its agent answered.
    pub reachable: bool,
    /// The kinds of action its agent can do.
    pub actions: BTreeSet<ActionKind>,
    /// Tree hash of the wished release, if it is staged there already.
    pub release: Option<Digest>,
}

/// What was seen of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedDatabase {
    /// What the engine says it is.
    pub identity: String,
    /// The schema's version.
    pub schema: String,
}
