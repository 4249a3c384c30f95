//! What a checked cluster file says. Nothing here is optional that the program relies on.

use crate::{
    ids::{BalancerName, ClusterName, DatabaseName, MemberName, ProfileName},
    time::Millis,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole cluster file, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The profile that knows the product.
    pub profile: ProfileName,
    /// Who votes.
    pub voters: Voters,
    /// Members by name.
    pub members: BTreeMap<MemberName, MemberSpec>,
    /// Witnesses: agents with a vote and no application.
    pub witnesses: BTreeMap<MemberName, MemberSpec>,
    /// Policies.
    pub policy: Policy,
    /// Balancers by name.
    pub balancers: BTreeMap<BalancerName, BalancerSpec>,
    /// Databases by name.
    pub databases: BTreeMap<DatabaseName, DatabaseSpec>,
    /// What the profile asks for, flattened to dotted keys, as typed values.
    pub parameters: BTreeMap<String, Parameter>,
}

/// One member or witness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberSpec {
    /// `host:port` of its agent.
    pub address: String,
    /// Where the application listens, if not on the agent's host; used as `{member.host}`.
    pub host: String,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// Values of this member alone, `{member.KEY}` in templates.
    pub values: BTreeMap<String, String>,
}

/// Which agents vote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Voters {
    /// The largest odd number <= min(5, members + witnesses).
    Auto,
    /// Exactly these.
    List(Vec<MemberName>),
}

/// What happens when the upgrader is lost. `Halt` leaves the decision to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnUpgraderLoss {
    /// Halt and ask.
    Halt,
    /// A further grant, if the database is judged untouched and the holder is proven out.
    RegrantIfUntouched,
    /// Restore the proven backup, then a further grant; needs an approver.
    RestoreAndRegrant,
}

/// Policies of the cluster file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// `rolling`: never fewer members in the balancer than this.
    pub capacity_floor: u32,
    /// Failures tolerated in a whole rollout, absolute.
    pub max_failures: u32,
    /// What to do when the upgrader is lost.
    pub on_upgrader_loss: OnUpgraderLoss,
    /// A member not heard of for this long counts as lost.
    pub lost_after: Millis,
    /// Approver and operator must differ.
    pub four_eyes: bool,
    /// Approvals a plan needs before it may be applied.
    pub approvals: u32,
}

/// One balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BalancerSpec {
    /// Which adapter.
    pub kind: BalancerKind,
    /// `tcp://host:port` or `unix:/path` of the runtime API.
    pub socket: String,
    /// The backend the members' servers are in.
    pub backend: String,
    /// The server name of each member.
    pub servers: BTreeMap<MemberName, String>,
    /// How long a drain waits for zero sessions before it is taken out all the same.
    pub drain_wait: Millis,
    /// Who may act on it, in this order; empty: every voter.
    pub executors: Vec<MemberName>,
}

/// Known balancers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BalancerKind {
    /// HAProxy's runtime API.
    Haproxy,
}

/// One database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseSpec {
    /// Which adapter.
    pub engine: Engine,
    /// PostgreSQL: `host:port` of every instance that can become primary. SQLite: one directory.
    pub instances: Vec<String>,
    /// PostgreSQL: the database. SQLite: the file's stem.
    pub name: String,
    /// Who Lockkeeper logs in as; absent for SQLite.
    pub admin: Option<AdminLogin>,
    /// How connections are encrypted; absent: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<DatabaseTls>,
    /// How everybody but the grant's holder is kept out.
    pub door: Door,
    /// The role that owns the objects; the minted login acts as it. Empty: the database's owner.
    pub owner: String,
    /// Principals that may keep their session while the door is shut.
    pub infrastructure: Vec<Infrastructure>,
    /// Where backup sets are kept, on the executor's host.
    pub backups: String,
    /// Who may act on it, in this order; empty: every voter.
    pub executors: Vec<MemberName>,
}

/// Known engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// PostgreSQL 13 or later.
    Postgres,
    /// SQLite 3 in one directory shared by all members.
    Sqlite,
}

/// Known doors, see the design, section 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Door {
    /// A login minted per grant, every other login disabled, sessions killed.
    Login,
    /// SQLite: each grant gets a file of its own, the earlier one is renamed.
    PathPerEpoch,
}

/// Encrypted connections to a database's server, whose certificate must be of this authority and for the name or
/// address that the instance is written with. Nothing weaker can be chosen: whoever is between would get the password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseTls {
    /// Absolute path of the authority's certificates (PEM) on every agent that works the database.
    pub ca: String,
}

/// An administrator's login; the password is a reference, never a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdminLogin {
    /// Login name.
    pub user: String,
    /// Where the password is found on the executing node.
    pub password: SecretRef,
}

/// A reference to a secret: `file:PATH`, `env:NAME`, `systemd-credential:NAME` or `cmd:PROGRAM ARGS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRef(pub String);

/// A declared principal whose session is tolerated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Infrastructure {
    /// Login name.
    pub login: String,
    /// Client address, empty for any.
    pub host: String,
    /// Application name, empty for any.
    pub program: String,
}

/// A value of `[parameters]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parameter {
    /// Text.
    Text(String),
    /// A list of texts, such as an argument vector.
    List(Vec<String>),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}
