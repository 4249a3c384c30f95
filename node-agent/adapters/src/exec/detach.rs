//! Starting an application that belongs to nobody: not to the agent, not to its session.
//!
//! The agent starts a first half, which starts a second and ends, so that process 1 adopts the second. The second takes
//! the job from the agent's pipe, opens a session, writes the record with its *own* process id, and then becomes the
//! application by `exec`. So there is no moment in which the application runs unrecorded. The agent learns of the `exec`
//! by the end of a pipe that closes with it.

use super::{
    proc::{self, Identity},
    runner::{JOB_MAX, command},
    spool,
};
use crate::{clock, code::HostCode, probe::log::Mark};
use lockkeeper_agent::host::Failure;
use lockkeeper_core::ids::Digest;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, BufRead, Read, Write},
    os::{
        fd::AsFd,
        unix::{fs::OpenOptionsExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long the two halves may take until the application's `exec`. They do nothing but an fsync.
const START_LIMIT: Duration = Duration::from_secs(15);

/// The longest complaint of a second half that is read, in bytes.
const COMPLAINT_MAX: u64 = 4096;

/// The variable that marks an application's processes; its value is the record's path and a number made for the start.
pub const SERVICE_MARK: &str = "LOCKKEEPER_SERVICE";

/// What is started. Not `Debug`: its environment may hold a secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Application {
    /// Program and arguments, filled.
    pub argv: Vec<String>,
    /// Run `argv[0]` by `sh -c`.
    pub shell: bool,
    /// The environment beside search path and mark.
    pub env: BTreeMap<String, String>,
    /// Working directory, empty for `/`.
    pub dir: String,
    /// Where its output is appended; empty: nowhere.
    pub log: String,
    /// Where the record is kept.
    pub record: PathBuf,
    /// What the record shall say beside the process.
    pub about: About,
}

/// What the starter says of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The version it was started as.
    pub version: String,
    /// The attempt that started it.
    pub attempt: String,
    /// Its argument vector as the plan has it, placeholders unfilled, so that a record holds no secret.
    pub argv: Vec<String>,
    /// Where the log stood before this start: what the application writes begins here.
    pub log_mark: Option<Mark>,
    /// Digest of the filled command, so that one with another configuration is not taken for it.
    pub digest: Digest,
}

/// The record of an application's last start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Form of this file; 1.
    pub form: u32,
    /// Its leader.
    pub leader: Identity,
    /// Value of [`SERVICE_MARK`].
    pub mark: String,
    /// When, by the wall clock, unix milliseconds.
    pub started_ms: u64,
    /// Where its output goes.
    pub log: String,
    /// What the starter said.
    pub about: About,
}

/// Starts the application and waits for its `exec`.
pub async fn start(program: &Path, application: &Application) -> Result<(), Failure> {
    let failed = |text: String| HostCode::ServiceNotStarted.failure(text);
    let io = |what: &str| {
        let what = what.to_owned();
        move |e: io::Error| HostCode::ServiceNotStarted.failure(format!("{what}: {e}"))
    };
    let mut line = serde_json::to_vec(application).map_err(|_| failed("the job cannot be encoded".into()))?;
    line.push(b'\n');
    let mut first = tokio::process::Command::new(program)
        .args(["step-runner", "--detach"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(io("starting the step-runner"))?;
    let (pipe, report) = (first.stdin.take(), first.stdout.take());
    let (Some(mut pipe), Some(report)) = (pipe, report) else {
        return Err(failed("no pipe to the step-runner".into()));
    };
    let exchange = async {
        pipe.write_all(&line).await?;
        pipe.shutdown().await?;
        drop(pipe);
        let mut complaint = String::new();
        report.take(COMPLAINT_MAX).read_to_string(&mut complaint).await?;
        first.wait().await?;
        Ok::<_, io::Error>(complaint)
    };
    let complaint = match tokio::time::timeout(START_LIMIT, exchange).await {
        Ok(answer) => answer.map_err(io("talking to the step-runner"))?,
        Err(_) => {
            return Err(failed(format!("no answer from the step-runner in {} s", START_LIMIT.as_secs())));
        }
    };
    if complaint.is_empty() { Ok(()) } else { Err(failed(complaint.trim().to_owned())) }
}

/// The first half: starts the second and leaves.
pub(super) fn detach() -> io::Result<()> {
    std::process::Command::new("/proc/self/exe")
        .args(["step-runner", "--become"])
        .env_clear()
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
}

/// The second half. Comes back only with an error; the agent reads it from the report pipe.
pub(super) fn become_application() -> io::Result<()> {
    // Closed by a successful `exec`; a copy, since `exec` replaces the original before it can fail.
    let report = io::stdout().as_fd().try_clone_to_owned()?;
    let error = match prepare() {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    };
    std::fs::File::from(report).write_all(error.to_string().as_bytes())?;
    Err(error)
}

fn prepare() -> io::Result<std::process::Command> {
    let mut line = Vec::new();
    io::stdin().lock().take(JOB_MAX).read_until(b'\n', &mut line)?;
    if !line.ends_with(b"\n") {
        return Err(io::Error::other("the agent went before it said what to start"));
    }
    let job: Application = serde_json::from_slice(&line)
        .map_err(|e| io::Error::other(format!("the job, byte {}", e.column())))?;
    rustix::process::setsid()?;
    let context = |what: &str, e: &dyn std::fmt::Display| io::Error::other(format!("{what}: {e}"));

    let parent = job.record.parent().unwrap_or(Path::new("/"));
    spool::private_dirs(parent).map_err(|e| context("making the state directory", &e))?;
    // Held until `exec` closes it: two starts at once see each other's record.
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(job.record.with_extension("lock"))?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .map_err(|e| context("another start is under way", &io::Error::from(e)))?;
    let earlier: Option<Record> = spool::read_json(&job.record).map_err(|e| context("the record", &e))?;
    if let Some(earlier) = earlier.filter(|r| r.leader.lives()) {
        return Err(io::Error::other(format!("it runs already as process {}", earlier.leader.pid)));
    }

    let mark = format!("{}#{}", job.record.display(), uuid::Uuid::now_v7());
    let mut command = command(&job.argv, job.shell, &job.env, &job.dir)?;
    command.env(SERVICE_MARK, &mark);
    match job.log.as_str() {
        "" => command.stdout(Stdio::null()).stderr(Stdio::null()),
        path => {
            let log = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o640)
                .open(path)
                .map_err(|e| context(&format!("opening the log {path}"), &e))?;
            command.stdout(log.try_clone()?).stderr(log)
        }
    };
    let record = Record {
        form: 1,
        leader: proc::identity(std::process::id())?,
        mark,
        started_ms: clock::wall_ms(),
        log: job.log,
        about: job.about,
    };
    spool::write_json(&job.record, &record).map_err(|e| context("the record", &e))?;
    // Kept open on purpose: closed by `exec`, not by the end of this function.
    std::mem::forget(lock);
    Ok(command)
}
