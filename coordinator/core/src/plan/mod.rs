//! Plans: immutable, content-hashed lists of typed steps from what was observed to one version.
//!
//! A plan is whole: nothing is left to choose while executing except the member that upgrades the database, and
//! that choice is committed. This module knows nothing about how a rollout goes.

pub mod action;
mod adopt;
mod build;
mod canonical;
pub mod diff;
mod expand;
mod file;
mod fill;
mod hash;
pub mod limits;
pub mod observed;
mod order;
pub mod planner;
pub mod report;
mod restore;
mod rolling;
mod route;
mod safety;
pub mod step;

pub use action::{Action, ActionKind};
pub use adopt::Adoption;
pub use diff::{Difference, bound_differences, check_fresh, diff};
pub use file::read_plan;
pub(crate) use fill::unfilled;
pub use hash::{hash, render};
pub use observed::{Observed, ObservedDatabase, ObservedMember, PlanInput, Servers};
pub use planner::plan;
pub use report::{Glyphs, PlanReport};
pub use step::{Deadline, OwedKey, Phase, Serial, SharedTarget, Step, Target, Way, Who};

use crate::{
    cluster::{BalancerSpec, DatabaseSpec, OnUpgraderLoss},
    ids::{
        BalancerName, ClusterId, ClusterName, DatabaseName, Incarnation, MemberName, PlanHash, ProfileName,
    },
    time::{LogTime, Millis},
    version::Version,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole plan. Its file is the canonical JSON (RFC 8785) of this value, byte for byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Format of the file; 1.
    pub format: u32,
    /// BLAKE3 of the canonical JSON without this field.
    pub hash: PlanHash,
    /// The plan this one amends.
    pub parent: Option<PlanHash>,
    /// The cluster's name, for people.
    pub cluster: ClusterName,
    /// How members pass.
    pub strategy: Strategy,
    /// Version the members have now.
    pub from: Version,
    /// Version they shall have.
    pub to: Version,
    /// What is taken over from whoever began by hand; none for a cluster that is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<Adoption>,
    /// Vendor-supported jumps; none when members are only restarted, or every member has the new version already.
    pub hops: Vec<Hop>,
    /// Facts that void the approval when they change before the point of no return.
    pub bound: BoundFacts,
    /// When the facts were observed, by the planning node's clock; for people.
    pub observed: LogTime,
    /// Connections the actions refer to by name.
    pub targets: Targets,
    /// What was decided beforehand.
    pub policy: PlanPolicy,
    /// The way forward.
    pub steps: Vec<Step>,
    /// The way back before the point of no return: a step is taken only while its `settles` is owed.
    pub undo: Vec<Step>,
    /// The way back after the point of no return: every step is taken, in this order. Empty when nothing of the plan
    /// is irreversible.
    pub restore: Vec<Step>,
}

impl Plan {
    /// Every step: the way forward, the way back, the restore; in the order of their numbers.
    pub fn every_step(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.undo).chain(&self.restore)
    }

    /// The steps of one way.
    pub fn way(&self, way: Way) -> &[Step] {
        match way {
            Way::Forward => &self.steps,
            Way::Undo => &self.undo,
            Way::Restore => &self.restore,
        }
    }
}

/// How members pass through the upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// All out, the first upgrades the database, the rest follow one by one.
    Offline,
    /// No schema change: one member at a time out, through, proven and back in, never below the capacity floor.
    Rolling,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Strategy; 2] = [Strategy::Offline, Strategy::Rolling];

    /// The word used on the command line and in plans.
    pub const fn as_str(self) -> &'static str {
        match self {
            Strategy::Offline => "offline",
            Strategy::Rolling => "rolling",
        }
    }
}

/// One vendor-supported jump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// From this version.
    pub from: Version,
    /// To this one.
    pub to: Version,
}

/// What the approval rests on: identities and contents, never health or counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundFacts {
    /// The group.
    pub cluster_id: ClusterId,
    /// Version of the cluster file in the log.
    pub cluster_version: u64,
    /// BLAKE3 of the cluster file.
    pub cluster_digest: String,
    /// The profile.
    pub profile: ProfileName,
    /// BLAKE3 of the profile.
    pub profile_digest: String,
    /// Members, their identities and source versions.
    pub members: BTreeMap<MemberName, BoundMember>,
    /// Databases and their identities.
    pub databases: BTreeMap<DatabaseName, BoundDatabase>,
    /// Members' servers that an adoption found out of their balancers, with the state they were found in. Somebody else
    /// took them out, so they are neither owed nor put back on the way back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub out: observed::Servers,
}

/// A member as it was observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundMember {
    /// Its certificate's incarnation.
    pub incarnation: Incarnation,
    /// The application's version.
    pub version: Version,
    /// Tree hash of the staged new release; empty if it is staged by the plan.
    pub release: String,
}

/// A database as it was observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundDatabase {
    /// What the engine says it is (system identifier and database oid, or the file's application id).
    pub identity: String,
    /// The schema's version.
    pub schema: String,
}

/// Connections by name, so that actions stay small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Targets {
    /// Balancers.
    pub balancers: BTreeMap<BalancerName, BalancerSpec>,
    /// Databases.
    pub databases: BTreeMap<DatabaseName, DatabaseSpec>,
    /// Agents' addresses and application hosts by member.
    pub members: BTreeMap<MemberName, String>,
}

/// What the cluster file decided for this rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanPolicy {
    /// What happens when the upgrader is lost.
    pub on_upgrader_loss: OnUpgraderLoss,
    /// A member not heard of for this long counts as lost.
    pub lost_after: Millis,
    /// Failures tolerated, absolute.
    pub max_failures: u32,
    /// Approvals needed.
    pub approvals: u32,
    /// Approver and operator must differ.
    pub four_eyes: bool,
    /// `rolling`: never fewer members than this in a balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_floor: Option<u32>,
    /// Members that may be elected upgrader of each database.
    pub upgraders: BTreeMap<DatabaseName, Vec<MemberName>>,
    /// Candidates of each shared target's executor, in order.
    pub executors: Vec<(SharedTarget, Vec<MemberName>)>,
}
