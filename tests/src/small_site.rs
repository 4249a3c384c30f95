//! A small cluster of which a plan can be made: members, witnesses and one SQLite database, with the demo's
//! application installed and its database filled. Nothing is started but the agents.

use crate::loopback::Loopback;
use anyhow::{Context as _, Result};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// What is installed.
pub const OLD: &str = "1.0";
/// What is to come.
pub const NEW: &str = "2.0";

/// The agents, and an application beside them.
#[derive(Debug)]
pub struct SmallSite {
    /// Members first, then witnesses.
    pub group: Loopback,
    members: usize,
}

impl SmallSite {
    /// Installs the application, starts the agents with the cluster file in force.
    pub fn start(members: &[&str], witnesses: &[&str]) -> Result<Self> {
        let group = Loopback::found(&[members, witnesses].concat())?;
        let mut site = Self { group, members: members.len() };
        for version in [OLD, NEW] {
            let release = site.app().join(version);
            site.group.must(&[
                "demo-part",
                "app",
                "release",
                "--dir",
                text(&release)?,
                "--version",
                version,
            ])?;
        }
        site.use_release(OLD)?;
        let db = site.group.path().join("db");
        fs::create_dir(&db)?;
        fs::create_dir(site.group.path().join("backups"))?;
        site.group.must(&["demo-part", "app", "seed", "--database", text(&db.join("library.db"))?])?;
        symlink("library.db", db.join("current"))?;
        site.put_cluster(&site.cluster_file())?;
        site.group.join_all()?;
        Ok(site)
    }

    /// Points the link of the release in use at another one.
    pub fn use_release(&self, version: &str) -> Result<()> {
        let link = self.app().join("current");
        if link.is_symlink() {
            fs::remove_file(&link)?;
        }
        symlink(version, &link).with_context(|| format!("cannot make {}", link.display()))
    }

    /// Puts a cluster file into force.
    pub fn put_cluster(&self, file: &str) -> Result<()> {
        let path = self.write("cluster.toml", file)?;
        self.group.must(&["cluster", "apply", text(&path)?]).map(drop)
    }

    /// Writes a file beside the agents' directories.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.group.path().join(name);
        fs::write(&path, content)?;
        Ok(path)
    }

    /// The cluster file in its right form.
    pub fn cluster_file(&self) -> String {
        let root = self.group.path().display();
        let agents: Vec<String> = self
            .group
            .agents
            .iter()
            .zip(0..)
            .map(|(agent, at)| {
                let kind = if at < self.members { "members" } else { "witnesses" };
                format!("[{kind}.{}]\naddress = \"{}\"\n", agent.name, agent.address)
            })
            .collect();
        format!(
            r#"cluster = "{cluster}"
profile = "generic"

{agents}
[policy]
four_eyes  = false
approvals  = 1
lost_after = "10s"

[databases.main]
engine    = "sqlite"
instances = ["{root}/db"]
name      = "library"
backups   = "{root}/backups"

[parameters]
release = {{ directory = "{root}/app" }}
version = {{ file = "{{release.link}}/VERSION" }}
schema  = {{ query = "select version from schema_version", after = "2" }}
service = {{ kind = "process", command = ["{root}/app/run"], log = "{root}/app.out" }}
upgrade = {{ command = ["{root}/app/migrate"], env = {{ LOCKKEEPER_DATABASE_MAIN = "{{database.main.path}}" }} }}
ready   = {{ http = "http://127.0.0.1:9/health" }}
"#,
            cluster = crate::loopback::CLUSTER,
            agents = agents.concat(),
        )
    }

    fn app(&self) -> PathBuf {
        self.group.path().join("app")
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is text")
}
