//! The agent's side of a unit: start it once, wait for it, find it again, end it.
//!
//! The order makes two starts of one attempt impossible: the directory (`mkdir`), the runner, the caller's record of the
//! unit, and only then the job through the pipe. Whatever life of the agent ends in between, nothing has begun yet, or
//! the runner's claim says so.

use super::{
    GONE_LIMIT, KILL_GRACE, POLL,
    end::Family,
    job::{End, FORM, Job, RunResult},
    proc::{self, Identity},
    spool::{Claim, Spool},
};
use crate::{clock, code::HostCode};
use lockkeeper_agent::host::{Failure, Unit};
use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessSession};
use std::{
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{io::AsyncWriteExt, process::ChildStdin, time::Instant};

/// What is known of a unit by its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing of it ever ran.
    Nothing,
    /// A runner claimed it; it may run, have ended, or have died.
    Begun(Unit),
}

/// Starts and finds units under one spool directory.
#[derive(Debug, Clone)]
pub struct Units {
    program: PathBuf,
    root: PathBuf,
}

impl Units {
    /// `program` is the binary that knows `step-runner`, `root` the spool.
    pub fn new(program: impl Into<PathBuf>, root: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), root: root.into() }
    }

    fn spool(&self, name: &str) -> Spool {
        Spool::at(self.root.join(name).join("unit"))
    }

    /// Looks for a unit of this name.
    pub fn known(&self, name: &str) -> Result<Known, Failure> {
        Ok(match self.spool(name).claimed()? {
            Some(Claim::Runner(leader)) => Known::Begun(unit(name, leader)),
            Some(Claim::Void) | None => Known::Nothing,
        })
    }

    /// Starts the unit, tells it through `started` before it begins, and waits for its result. If it was begun before,
    /// waits for that one instead. Dropping the future leaves it running.
    pub async fn run(
        &self,
        name: &str,
        job: Job,
        started: &(dyn Fn(Unit) + Send + Sync),
    ) -> Result<RunResult, Failure> {
        let spool = self.spool(name);
        if !spool.create()? {
            if let Known::Begun(unit) = self.known(name)? {
                return self.wait(&unit).await;
            }
            self.set_aside(&spool)?;
            if !spool.create()? {
                return Err(
                    HostCode::Spool.failure(format!("{}: made by somebody else", spool.dir().display()))
                );
            }
        }
        let mut line =
            serde_json::to_vec(&job).map_err(|_| HostCode::Spool.failure("the job cannot be encoded"))?;
        line.push(b'\n');
        let (mut child, mut pipe) = self.spawn(&spool).map_err(|e| {
            HostCode::CommandNotStarted.failure(format!("{} step-runner: {e}", self.program.display()))
        })?;
        let pid =
            child.id().ok_or_else(|| HostCode::CommandNotStarted.failure("the step-runner has no id"))?;
        // Not reaped before the task below, so its entry is there even if it has ended.
        let leader = proc::identity(pid)
            .map_err(|e| HostCode::CommandNotStarted.failure(format!("/proc/{pid}: {e}")))?;
        let unit = unit(name, leader);
        started(unit.clone());
        // The task holds the pipe and reaps the runner, also when the caller's future is dropped.
        let done = tokio::spawn(async move {
            let told = async {
                pipe.write_all(&line).await?;
                pipe.flush().await
            };
            if let Err(error) = told.await {
                tracing::warn!(%error, pid, "the step-runner did not take its job");
            }
            if let Err(error) = child.wait().await {
                tracing::warn!(%error, pid, "the step-runner was not reaped");
            }
            drop(pipe);
        });
        let _ended = done.await;
        self.wait(&unit).await
    }

    fn spawn(&self, spool: &Spool) -> io::Result<(Box<dyn ChildWrapper>, ChildStdin)> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(spool.dir().join("runner.log"))?;
        let mut command = CommandWrap::with_new(&self.program, |c| {
            c.args(["step-runner".as_ref(), "--spool".as_ref(), spool.dir().as_os_str()]);
            c.env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).current_dir("/");
        });
        command.wrap(ProcessSession);
        let mut child = command.spawn()?;
        let pipe = child.stdin().take().ok_or_else(|| io::Error::other("no pipe to the step-runner"))?;
        Ok((child, pipe))
    }

    /// Declares that nothing will ever run in a directory no runner claimed, and moves it out of the way.
    fn set_aside(&self, spool: &Spool) -> Result<(), Failure> {
        if !spool.claim(&Claim::Void)? && spool.claimed()? != Some(Claim::Void) {
            return Err(
                HostCode::Spool.failure(format!("{}: a late runner claimed it", spool.dir().display()))
            );
        }
        let aside = spool.dir().with_file_name(format!("void.{}", uuid::Uuid::now_v7()));
        std::fs::rename(spool.dir(), &aside)
            .map_err(|e| HostCode::Spool.failure(format!("moving {} aside: {e}", spool.dir().display())))
    }

    /// Waits for the result of a unit that this or an earlier life started. A unit that is gone without a result is a
    /// failure; on another boot it is gone.
    pub async fn wait(&self, unit: &Unit) -> Result<RunResult, Failure> {
        let spool = self.spool(&unit.name);
        loop {
            if let Some(result) = spool.result()? {
                return Ok(result);
            }
            if self.family(unit, None).is_gone()? {
                // It may have left its result between the two looks.
                return spool.result()?.ok_or_else(|| died(unit, spool.dir()));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends the unit's family and proves it gone; leaves the result "killed" if the runner left none. A unit with a
    /// result is not touched: what it left behind on purpose (a daemon) stays.
    pub async fn kill(&self, unit: &Unit) -> Result<(), Failure> {
        let spool = self.spool(&unit.name);
        if spool.result()?.is_some() {
            return Ok(());
        }
        let leader = Identity::from(unit);
        if leader.lives() {
            // The runner ends its command itself and leaves a result; it gets the command's grace and some more.
            if let Some(pid) = i32::try_from(unit.pid).ok().and_then(rustix::process::Pid::from_raw) {
                let _gone_meanwhile = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            if ended_by_itself(&spool, &leader, KILL_GRACE + GONE_LIMIT).await? {
                return Ok(());
            }
        }
        self.family(unit, None).end(Duration::ZERO).await?;
        if spool.result()?.is_none() && spool.dir().exists() {
            let now = clock::wall_ms();
            let (stdout, stderr) = (String::new(), String::new());
            spool.finish(&RunResult {
                form: FORM,
                end: End::Killed,
                stdout,
                stderr,
                began_ms: now,
                ended_ms: now,
            })?;
        }
        Ok(())
    }

    fn family(&self, unit: &Unit, spare: Option<u32>) -> Family {
        Family { leader: Identity::from(unit), mark: Job::mark(self.spool(&unit.name).dir()), spare }
    }
}

async fn ended_by_itself(spool: &Spool, leader: &Identity, limit: Duration) -> Result<bool, Failure> {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if spool.result()?.is_some() && !leader.lives() {
            return Ok(true);
        }
        if !leader.lives() {
            return Ok(false);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(false)
}

fn unit(name: &str, leader: Identity) -> Unit {
    Unit { name: name.to_owned(), pid: leader.pid, started: leader.started, boot: leader.boot }
}

fn died(unit: &Unit, dir: &Path) -> Failure {
    let log = std::fs::read_to_string(dir.join("runner.log")).unwrap_or_default();
    let said =
        if log.trim().is_empty() { String::new() } else { format!("; its runner said: {}", log.trim()) };
    HostCode::UnitDied.failure(format!(
        "unit {} (process {}) is gone and left no result: whether its command did anything is unknown{said}",
        unit.name, unit.pid
    ))
}
