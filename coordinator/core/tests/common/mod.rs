//! Clusters to plan for, and what would be observed of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(dead_code, reason = "each test program uses its part")]

pub mod drive;
pub mod generate;
pub mod oracle;
pub mod recover;

use lockkeeper_core::{
    cluster::{ClusterSpec, read_cluster},
    fault::Report,
    ids::{ClusterId, Digest, Incarnation, MemberName},
    plan::{ActionKind, Observed, ObservedDatabase, ObservedMember, Plan, PlanInput, PlanReport, Strategy},
    profile::ProfileCatalog,
    time::LogTime,
    version::Version,
};

/// The sample cluster file that operators get.
pub const SAMPLE: &str = include_str!("../../../../deploy/sample/cluster.toml");

/// How many cases a property tries: as many as `PROPTEST_CASES` says, for a long night, or `usual`.
pub fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// Reads a cluster file that must be right.
pub fn cluster(text: &str) -> ClusterSpec {
    match read_cluster("cluster.toml", text, &ProfileCatalog::built_in()) {
        Ok((spec, _)) => spec,
        Err(report) => panic!("{report}"),
    }
}

pub fn version(text: &str) -> Version {
    Version::new(text).unwrap()
}

pub fn member(text: &str) -> MemberName {
    MemberName::new(text).unwrap()
}

/// All agents answer, all members have `from`, all databases have schema `schema`.
pub fn observed(spec: &ClusterSpec, from: &str, schema: &str) -> Observed {
    let agent = |version: Option<Version>| ObservedMember {
        incarnation: Incarnation(1),
        version,
        reachable: true,
        actions: ActionKind::ALL.into_iter().collect(),
        release: None,
    };
    let members = spec.members.keys().map(|m| (m.clone(), agent(Some(version(from)))));
    let witnesses = spec.witnesses.keys().map(|m| (m.clone(), agent(None)));
    let database = |name: &lockkeeper_core::ids::DatabaseName| ObservedDatabase {
        identity: format!("7438/{name}"),
        schema: schema.to_owned(),
    };
    Observed {
        at: LogTime(1_795_212_000_000),
        members: members.chain(witnesses).collect(),
        databases: spec.databases.keys().map(|d| (d.clone(), database(d))).collect(),
        balancers: std::collections::BTreeMap::new(),
    }
}

/// Plans for a cluster with the profile it names.
pub fn plan(spec: &ClusterSpec, observed: &Observed, to: &str) -> Result<(Plan, PlanReport), Report> {
    plan_by(Strategy::Offline, spec, observed, to)
}

/// The same with a strategy.
pub fn plan_by(
    strategy: Strategy,
    spec: &ClusterSpec,
    observed: &Observed,
    to: &str,
) -> Result<(Plan, PlanReport), Report> {
    plan_wished(strategy, spec, observed, to, false)
}

/// [`plan`], perhaps for a cluster that somebody began to upgrade by hand.
pub fn plan_with(
    spec: &ClusterSpec,
    observed: &Observed,
    to: &str,
    adopt: bool,
) -> Result<(Plan, PlanReport), Report> {
    plan_wished(Strategy::Offline, spec, observed, to, adopt)
}

fn plan_wished(
    strategy: Strategy,
    spec: &ClusterSpec,
    observed: &Observed,
    to: &str,
    adopt: bool,
) -> Result<(Plan, PlanReport), Report> {
    let catalog = ProfileCatalog::built_in();
    lockkeeper_core::plan::plan(&PlanInput {
        cluster_id: &ClusterId("c-1".into()),
        cluster: spec,
        cluster_version: 1,
        cluster_digest: &Digest::of(b"cluster"),
        profile: catalog.get(&spec.profile).unwrap(),
        observed,
        strategy,
        to: &version(to),
        parent: None,
        adopt,
    })
}
