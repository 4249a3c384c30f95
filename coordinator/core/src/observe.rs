//! What is looked at before a plan is made, and what was seen: the questions to a host and its answers.
//!
//! Knows nothing about how a host looks.

mod foreign;

pub use foreign::{ForeignLock, ForeignLocks, Life, Tool, Writer};

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
    /// Also look for other tools' locks in `databases`.
    #[serde(default)]
    pub locks: bool,
    /// Also tell how this machine is.
    #[serde(default)]
    pub machine: bool,
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
    /// Locks of other tools by database, if they were asked for; agents of an older build leave them out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub locks: BTreeMap<DatabaseName, Result<ForeignLocks, String>>,
    /// How this machine is, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineFacts>,
}

/// How a machine is, for `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFacts {
    /// Its wall clock, unix ms.
    pub wall_ms: u64,
    /// Why its identity is weak, that is what a copy of its disk would not show; none: it is strong.
    pub weak: Option<String>,
    /// Room where the agent keeps its data, and where backup sets of its databases go.
    pub rooms: Vec<Result<Room, String>>,
}

/// Room on a file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// A directory on it.
    pub directory: String,
    /// Bytes that may still be written.
    pub free: u64,
    /// Bytes it has.
    pub size: u64,
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
