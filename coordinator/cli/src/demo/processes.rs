//! Every process the demo starts, and the promise that none outlives it: not after success, failure, Ctrl-C or panic.
//!
//! Own children are ended by their process group. Applications are detached and belong to nobody, as on a real host;
//! they and the units of unfinished steps are found by the records that name process id and start time.

use super::layout::Layout;
use anyhow::Context as _;
use lockkeeper_adapters::exec::proc::{self, Identity};
use lockkeeper_core::ids::MemberName;
use rustix::process::{Pid, Signal};
use serde::Deserialize;
use std::{
    fs::OpenOptions,
    io,
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// From SIGTERM to SIGKILL. An agent hands leadership over and closes its store; that takes well below a second.
const GRACE: Duration = Duration::from_secs(4);

/// After SIGKILL; only a process in an uninterruptible wait takes longer.
const GONE: Duration = Duration::from_secs(3);

/// Between two looks whether a process is gone.
const POLL: Duration = Duration::from_millis(10);

/// A process of the demo, by what it is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The client; it goes first, so that nothing it meets is our ending.
    Client,
    /// A member's agent.
    Agent(MemberName),
    /// A copy of a member's agent.
    Copy(MemberName),
    /// The balancer.
    Balancer,
}

/// All processes of one demo. Clones are the same list; the last one dropped ends what is left.
#[derive(Debug, Clone)]
pub struct Processes {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    children: Mutex<Vec<(Role, Child)>>,
    agents: Vec<(MemberName, PathBuf)>,
}

/// The part of an application's record, or of a unit's claim, that says which process it is.
#[derive(Deserialize)]
#[serde(untagged)]
enum Recorded {
    Application { leader: Identity },
    Unit { runner: Identity },
}

impl Processes {
    /// None yet. What the agents of `members` leave behind belongs to it.
    pub fn new(layout: &Layout, members: &[MemberName]) -> Self {
        let both = |member: &MemberName| {
            [(member.clone(), layout.agent_data(member)), (member.clone(), layout.copy_data(member))]
        };
        let agents = members.iter().flat_map(both).collect();
        Self { inner: Arc::new(Inner { children: Mutex::default(), agents }) }
    }

    /// Starts a process in a group of its own, so that Ctrl-C reaches only the demo itself. It writes into `log`.
    pub fn start(&self, role: Role, command: &mut Command, log: &Path) -> anyhow::Result<()> {
        let output = OpenOptions::new().create(true).append(true).mode(0o600).open(log);
        let output = output.with_context(|| format!("cannot open {}", log.display()))?;
        let errors = output.try_clone().with_context(|| format!("cannot open {}", log.display()))?;
        let child = command.process_group(0).stdout(output).stderr(errors).spawn();
        let child = child.with_context(|| format!("cannot start {}", command.get_program().display()))?;
        self.inner.children().push((role, child));
        Ok(())
    }

    /// The process id of a role that runs.
    pub fn pid(&self, role: &Role) -> Option<u32> {
        self.inner.children().iter().find(|(which, _)| which == role).map(|(_, child)| child.id())
    }

    /// Sends a signal to a role's process alone, not to what it started.
    pub fn signal(&self, role: &Role, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid(role).with_context(|| format!("{role} does not run"))?;
        let pid = known(pid).with_context(|| format!("{role} has no process id"))?;
        rustix::process::kill_process(pid, signal).with_context(|| format!("cannot send a signal to {role}"))
    }

    /// Sends a signal to everything that runs for a step of this member: the runner first, then its session.
    pub fn signal_steps(&self, member: &MemberName, signal: Signal) -> anyhow::Result<()> {
        let data = self.inner.agents.iter().find(|(of, _)| of == member).map(|(_, data)| data);
        let data = data.with_context(|| format!("{member} has no agent"))?;
        let records = below(&data.join("spool"), "unit/started");
        for runner in records.iter().filter_map(|path| recorded(path)).filter(Identity::lives) {
            let others = proc::all().context("cannot list the processes")?;
            let others =
                others.iter().filter(|p| p.session == runner.pid && p.pid != runner.pid).map(|p| p.pid);
            for pid in std::iter::once(runner.pid).chain(others).filter_map(known) {
                let _gone_meanwhile = rustix::process::kill_process(pid, signal);
            }
        }
        Ok(())
    }

    /// Kills a role's process and takes note of its end.
    pub fn kill(&self, role: &Role) -> anyhow::Result<()> {
        let mut child = self.inner.take(role).with_context(|| format!("{role} does not run"))?;
        child.kill().and_then(|()| child.wait()).with_context(|| format!("cannot kill {role}"))?;
        Ok(())
    }

    /// Whether a role's process ended by itself, and how.
    pub fn ended(&self, role: &Role) -> Option<ExitStatus> {
        let mut children = self.inner.children();
        let (_, child) = children.iter_mut().find(|(which, _)| which == role)?;
        child.try_wait().ok().flatten()
    }

    /// Ends a role in good order: its stdin is closed, then SIGTERM, then SIGKILL.
    pub fn end(&self, role: &Role) -> anyhow::Result<()> {
        let Some(mut child) = self.inner.take(role) else { return Ok(()) };
        drop(child.stdin.take());
        let status = end(&mut child).with_context(|| format!("cannot end {role}"))?;
        anyhow::ensure!(status.success(), "{role} ended with {status}");
        Ok(())
    }

    /// Ends the applications and what is left of unfinished steps.
    pub fn end_detached(&self) -> anyhow::Result<()> {
        self.inner.end_detached().context("cannot end the applications")
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Role::Client => f.pad("the client"),
            Role::Balancer => f.pad("the balancer"),
            Role::Copy(member) => f.pad(&format!("the copy of {member}'s agent")),
            Role::Agent(member) => f.pad(&format!("the agent of {member}")),
        }
    }
}

impl Inner {
    /// A panic while it was held left the list whole: every change is one push or remove.
    fn children(&self) -> MutexGuard<'_, Vec<(Role, Child)>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, role: &Role) -> Option<Child> {
        let mut children = self.children();
        let place = children.iter().position(|(which, _)| which == role)?;
        Some(children.remove(place).1)
    }

    fn end_detached(&self) -> io::Result<()> {
        let mut records = Vec::new();
        for (_, data) in &self.agents {
            records.extend(below(&data.join("spool"), "unit/started"));
            records.extend(below(&data.join("services"), "process.json"));
        }
        let families: Vec<Identity> = records.iter().filter_map(|path| recorded(path)).collect();
        for leader in &families {
            let _gone_meanwhile = to_group(leader, Signal::TERM);
            // One that is stopped hears it only now.
            let _gone_meanwhile = to_group(leader, Signal::CONT);
        }
        let gone = |limit| wait_until(limit, || Ok(families.iter().all(|leader| !leader.lives())));
        if gone(GRACE)? {
            return Ok(());
        }
        for leader in &families {
            let _gone_meanwhile = to_group(leader, Signal::KILL);
        }
        if gone(GONE)? { Ok(()) } else { Err(io::Error::other("they are still there after SIGKILL")) }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut children = std::mem::take(self.children.get_mut().unwrap_or_else(PoisonError::into_inner));
        children.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (_, child) in &mut children {
            drop(child.stdin.take());
            // A paused agent hears nothing but this.
            let _gone_meanwhile =
                known(child.id()).map(|pid| rustix::process::kill_process(pid, Signal::CONT));
        }
        for (role, child) in &mut children {
            if let Err(error) = end(child) {
                tracing::warn!(%error, "{role} could not be ended");
            }
        }
        if let Err(error) = self.end_detached() {
            tracing::warn!(%error, "applications could not be ended");
        }
    }
}

/// Waits a moment for an end by itself if its stdin said so, then SIGTERM to its group, then SIGKILL.
fn end(child: &mut Child) -> io::Result<ExitStatus> {
    let mut status = child.try_wait()?;
    for (signal, limit) in [(Signal::TERM, GRACE), (Signal::KILL, GONE)] {
        if let Some(status) = status {
            return Ok(status);
        }
        if let Some(pid) = known(child.id()) {
            let _gone_meanwhile = rustix::process::kill_process_group(pid, signal);
        }
        wait_until(limit, || {
            status = child.try_wait()?;
            Ok(status.is_some())
        })?;
    }
    status.ok_or_else(|| io::Error::other("it is still there after SIGKILL"))
}

fn known(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

fn to_group(leader: &Identity, signal: Signal) -> io::Result<()> {
    match known(leader.pid).filter(|_| leader.lives()) {
        Some(pid) => Ok(rustix::process::kill_process_group(pid, signal)?),
        None => Ok(()),
    }
}

/// The files `name` in the directories below `parent`.
fn below(parent: &Path, name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join(name)).filter(|path| path.exists()).collect()
}

fn recorded(path: &Path) -> Option<Identity> {
    match serde_json::from_slice(&std::fs::read(path).ok()?).ok()? {
        Recorded::Application { leader } | Recorded::Unit { runner: leader } => Some(leader),
    }
}

#[expect(clippy::disallowed_methods, reason = "also runs in a destructor, where no runtime is")]
fn wait_until(limit: Duration, mut done: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    while !done()? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(POLL);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("600").stdin(std::process::Stdio::null());
        command
    }

    fn gone(pid: u32) -> bool {
        proc::process(pid).is_none()
    }

    #[test]
    fn nothing_outlives_a_panic_neither_what_is_paused_nor_what_is_detached() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::create(Some(&home.path().join("kept"))).unwrap();
        let member = MemberName::new("n1").unwrap();
        let log = home.path().join("log");

        // As an agent leaves it: a record of an application that is nobody's child here, and a unit's claim.
        let detached: Vec<Child> = (0..2).map(|_| sleeper().process_group(0).spawn().unwrap()).collect();
        let leader = |child: &Child| serde_json::to_value(proc::identity(child.id()).unwrap()).unwrap();
        let data = layout.agent_data(&member);
        let (service, unit) = (data.join("services/n1"), data.join("spool/r1-s1-a1-t1-1/unit"));
        for directory in [&service, &unit] {
            std::fs::create_dir_all(directory).unwrap();
        }
        let record = serde_json::json!({ "form": 1, "leader": leader(&detached[0]), "mark": "x" });
        std::fs::write(service.join("process.json"), record.to_string()).unwrap();
        let claim = serde_json::json!({ "runner": leader(&detached[1]) });
        std::fs::write(unit.join("started"), claim.to_string()).unwrap();
        // They are children of this test, which must reap them to see them gone.
        let reaped: Vec<_> =
            detached.into_iter().map(|mut child| std::thread::spawn(move || child.wait().unwrap())).collect();

        let outcome = std::panic::catch_unwind(|| {
            let processes = Processes::new(&layout, std::slice::from_ref(&member));
            let (agent, client) = (Role::Agent(member.clone()), Role::Client);
            processes.start(agent.clone(), &mut sleeper(), &log).unwrap();
            processes.start(client.clone(), &mut sleeper(), &log).unwrap();
            processes.signal(&agent, Signal::STOP).unwrap();
            let pids = [agent, client].map(|role| processes.pid(&role).unwrap());
            std::panic::panic_any(pids);
        });
        let pids = *outcome.unwrap_err().downcast::<[u32; 2]>().unwrap();
        assert!(pids.into_iter().all(gone), "{pids:?}");
        for waiter in reaped {
            assert!(!waiter.join().unwrap().success());
        }
    }

    #[test]
    fn a_record_of_another_process_ends_nobody() {
        let mut child = sleeper().process_group(0).spawn().unwrap();
        let other = Identity { started: 1, ..proc::identity(child.id()).unwrap() };
        to_group(&other, Signal::KILL).unwrap();
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
