//! `--fault clone`: the data directory of the upgrading member's agent is copied while the upgrade runs, and a second
//! agent is started on the copy. What the copy did is read off its files: `before` is the copy as it was made.

use super::{
    agents,
    clock::unix_ms,
    cluster_file::{self, Seat},
    fault::{FaultKind, FaultReport, Nemesis},
    layout::Layout,
    ports::Ports,
    processes::Role,
};
use anyhow::Context as _;
use lockkeeper_core::ids::MemberName;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::time::Instant;

/// For the copy to ask its peers and to say what it makes of the answers.
const STANDS: Duration = Duration::from_secs(10);

/// Between two looks into its log.
const LOOK: Duration = Duration::from_millis(20);

/// The code of a quarantine because the original lives.
const RIVAL: &str = "LK6215";

/// What a copied agent did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopyReport {
    /// Under which code it stands in quarantine; none if it does not.
    pub code: Option<String>,
    /// How long after its start it said so, milliseconds.
    pub stood_after_ms: u64,
    /// Changes of its store: a vote is written there before it is given.
    pub votes: u64,
    /// Changes of its journal, units and services: a start is noted there before it is made.
    pub application_starts: u64,
}

impl CopyReport {
    /// Why this is no success.
    pub fn shortcomings(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut note = |wrong: bool, text: String| all.extend(wrong.then_some(text));
        note(self.code.is_none(), "the copied agent does not stand in quarantine".to_owned());
        note(self.votes > 0, "the copied agent wrote into its log store".to_owned());
        note(self.application_starts > 0, format!("the copied agent began {} acts", self.application_starts));
        all
    }
}

/// Copies, starts, and waits for the copy's word.
pub async fn act(nemesis: &Nemesis<'_>) -> anyhow::Result<FaultReport> {
    let kind = FaultKind::Clone;
    let begun = nemesis.upgrade_begins(None).await;
    let Some(member) = &begun else {
        return Ok(FaultReport::of(kind, "the upgrade did not begin"));
    };
    let agents = &nemesis.agents;
    let original = agents.seats.iter().find(|seat| seat.member == *member).context("nobody upgrades")?;
    let home = agents.layout.copy(member);
    let data = agents.layout.copy_data(member);
    copied(&agents.layout.agent_data(member), &data)?;
    copied(&data, &home.join("before"))?;
    let ports = Ports::reserve(1)?;
    let agent = ports.addresses()?.into_iter().next().context("no free port")?;
    let seat = Seat { agent, ..original.clone() };
    let config = home.join("agent.toml");
    agents::write(&config, &cluster_file::agent_at(&seat, &data, &agents.layout.copy_socket(member)))?;
    let log = home.join("agent.log");
    let mut command = Command::new(agents.program);
    command.args(["agent", "run", "--config"]).arg(&config).stdin(Stdio::null());
    let injected_at = unix_ms();
    agents.processes.start(Role::Copy(member.clone()), &mut command, &log)?;
    agents.say.line(&format!(
        "! the data directory of {member}'s agent is copied, and a second agent runs on the copy"
    ));
    let code = said(&log).await;
    let cleared_at = unix_ms();
    let stood_after_ms = cleared_at.saturating_sub(injected_at);
    let effect = match &code {
        Some(code) => format!("the copy stood in quarantine {stood_after_ms} ms later ({code})"),
        None => format!("the copy did not stand in quarantine within {} s", STANDS.as_secs()),
    };
    agents.say.line(&format!("! {effect}"));
    Ok(FaultReport {
        victim: Some(member.clone()),
        injected_at: Some(injected_at),
        cleared_at: Some(cleared_at),
        copy: Some(CopyReport { code, stood_after_ms, votes: 0, application_starts: 0 }),
        ..FaultReport::of(kind, &effect)
    })
}

/// Adds what the copy's files say, once it has ended.
pub fn judged(layout: &Layout, mut fault: FaultReport) -> anyhow::Result<FaultReport> {
    let (Some(member), Some(copy)) = (&fault.victim, &mut fault.copy) else { return Ok(fault) };
    let (store, acts) = changes(layout, member)?;
    (copy.votes, copy.application_starts) = (store, acts);
    Ok(fault)
}

fn changes(layout: &Layout, member: &MemberName) -> anyhow::Result<(u64, u64)> {
    let before = files(&layout.copy(member).join("before"))?;
    let after = files(&layout.copy_data(member))?;
    anyhow::ensure!(before.contains_key("raft.redb"), "the copy holds no store");
    let mut changed =
        before.iter().filter(|(name, bytes)| after.get(*name) != Some(*bytes)).map(|(name, _)| name);
    let new = after.keys().filter(|name| !before.contains_key(*name));
    let (mut store, mut acts) = (0, 0);
    for name in changed.by_ref().chain(new) {
        match name.split('/').next() {
            Some("raft.redb") => store += 1,
            Some("journal" | "spool" | "services") => acts += 1,
            Some(_) | None => {}
        }
    }
    Ok((store, acts))
}

/// Every file below a directory, by its path in it.
fn files(root: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in
            fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.is_file() {
                let name = path.strip_prefix(root)?.display().to_string();
                found.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

/// Copies what is there now; what its owner renames meanwhile is left out, as a copy of a running machine leaves it.
fn copied(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let (source, target) =
            (entry.as_ref().map(fs::DirEntry::path), entry.as_ref().map(fs::DirEntry::file_name));
        let (Ok(source), Ok(target)) = (source, target) else { continue };
        let target = to.join(target);
        if source.is_dir() {
            copied(&source, &target)?;
        } else if source.is_file() {
            match fs::copy(&source, &target) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot copy {}", source.display())),
            }
        }
    }
    Ok(())
}

/// The code under which the copy says that it stands in quarantine.
async fn said(log: &Path) -> Option<String> {
    let until = Instant::now() + STANDS;
    while Instant::now() < until {
        let text = fs::read_to_string(log).unwrap_or_default();
        if text.lines().any(|line| line.contains(RIVAL) && line.contains("quarantine")) {
            return Some(RIVAL.to_owned());
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}
