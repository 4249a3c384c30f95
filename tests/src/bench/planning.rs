//! How long planning takes for small and for absurd clusters.

use super::Samples;
use anyhow::{Result, anyhow};
use lockkeeper_core::{
    cluster::{ClusterSpec, read_cluster},
    ids::{ClusterId, Digest, Incarnation},
    plan::{ActionKind, Observed, ObservedDatabase, ObservedMember, Plan, PlanInput, Strategy, plan},
    profile::ProfileCatalog,
    time::LogTime,
    version::Version,
};
use std::{fmt::Write as _, time::Instant};

/// A cluster file for this many members behind one balancer with one database.
pub fn cluster_file(members: &[String], addresses: &[String]) -> String {
    let mut text = String::from("cluster = \"bench\"\nprofile = \"generic\"\n");
    for (name, address) in members.iter().zip(addresses) {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "[members.{name}]\naddress = \"{address}\"");
    }
    let servers: Vec<String> = members.iter().map(|name| format!("{name} = \"{name}\"")).collect();
    let _ = write!(
        text,
        r#"[policy]
four_eyes = false
approvals = 0

[balancers.front]
kind    = "haproxy"
socket  = "tcp://10.77.0.10:9999"
backend = "app"
servers = {{ {} }}

[databases.main]
engine    = "postgres"
instances = ["10.77.0.20:5432"]
name      = "app"
admin     = {{ user = "lockkeeper", password = "file:/etc/lockkeeper/secrets/pg" }}
backups   = "/var/lib/lockkeeper/backups"

[parameters]
release = {{ directory = "/opt/app" }}
service = {{ kind = "command", start = ["/opt/s", "start"], stop = ["/opt/s", "stop"], status = ["/opt/s", "status"] }}
schema  = {{ query = "select version from schema", after = "{SCHEMA_AFTER}" }}
upgrade = {{ command = ["{{release}}/migrate"], environment = {{ U = "{{credential.user}}", P = "{{credential.password}}" }} }}
ready   = {{ http = "http://{{member.host}}:8080/" }}
"#,
        servers.join(", ")
    );
    text
}

/// The schema's version after an upgrade.
pub const SCHEMA_AFTER: &str = "26";

/// Reads a cluster file that must be right.
pub fn read(text: &str) -> Result<ClusterSpec> {
    read_cluster("cluster.toml", text, &ProfileCatalog::built_in())
        .map(|(spec, _)| spec)
        .map_err(|r| anyhow!("{r}"))
}

/// Plans for a cluster all of whose members answer and have the version `from`.
pub fn planned(cluster: &ClusterId, text: &str, spec: &ClusterSpec, from: &str, to: &str) -> Result<Plan> {
    let catalog = ProfileCatalog::built_in();
    plan(&PlanInput {
        cluster_id: cluster,
        cluster: spec,
        cluster_version: 1,
        cluster_digest: &Digest::of(text.as_bytes()),
        profile: catalog.get(&spec.profile).ok_or_else(|| anyhow!("no such profile"))?,
        observed: &observed(spec, from)?,
        strategy: Strategy::Offline,
        to: &Version::new(to)?,
        parent: None,
        adopt: false,
    })
    .map(|(plan, _)| plan)
    .map_err(|report| anyhow!("{report}"))
}

fn observed(spec: &ClusterSpec, from: &str) -> Result<Observed> {
    let agent = ObservedMember {
        incarnation: Incarnation(1),
        version: Some(Version::new(from)?),
        reachable: true,
        actions: ActionKind::ALL.into_iter().collect(),
        release: None,
    };
    let database = ObservedDatabase { identity: "7438/main".into(), schema: "23".into() };
    Ok(Observed {
        at: LogTime(1_795_212_000_000),
        members: spec.members.keys().map(|name| (name.clone(), agent.clone())).collect(),
        databases: spec.databases.keys().map(|name| (name.clone(), database.clone())).collect(),
        balancers: std::collections::BTreeMap::new(),
    })
}

/// `times` plans for `members` members, and the number of steps of each.
pub fn times(members: usize, times: usize) -> Result<(Samples, usize)> {
    let names: Vec<String> = (1..=members).map(|n| format!("m{n}")).collect();
    let addresses: Vec<String> =
        (1..=members).map(|n| format!("10.0.{}.{}:7440", n / 250, n % 250 + 1)).collect();
    let text = cluster_file(&names, &addresses);
    let spec = read(&text)?;
    let cluster = ClusterId("bench".into());
    let catalog = ProfileCatalog::built_in();
    let profile = catalog.get(&spec.profile).ok_or_else(|| anyhow!("no such profile"))?;
    let (observed, to, digest) = (observed(&spec, "1.0")?, Version::new("2.0")?, Digest::of(text.as_bytes()));
    let mut samples = Samples::default();
    let mut steps = 0;
    for _ in 0..times {
        let input = PlanInput {
            cluster_id: &cluster,
            cluster: &spec,
            cluster_version: 1,
            cluster_digest: &digest,
            profile,
            observed: &observed,
            strategy: Strategy::Offline,
            to: &to,
            parent: None,
            adopt: false,
        };
        let begun = Instant::now();
        let made = plan(&input);
        samples.push(begun.elapsed());
        steps = made.map_err(|report| anyhow!("{report}"))?.0.steps.len();
    }
    Ok((samples, steps))
}
