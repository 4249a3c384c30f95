//! The sample cluster's plan, made by the real planner, with n1 in different roles.

use lockkeeper_core::{
    cluster::{ClusterSpec, read_cluster},
    ids::{ClusterId, Digest, Incarnation},
    plan::{ActionKind, Observed, ObservedDatabase, ObservedMember, Plan, PlanInput, plan},
    profile::ProfileCatalog,
    time::LogTime,
    version::Version,
};

const SAMPLE: &str = include_str!("../../../deploy/sample/cluster.toml");

/// What n1, the agent under test, has to do beside its own host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It works the balancer and upgrades the database.
    Upgrader,
    /// It works the database's door and backups.
    Executor,
}

/// The cluster file and the plan for it.
pub fn sample(role: Role) -> (String, ClusterSpec, Plan) {
    let (balancer, database) = match role {
        Role::Upgrader => (r#"["n1"]"#, r#"["db1"]"#),
        Role::Executor => (r#"["db1"]"#, r#"["n1"]"#),
    };
    let text = SAMPLE
        .replace(r#"executors = ["db1", "n1"]"#, &format!("executors = {balancer}"))
        .replace(r#"executors      = ["db1", "n3"]"#, &format!("executors = {database}"))
        .replace("resumes  = false", "resumes  = true")
        .replace("four_eyes        = true", "four_eyes        = false")
        .replace("approvals        = 1", "approvals        = 0");
    let catalog = ProfileCatalog::built_in();
    let (spec, _) = read_cluster("cluster.toml", &text, &catalog).unwrap_or_else(|report| panic!("{report}"));
    let agent = |version: Option<&str>| ObservedMember {
        incarnation: Incarnation(1),
        version: version.map(|text| Version::new(text).unwrap()),
        reachable: true,
        actions: ActionKind::ALL.into_iter().collect(),
        release: None,
    };
    let members = spec.members.keys().map(|name| (name.clone(), agent(Some("20.6.1"))));
    let witnesses = spec.witnesses.keys().map(|name| (name.clone(), agent(None)));
    let database = ObservedDatabase { identity: "7438/main".into(), schema: "23".into() };
    let observed = Observed {
        at: LogTime(1_795_212_000_000),
        members: members.chain(witnesses).collect(),
        databases: spec.databases.keys().map(|name| (name.clone(), database.clone())).collect(),
        balancers: std::collections::BTreeMap::new(),
    };
    let (plan, _) = plan(&PlanInput {
        cluster_id: &ClusterId("c-1".into()),
        cluster: &spec,
        cluster_version: 1,
        cluster_digest: &Digest::of(text.as_bytes()),
        profile: catalog.get(&spec.profile).unwrap(),
        observed: &observed,
        strategy: lockkeeper_core::plan::Strategy::Offline,
        to: &Version::new("26.5.0").unwrap(),
        parent: None,
        adopt: false,
    })
    .unwrap_or_else(|report| panic!("{report}"));
    (text, spec, plan)
}
