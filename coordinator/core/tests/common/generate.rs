//! Cluster files of all shapes, as text, so that the reader is part of every property.

use proptest::prelude::*;

/// The shape of a cluster.
#[derive(Debug, Clone)]
pub struct Shape {
    pub members: usize,
    pub witnesses: usize,
    pub databases: usize,
    pub balancers: usize,
    pub postgres: bool,
    pub process: bool,
}

/// Clusters that must be plannable: at least two agents.
pub fn shape(members: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Shape> {
    (members, 0_usize..=2, 1_usize..=2, 0_usize..=2, any::<bool>(), any::<bool>()).prop_map(
        |(members, witnesses, databases, balancers, postgres, process)| Shape {
            members,
            // One member alone cannot work the door of its own grant.
            witnesses: if members == 1 { witnesses.max(1) } else { witnesses },
            databases,
            balancers,
            postgres,
            process,
        },
    )
}

impl Shape {
    /// The cluster file.
    pub fn text(&self) -> String {
        let mut out = String::from("cluster = \"made\"\nprofile = \"generic\"\n");
        for i in 1..=self.members {
            out.push_str(&format!("[members.m{i}]\naddress = \"10.0.{}.{}:7440\"\n", i / 250, i % 250 + 1));
        }
        for i in 1..=self.witnesses {
            out.push_str(&format!("[witnesses.w{i}]\naddress = \"10.9.0.{i}:7440\"\n"));
        }
        for b in 1..=self.balancers {
            // The second balancer serves every other member only.
            let servers: Vec<String> =
                (1..=self.members).filter(|i| i % b == 0).map(|i| format!("m{i} = \"s{i}\"")).collect();
            out.push_str(&format!(
                "[balancers.lb{b}]\nkind = \"haproxy\"\nsocket = \"unix:/run/lb{b}.sock\"\nbackend = \"app\"\nservers = {{ {} }}\n",
                servers.join(", ")
            ));
        }
        for d in 1..=self.databases {
            out.push_str(&if self.postgres {
                format!("[databases.db{d}]\nengine = \"postgres\"\ninstances = [\"10.8.0.{d}:5432\"]\nname = \"app{d}\"\nadmin = {{ user = \"lockkeeper\", password = \"file:/etc/pg\" }}\n")
            } else {
                format!("[databases.db{d}]\nengine = \"sqlite\"\ninstances = [\"/srv/db{d}\"]\nname = \"app\"\n")
            });
        }
        out.push_str("[parameters]\nrelease.directory = \"/opt/app\"\nschema.query = \"select v from s\"\n");
        out.push_str("upgrade.command = [\"/opt/app/migrate\", \"{database}\"]\n");
        out.push_str("upgrade.environment = { DB_USER = \"{credential.user}\", DB_PASSWORD = \"{credential.password}\" }\n");
        out.push_str("ready.http = \"http://{member.host}:8080/\"\n");
        out.push_str(if self.process {
            "service = { kind = \"process\", command = [\"{release.link}/app\"], log = \"/var/log/{member.name}\" }\n"
        } else {
            "service = { kind = \"command\", start = [\"/a\", \"start\"], stop = [\"/a\", \"stop\"], status = [\"/a\", \"status\"] }\n"
        });
        out
    }
}
