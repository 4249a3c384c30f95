//! What is looked at before a plan is made, and what was seen: the questions to a host and its answers.
//!
//! Knows nothing about how a host looks.

use crate::{
    cluster::{BalancerSpec, DatabaseSpec},
    ids::{BalancerName, DatabaseName, MemberName},
    profile::VersionQuery,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What facts are wanted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FactsQuery {
    /// How this member's application version is found; empty: unknown.
    pub version: Option<VersionQuery>,
    /// Databases to look at, when this agent is asked to.
    pub databases: BTreeMap<DatabaseName, DatabaseQuery>,
    /// Release directory to hash, empty for none.
    pub release: String,
    /// Also prove by harmless real acts what a rollout would need of `databases` and of these balancers. For `check`,
    /// which a person runs; looks on a timer prove nothing.
    #[serde(default)]
    pub prove: Option<BTreeMap<BalancerName, BalancerSpec>>,
    /// Balancers to ask for their servers' states, when this agent is asked to.
    #[serde(default)]
    pub balancers: BTreeMap<BalancerName, BalancerSpec>,
}

/// A database to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseQuery {
    /// How to reach it.
    pub spec: DatabaseSpec,
    /// SQL that answers the schema's version.
    pub schema: String,
}

/// What was seen, or why not, value by value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The application's installed version.
    pub version: Option<Result<String, String>>,
    /// Identity and schema version by database.
    pub databases: BTreeMap<DatabaseName, Result<DatabaseFacts, String>>,
    /// Tree hash of the asked release directory.
    pub release: Option<Result<String, String>>,
    /// What was tried, if it was asked for.
    #[serde(default)]
    pub proofs: Vec<Proof>,
    /// Servers' states by balancer and member: `ready`, or a word for being out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub balancers: BTreeMap<BalancerName, Result<BTreeMap<MemberName, String>, String>>,
}

/// A harmless real act and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The database or balancer.
    pub subject: String,
    /// What was tried, such as `make and drop a login`.
    pub act: String,
    /// What was seen, or why it cannot be done.
    pub seen: Result<String, String>,
}

/// What an engine says of one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// PostgreSQL: `system identifier/database oid`; SQLite: application id and the directory's inode.
    pub identity: String,
    /// The schema version as text.
    pub schema: String,
}
