//! The cluster's agents as separate processes, enrolled one after the other as an operator does it.

use super::{
    cluster_file::{self, CLUSTER, Seat},
    commands::Typist,
    layout::Layout,
    processes::{Processes, Role},
    say::Say,
};
use crate::connect::{Session, Where};
use anyhow::{Context as _, bail};
use lockkeeper_core::{
    ids::MemberName,
    view::{MemberView, StatusView},
};
use lockkeeper_proto::client::operator::ViewKind;
use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::time::Instant;

/// For a group of one to lead itself, and for further members to be promoted to voters.
const GROUP_LIMIT: Duration = Duration::from_secs(20);

/// Between two questions while waiting.
const POLL: Duration = Duration::from_millis(50);

/// Who starts the rollout.
pub const OPERATOR: &str = "olga";

/// Who approves it: somebody else.
pub const APPROVER: &str = "rita";

/// The agents and how they are started.
#[derive(Clone)]
pub struct Agents<'a> {
    /// Where their files are.
    pub layout: &'a Layout,
    /// Who listens where.
    pub seats: &'a [Seat],
    /// This program.
    pub program: &'a PathBuf,
    /// Where they are kept.
    pub processes: &'a Processes,
    /// Who types.
    pub typist: &'a Typist,
    /// What is told.
    pub say: &'a Say,
    /// After how much silence an agent counts as lost, as in the cluster file.
    pub lost_after: &'static str,
}

impl Agents<'_> {
    /// From nothing to a group of all members that knows the cluster file. Answers ways to all of them, as the operator.
    pub async fn found(&self) -> anyhow::Result<Session> {
        let Some((first, others)) = self.seats.split_first() else { bail!("a cluster has members") };
        for seat in self.seats {
            let directory = self.layout.agent(&seat.member);
            std::fs::create_dir_all(&directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
            write(&self.layout.agent_config(&seat.member), &cluster_file::agent(self.layout, seat))?;
        }
        let file = cluster_file::cluster(self.layout, self.seats, self.program, self.lost_after);
        write(&self.layout.operators("cluster.toml"), &file)?;

        let config = |member: &MemberName| format!("../agents/{member}/agent.toml");
        let name = &first.member;
        self.typist
            .run(&format!("init --cluster {CLUSTER} --name {name} --config {}", config(name)), &[0])
            .await?;
        self.start(name)?;
        let alone = self.session(&self.layout.operators(&format!(".config/lockkeeper/{CLUSTER}.toml")))?;
        self.until(&alone, "the group to begin", |view| {
            view.stamp.leader.is_some() && !view.cluster.is_empty()
        })
        .await?;
        self.typist.run("cluster apply cluster.toml", &[0]).await?;
        for seat in others {
            let name = &seat.member;
            self.typist.run(&format!("token create {name} -o {name}.token"), &[0]).await?;
            self.typist
                .run(&format!("join --token-file {name}.token --config {}", config(name)), &[0])
                .await?;
            self.start(name)?;
        }
        for (who, role) in [(OPERATOR, "operator"), (APPROVER, "approver")] {
            self.typist.run(&format!("operator create {who} --role {role}"), &[0]).await?;
        }
        let session = self.session(&self.layout.operators(&format!("{OPERATOR}/{CLUSTER}.toml")))?;
        let voters = if self.seats.len() < 5 { 3 } else { 5 };
        self.until(&session, "all members to join", |view| {
            let here = |m: &&MemberView| m.enrolled && !m.agent_version.is_empty();
            view.members.iter().filter(here).count() == self.seats.len()
                && view.members.iter().filter(|m| m.voter).count() == voters
        })
        .await?;
        Ok(session)
    }

    /// Starts a member's agent; also again after it was killed, as a supervisor would.
    pub fn start(&self, member: &MemberName) -> anyhow::Result<()> {
        let config = self.layout.agent_config(member);
        self.say.command(&format!("agent run --config ../agents/{member}/agent.toml &"));
        let mut command = Command::new(self.program);
        command.args(["agent", "run", "--config"]).arg(config).stdin(Stdio::null());
        self.processes.start(Role::Agent(member.clone()), &mut command, &self.layout.agent_log(member))
    }

    fn session(&self, context: &std::path::Path) -> anyhow::Result<Session> {
        let place = Where { context: Some(context.display().to_string()), socket: None, contexts: None };
        place.session().with_context(|| format!("cannot use {}", context.display()))
    }

    async fn until(
        &self,
        session: &Session,
        what: &str,
        done: impl Fn(&StatusView) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + GROUP_LIMIT;
        loop {
            let why = match self.status(session).await {
                Ok(view) if done(&view) => return Ok(()),
                Ok(view) => serde_json::to_string(&view.members).unwrap_or_default(),
                Err(error) => format!("{error:#}"),
            };
            if let Some((seat, status)) = self
                .seats
                .iter()
                .find_map(|seat| Some((seat, self.processes.ended(&Role::Agent(seat.member.clone()))?)))
            {
                let log = self.layout.agent_log(&seat.member);
                bail!("the agent of {} ended with {status}; {}", seat.member, tail(&log));
            }
            if Instant::now() >= deadline {
                bail!("waited {GROUP_LIMIT:?} in vain for {what}; last: {why}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn status(&self, session: &Session) -> anyhow::Result<StatusView> {
        let way = session.ways().first().context("no way to the group")?;
        let answer = tokio::time::timeout(Duration::from_secs(1), way.client.view(ViewKind::Status, false));
        let json = answer.await.context("no answer")??;
        serde_json::from_str(&json).context("cannot read the status")
    }
}

/// The last lines of a log, for an error.
fn tail(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len().saturating_sub(5);
    lines.get(last..).unwrap_or_default().join("\n")
}

/// Writes a file that only this user reads.
pub fn write(path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    crate::files::write_text(path, text, 0o600, crate::files::Existing::Replace)?;
    Ok(())
}
