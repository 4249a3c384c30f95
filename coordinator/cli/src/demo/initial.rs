//! What an operator has before Lockkeeper comes: releases, a database, members that run version 1.0 behind a balancer,
//! and users.

use super::{
    cluster_file::{self, BACKEND, Seat, Versions},
    evidence,
    layout::Layout,
    processes::{Processes, Role},
};
use anyhow::{Context as _, bail};
use lockkeeper_adapters::{Settings, SystemHost};
use lockkeeper_agent::host::{Host as _, Work};
use lockkeeper_core::{
    ids::{Attempt, ClusterId, MemberName, RolloutId, StepId, Token},
    plan::{
        Action, Targets,
        action::{CommandSpec, OnAgentLoss, ServiceAction, ServiceSpec},
    },
    time::Millis,
    version::Version,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// For members to warm up, the balancer to see them, and users to be served. Takes about a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Between two looks at a log.
const POLL: Duration = Duration::from_millis(20);

/// Requests a second.
const RATE: &str = "120";

/// Requests that must have ended before the upgrade begins, so that the picture shows what was before.
const WARM_UP_REQUESTS: usize = 60;

/// The installed system.
pub struct Installed<'a> {
    /// Where everything lies.
    pub layout: &'a Layout,
    /// Members.
    pub seats: &'a [Seat],
    /// Its versions.
    pub versions: &'a Versions,
    /// This program.
    pub program: &'a PathBuf,
    /// Where processes are kept.
    pub processes: &'a Processes,
    /// Where users connect.
    pub front: SocketAddr,
    /// How many times slower the first migration works, if it shall.
    pub slows: Option<u32>,
}

impl Installed<'_> {
    /// Releases, the database and its link, and version 1.0 on every host.
    pub async fn install(&self) -> anyhow::Result<()> {
        let Versions { from, to } = self.versions;
        self.part(&["app", "release", "--dir", &text(&self.layout.source(to)), "--version", to.as_str()])
            .await?;
        for Seat { member, .. } in self.seats {
            let release = text(&self.layout.installed(member, from));
            self.part(&["app", "release", "--dir", &release, "--version", from.as_str()]).await?;
            let link = self.layout.in_use(member);
            std::os::unix::fs::symlink(from.as_str(), &link)
                .with_context(|| format!("cannot make {}", link.display()))?;
        }
        let database = self.layout.db().join("library.db");
        self.part(&["app", "seed", "--database", &text(&database)]).await?;
        if let Some(times) = self.slows {
            super::agents::write(&self.layout.slow_migration(), &times.to_string())?;
        }
        let link = self.layout.live();
        std::os::unix::fs::symlink("library.db", &link)
            .with_context(|| format!("cannot make {}", link.display()))
    }

    /// The members' applications, each started by the means its agent will stop it with.
    pub async fn start_members(&self) -> anyhow::Result<()> {
        for seat in self.seats {
            let host = SystemHost::new(Settings {
                data_dir: self.layout.agent_data(&seat.member),
                member: seat.member.clone(),
                program: self.program.clone(),
                database_programs: PathBuf::new(),
            });
            let started = host.perform(&self.start_work(seat), &|_unit| {}).await;
            started.with_context(|| format!("cannot start the application of {}", seat.member))?;
        }
        for seat in self.seats {
            let log = self.layout.app_log(&seat.member);
            self.until(&format!("{} to be ready", seat.member), || has(&log, "\"event\":\"ready\"", 1))
                .await?;
        }
        Ok(())
    }

    fn start_work(&self, seat: &Seat) -> Work {
        let Seat { member, app, .. } = seat;
        let argv = cluster_file::serve(
            self.program,
            &text(&self.layout.in_use(member)),
            &app.to_string(),
            member.as_str(),
            &text(&self.layout.app_log(member)),
        );
        let env = BTreeMap::from([("LOCKKEEPER_DATABASE_MAIN".to_owned(), text(&self.layout.live()))]);
        let command = CommandSpec {
            argv,
            env,
            dir: String::new(),
            shell: false,
            timeout: Millis::from_secs(30),
            success: vec![0],
            on_agent_loss: OnAgentLoss::Finish,
        };
        let log = text(&self.layout.home(member).join("app.out"));
        let service = ServiceSpec::Process { command, log, stop_wait: Millis::from_secs(5) };
        work(member, &self.versions.from, service)
    }

    /// The balancer, with every member in it.
    pub async fn start_balancer(&self) -> anyhow::Result<()> {
        let front = self.front.to_string();
        let mut command = Command::new(self.program);
        command
            .args(["demo-part", "balancer", "--until-stdin-closes", "--backend", BACKEND, "--listen", &front])
            .arg("--socket")
            .arg(self.layout.balancer_socket())
            .arg("--log")
            .arg(self.layout.balancer_log())
            .args(self.seats.iter().map(|seat| format!("--server={}={}", seat.member, seat.app)))
            .stdin(Stdio::piped());
        self.processes.start(Role::Balancer, &mut command, &self.layout.root().join("balancer.err"))?;
        let log = self.layout.balancer_log();
        for Seat { member, .. } in self.seats {
            self.until(&format!("{member} to be up"), || up(&log, member)).await?;
        }
        Ok(())
    }

    /// The users, and the first answers they get.
    pub async fn start_client(&self) -> anyhow::Result<()> {
        let mut command = Command::new(self.program);
        command
            .args(["demo-part", "client", "--until-stdin-closes", "--rate", RATE])
            .args(["--target", &self.front.to_string(), "--log"])
            .arg(self.layout.client_log())
            .stdin(Stdio::piped());
        self.processes.start(Role::Client, &mut command, &self.layout.root().join("client.err"))?;
        let log = self.layout.client_log();
        self.until("users to be served", || has(&log, "\"status\":200", WARM_UP_REQUESTS)).await
    }

    async fn part(&self, args: &[&str]) -> anyhow::Result<()> {
        let mut command = tokio::process::Command::new(self.program);
        command.arg("demo-part").args(args).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        let output = tokio::time::timeout(LIMIT, command.output()).await;
        let output =
            output.with_context(|| format!("{args:?} did not end"))?.context("cannot start this program")?;
        if output.status.success() {
            return Ok(());
        }
        bail!("{args:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim())
    }

    async fn until(&self, what: &str, done: impl Fn() -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !done() {
            for role in [Role::Balancer, Role::Client] {
                if let Some(status) = self.processes.ended(&role) {
                    bail!("{role} ended with {status} while waiting for {what}");
                }
            }
            if Instant::now() >= deadline {
                bail!("waited {LIMIT:?} in vain for {what}");
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

/// One start, as an agent would be given it; of no rollout, so the fence of later ones is not touched.
fn work(member: &MemberName, version: &Version, service: ServiceSpec) -> Work {
    Work {
        cluster: ClusterId(cluster_file::CLUSTER.to_owned()),
        me: member.clone(),
        rollout: RolloutId(0),
        step: StepId(0),
        attempt: Attempt(0),
        token: Token::default(),
        action: Action::StartService(ServiceAction {
            member: member.clone(),
            service,
            version: version.clone(),
        }),
        targets: Arc::new(Targets {
            balancers: BTreeMap::new(),
            databases: BTreeMap::new(),
            members: BTreeMap::new(),
        }),
        inputs: BTreeMap::new(),
        captured: None,
        grants: BTreeMap::new(),
        owes: None,
        marks: Arc::default(),
    }
}

fn text(path: &Path) -> String {
    // The layout accepts only directories whose path is text.
    path.display().to_string()
}

fn has(log: &Path, word: &str, count: usize) -> bool {
    std::fs::read_to_string(log).is_ok_and(|text| text.lines().filter(|l| l.contains(word)).count() >= count)
}

/// Whether the balancer's last word on a server is that it takes new requests.
fn up(log: &Path, member: &MemberName) -> bool {
    let Ok(states) = evidence::balancer_states(log) else { return false };
    states.iter().rev().find(|state| state.server == *member).is_some_and(evidence::ServerState::takes_new)
}
