//! Lockkeeper on the bed: an agent on every member, worked by its command line alone. Knows file places and words of
//! the command line; links nothing of Lockkeeper.

use super::{Bed, CLIENT, DB, FRONT, NEW, host::{Daemon, Host}, postgres::{COORDINATOR, DATABASE}, process::{Ran, wait_for}};
use anyhow::{Context, Result, bail, ensure};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

/// Any command of the operator that does not follow a rollout.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);
/// A start of an agent until it is in the group.
const JOIN_WITHIN: Duration = Duration::from_secs(20);
/// Where the collector of traces listens, on the client's host.
const OTLP_PORT: u16 = 4317;
/// Operators' home on the hosts.
const HOME: &str = "HOME=/etc/lockkeeper/operators";
/// The operator's context on the first member.
pub const OLA: &str = "/etc/lockkeeper/operators/ola/library.toml";
/// The approver's.
pub const BEA: &str = "/etc/lockkeeper/operators/bea/library.toml";

/// The agents and the collector.
pub struct Site {
    binary: String,
    /// Agents by member, in the bed's order; none while one is down.
    pub agents: Vec<Option<Daemon>>,
    collector: Option<Daemon>,
    traces: PathBuf,
}

/// The binary under test, as `tests/run` names it.
pub fn binary() -> Result<String> {
    std::env::var("LOCKKEEPER_BIN").context("LOCKKEEPER_BIN is not set: tests/run sets it to the built binary")
}

impl Site {
    /// Installs and starts everything: `init` on the first member, the cluster file, `join` on the others, and
    /// certificates for an operator and an approver. Returns when all three vote.
    /// `receiver` is the collector's program.
    pub fn start(bed: &Bed, receiver: &str) -> Result<Self> {
        let traces = bed.path().join("traces.jsonl");
        let listen = format!("{CLIENT}:{OTLP_PORT}");
        let collector = bed.client.daemon("otlp", &[receiver, &listen, &traces.display().to_string()])?;
        let mut site =
            Self { binary: binary()?, agents: Vec::new(), collector: Some(collector), traces };
        for member in &bed.members {
            settings(&member.host)?;
        }
        let first = &bed.members[0].host;
        site.run(first, &["init", "--cluster", "library", "--name", "n1", "--ca-out", "/etc/lockkeeper/root.pem"])?;
        site.start_agent(bed, 0)?;
        site.command(bed, 0, &["cluster", "apply", "/etc/lockkeeper/cluster.toml"])?;
        for at in 1..bed.members.len() {
            let host = &bed.members[at].host;
            let token = site.command(bed, 0, &["token", "create", host.name()])?.stdout;
            let file = host.directory().join("etc/lockkeeper/token");
            fs::write(&file, token)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
            site.run(host, &["join", "--token-file", "/etc/lockkeeper/token"])?;
            site.start_agent(bed, at)?;
        }
        for (name, role, files) in [("ola", "operator", OLA), ("bea", "approver", BEA)] {
            let directory = files.trim_end_matches("/library.toml");
            site.command(bed, 0, &["operator", "create", name, "--role", role, "--output", directory])?;
        }
        wait_for("three voters", JOIN_WITHIN, || {
            let members = site.json(bed, 0, &["members", "--json"])?;
            let voters = members["members"].as_array().map_or(0, |all| all.iter().filter(|m| m["voter"] == true).count());
            Ok((voters == bed.members.len()).then_some(()))
        })?;
        Ok(site)
    }

    /// Starts the agent of a member and waits for its socket.
    pub fn start_agent(&mut self, bed: &Bed, at: usize) -> Result<()> {
        let host = &bed.members[at].host;
        let daemon = host.daemon("agent", &[&self.binary, "agent", "run", "--config", "/etc/lockkeeper/agent.toml"])?;
        while self.agents.len() <= at {
            self.agents.push(None);
        }
        self.agents[at] = Some(daemon);
        wait_for("the agent answers", JOIN_WITHIN, || {
            let ran = host.run(COMMAND_WITHIN, &[&self.binary, "status", "--json"])?;
            Ok((ran.code == 0).then_some(()))
        })
    }

    /// `kill -9` of a member's agent, and nothing else on its host.
    pub fn kill_agent(&mut self, at: usize) -> Result<()> {
        let daemon = self.agents[at].take().context("the agent runs")?;
        daemon.signal("KILL")?;
        daemon.wait(COMMAND_WITHIN).map(drop)
    }

    /// A command on a host that must succeed, by the default settings file.
    fn run(&self, host: &Host, arguments: &[&str]) -> Result<Ran> {
        let argv: Vec<&str> = ["env", HOME, &self.binary].into_iter().chain(arguments.iter().copied()).collect();
        let ran = host.run(COMMAND_WITHIN, &argv)?;
        ensure!(ran.code == 0, "{arguments:?} ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
        Ok(ran)
    }

    /// A command of the admin on a member's host that must succeed.
    pub fn command(&self, bed: &Bed, at: usize, arguments: &[&str]) -> Result<Ran> {
        let ran = self.as_person(bed, at, "library", arguments)?;
        ensure!(ran.code == 0, "{arguments:?} ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
        Ok(ran)
    }

    /// A command by a person's context, whatever it ends with.
    pub fn as_person(&self, bed: &Bed, at: usize, context: &str, arguments: &[&str]) -> Result<Ran> {
        let mut argv = vec!["env", HOME, &self.binary, "--context", context];
        argv.extend(arguments);
        bed.members[at].host.run(Duration::from_secs(180), &argv)
    }

    /// A view as JSON.
    pub fn json(&self, bed: &Bed, at: usize, arguments: &[&str]) -> Result<serde_json::Value> {
        let ran = self.command(bed, at, arguments)?;
        serde_json::from_str(&ran.stdout).with_context(|| format!("{arguments:?} answered {}", ran.stdout))
    }

    /// Who leads, as an index into the bed's members; asks whoever lives.
    pub fn leader(&self, bed: &Bed) -> Result<usize> {
        for at in 0..bed.members.len() {
            let Ok(status) = self.json(bed, at, &["status", "--json"]) else { continue };
            if let Some(name) = status["leader"].as_str() {
                return bed.members.iter().position(|m| m.name() == name).context("the leader is a member");
            }
        }
        bail!("nobody leads")
    }

    /// Checks, plans, has it approved by another person; answers the plan file's place on the first member.
    pub fn planned(&self, bed: &Bed) -> Result<String> {
        let file = "/etc/lockkeeper/night.plan";
        let ran = self.as_person(bed, 0, OLA, &["check"])?;
        ensure!(ran.code == 0, "check ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
        print!("{}", ran.stdout);
        let ran = self.as_person(bed, 0, OLA, &["plan", "--to", NEW, "-o", file])?;
        ensure!(ran.code == 2, "plan ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
        print!("{}", ran.stdout);
        let ran = self.as_person(bed, 0, BEA, &["approve", file, "--as", "approver", "--reference", "CHG-26"])?;
        ensure!(ran.code == 0, "approve ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
        Ok(file.to_owned())
    }

    /// Every span the collector received, as JSON.
    pub fn spans(&mut self) -> Result<Vec<serde_json::Value>> {
        if let Some(collector) = self.collector.take() {
            collector.stop()?;
        }
        let text = fs::read_to_string(&self.traces)?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Ends all agents in good order, so that they send what they hold.
    pub fn stop_agents(&mut self) -> Result<()> {
        for agent in self.agents.iter_mut().filter_map(Option::take) {
            agent.stop()?;
        }
        Ok(())
    }
}

/// The files of one host: settings, cluster file, the database password of the coordinator.
fn settings(host: &Host) -> Result<()> {
    let etc = host.directory().join("etc/lockkeeper");
    fs::create_dir_all(etc.join("secrets"))?;
    fs::create_dir_all(etc.join("operators"))?;
    let (name, address) = (host.name(), host.address().context("a member has an address")?);
    let agent = format!(
        r#"name      = "{name}"
listen    = "{address}:7440"
advertise = "{address}:7440"

[socket]
group = ""

[traces]
otlp = "http://{CLIENT}:{OTLP_PORT}"
"#
    );
    fs::write(etc.join("agent.toml"), agent)?;
    fs::write(etc.join("cluster.toml"), cluster_file())?;
    let secret = etc.join("secrets/pg");
    fs::write(&secret, COORDINATOR.1)?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// What an operator of this cluster would write.
fn cluster_file() -> String {
    format!(
        r#"cluster = "library"
profile = "generic"

[members.n1]
address = "10.77.0.11:7440"
[members.n2]
address = "10.77.0.12:7440"
[members.n3]
address = "10.77.0.13:7440"

[policy]
four_eyes  = true
approvals  = 1
lost_after = "10s"

[balancers.front]
kind    = "haproxy"
socket  = "tcp://{FRONT}:9999"
backend = "app"
servers = {{ n1 = "n1", n2 = "n2", n3 = "n3" }}
drain   = {{ wait = "10s", then = "maint" }}

[databases.main]
engine    = "postgres"
instances = ["{DB}:5432"]
name      = "{DATABASE}"
admin     = {{ user = "{user}", password = "file:/etc/lockkeeper/secrets/pg" }}
owner     = "kinto"
door      = "login"
infrastructure = [{{ login = "postgres", host = "", program = "" }}]
backups   = "/var/lib/lockkeeper/backups"

[parameters]
release = {{ directory = "/opt/kinto/releases", current = "/opt/kinto/current" }}
service = {{ kind = "command", start = ["/opt/kinto/kintoctl", "start"], stop = ["/opt/kinto/kintoctl", "stop"], status = ["/opt/kinto/kintoctl", "status"] }}
schema  = {{ query = "select max(value::int) from metadata where name = 'storage_schema_version'", after = "26" }}

[parameters.upgrade]
command  = ["{{release}}/bin/kinto", "migrate", "--ini", "{{credential.file}}"]
template = "/etc/kinto/kinto.ini.template"
estimate = "4s"

[parameters.ready]
http     = "http://{{member.host}}:8888/v1/"
json     = {{ "/project_version" = "{{to}}" }}
old_json = {{ "/project_version" = "{{from}}" }}
settle   = "1s"
"#,
        user = COORDINATOR.0,
    )
}
