//! The hidden `step-runner` mode of the binary: a small process between the agent and a command.
//!
//! `--spool DIR` runs one unit; `--detach` and `--become` start an application (see [`super::detach`]). The runner knows
//! nothing of the agent but a pipe: the job comes through it, and its end means that the agent is gone.

use super::{
    KILL_GRACE, SEARCH_PATH, detach,
    end::Family,
    job::{End, FORM, Job, Output, RunResult},
    proc,
    spool::{Claim, Spool},
    tail::{Tail, drain},
};
use crate::clock;
use lockkeeper_core::plan::action::OnAgentLoss;
use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io,
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::PathBuf,
    process::{ExitCode, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::unix::pipe,
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

/// The longest job accepted, in bytes: the kernel's own limit for arguments and environment is two megabytes.
pub const JOB_MAX: u64 = 2 * 1024 * 1024;

/// How long a runner waits for its job. The agent journals the unit in between, which is one fsync.
const JOB_LIMIT: Duration = Duration::from_secs(60);

/// How long after a command's end its output pipes may stay open, held by something it left in the background.
const PIPE_LINGER: Duration = Duration::from_secs(2);

/// What the arguments ask for.
enum Mode {
    Spool(PathBuf),
    Detach,
    Become,
}

/// What went wrong in a runner. It goes to the runner's standard error, which is a file in the spool.
#[derive(Debug, thiserror::Error)]
enum RunnerError {
    #[error("usage: step-runner --spool DIR | --detach | --become")]
    Usage,
    #[error("reading the job: {0}")]
    Job(String),
    #[error("{0}")]
    Spool(#[from] super::spool::SpoolError),
    #[error("{0}: {1}")]
    Io(&'static str, io::Error),
}

/// The `step-runner` mode. `args` are those after the word `step-runner`. Ends 0 when a result or an application is
/// left behind, 64 on wrong usage, 1 otherwise.
pub fn step_runner_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let outcome = match mode(args) {
        Ok(Mode::Spool(dir)) => run_unit(Spool::at(dir)),
        Ok(Mode::Detach) => detach::detach().map_err(|e| RunnerError::Io("starting the second half", e)),
        Ok(Mode::Become) => {
            detach::become_application().map_err(|e| RunnerError::Io("becoming the application", e))
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // No subscriber runs in this process; standard error is the runner's log.
            let _nobody_listens =
                io::Write::write_all(&mut io::stderr(), format!("step-runner: {error}\n").as_bytes());
            ExitCode::from(if matches!(error, RunnerError::Usage) { 64 } else { 1 })
        }
    }
}

fn mode(args: impl IntoIterator<Item = OsString>) -> Result<Mode, RunnerError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let words: Vec<Option<&str>> = args.iter().map(|a| a.to_str()).collect();
    match (words.as_slice(), args.get(1)) {
        ([Some("--spool"), _], Some(dir)) => Ok(Mode::Spool(PathBuf::from(dir))),
        ([Some("--detach")], None) => Ok(Mode::Detach),
        ([Some("--become")], None) => Ok(Mode::Become),
        _ => Err(RunnerError::Usage),
    }
}

fn run_unit(spool: Spool) -> Result<(), RunnerError> {
    // Orphans of the command come to this process instead of process 1, so that they stay in the family.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|e| RunnerError::Io("adopting orphans", e.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| RunnerError::Io("starting the runtime", e))?;
    runtime.block_on(unit(spool))
}

async fn unit(spool: Spool) -> Result<(), RunnerError> {
    let io = |what| move |e| RunnerError::Io(what, e);
    let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(io("taking standard input"))?;
    let mut agent =
        BufReader::new(pipe::Receiver::from_owned_fd(stdin).map_err(io("taking standard input"))?);
    let mut terminate = signal(SignalKind::terminate()).map_err(io("listening for SIGTERM"))?;
    let job = read_job(&mut agent).await?;

    let me = proc::identity(std::process::id()).map_err(io("reading /proc"))?;
    if !spool.claim(&Claim::Runner(me.clone()))? {
        return Err(RunnerError::Job("this unit was started before".into()));
    }
    let began_ms = clock::wall_ms();
    let tails = Tails::default();
    let family = Family { leader: me.clone(), mark: Job::mark(spool.dir()), spare: Some(me.pid) };
    let end = match start(&job, &spool, &tails) {
        Err(error) => End::NotStarted(error.to_string()),
        Ok((mut child, readers)) => {
            let end = tokio::select! {
                status = child.wait() => status.map_or_else(|e| End::NotStarted(e.to_string()), how),
                () = tokio::time::sleep(job.timeout.into()) => End::TimedOut,
                () = agent_gone(&mut agent, job.on_agent_loss) => End::AgentLost,
                _ = terminate.recv() => End::Killed,
            };
            if matches!(end, End::TimedOut | End::AgentLost | End::Killed) {
                if let Err(error) = family.end(KILL_GRACE).await {
                    tails.err.lock().map(|mut t| t.push(format!("\nstep-runner: {error}").as_bytes())).ok();
                }
                let _reaped = tokio::time::timeout(KILL_GRACE, child.wait()).await;
            }
            let _lingering = tokio::time::timeout(PIPE_LINGER, readers).await;
            end
        }
    };
    let (stdout, stderr) = tails.texts(&job, &spool);
    spool.finish(&RunResult { form: FORM, end, stdout, stderr, began_ms, ended_ms: clock::wall_ms() })?;
    Ok(())
}

async fn read_job(agent: &mut BufReader<pipe::Receiver>) -> Result<Job, RunnerError> {
    let mut line = Vec::new();
    let mut limited = agent.take(JOB_MAX);
    let read = tokio::time::timeout(JOB_LIMIT, limited.read_until(b'\n', &mut line));
    match read.await {
        Err(_) => return Err(RunnerError::Job("none came".into())),
        Ok(Err(e)) => return Err(RunnerError::Io("reading the job", e)),
        Ok(Ok(_)) if !line.ends_with(b"\n") => return Err(RunnerError::Job("the agent went first".into())),
        Ok(Ok(_)) => {}
    }
    // The parser's text could quote a secret, so only the place is told.
    let job: Job =
        serde_json::from_slice(&line).map_err(|e| RunnerError::Job(format!("byte {}", e.column())))?;
    if job.form != FORM {
        return Err(RunnerError::Job(format!("form {}, expected {FORM}", job.form)));
    }
    Ok(job)
}

/// Comes back when the agent's end of the pipe closed and the command must not outlive that.
async fn agent_gone(agent: &mut BufReader<pipe::Receiver>, then: OnAgentLoss) {
    let mut byte = [0_u8; 1];
    while matches!(agent.read(&mut byte).await, Ok(n) if n > 0) {}
    match then {
        OnAgentLoss::Kill => {}
        OnAgentLoss::Finish => std::future::pending().await,
    }
}

fn how(status: ExitStatus) -> End {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, signal) => End::Signalled(signal.unwrap_or(0)),
    }
}

#[derive(Default, Clone)]
struct Tails {
    out: Arc<Mutex<Tail>>,
    err: Arc<Mutex<Tail>>,
}

impl Tails {
    fn texts(&self, job: &Job, spool: &Spool) -> (String, String) {
        if job.output == Output::Spool {
            for (name, tail) in [("stdout", &self.out), ("stderr", &self.err)] {
                if let (Ok(bytes), Ok(mut tail)) = (read_end(&spool.dir().join(name)), tail.lock()) {
                    tail.push(&bytes);
                }
            }
        }
        let text = |tail: &Mutex<Tail>| tail.lock().map(|t| t.text(&job.secrets)).unwrap_or_default();
        (text(&self.out), text(&self.err))
    }
}

fn read_end(path: &std::path::Path) -> io::Result<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = File::open(path)?;
    let keep = u64::try_from(super::TAIL_MAX).unwrap_or(u64::MAX);
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(keep)))?;
    let mut bytes = Vec::new();
    file.take(keep).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The program and its arguments, by a shell only if the plan says so, with a clean environment.
pub(super) fn command(
    argv: &[String],
    shell: bool,
    env: &std::collections::BTreeMap<String, String>,
    dir: &str,
) -> io::Result<std::process::Command> {
    let (program, rest) = argv.split_first().ok_or_else(|| io::Error::other("an empty argument vector"))?;
    let mut command = if shell {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", program, "sh"]).args(rest);
        command
    } else {
        let mut command = std::process::Command::new(program);
        command.args(rest);
        command
    };
    command.env_clear().env("PATH", SEARCH_PATH).env("LANG", "C.UTF-8").envs(env);
    command.current_dir(if dir.is_empty() { "/" } else { dir });
    command.stdin(Stdio::null());
    Ok(command)
}

fn start(job: &Job, spool: &Spool, tails: &Tails) -> io::Result<(Child, impl Future<Output = ()>)> {
    let mut command = Command::from(command(&job.argv, job.shell, &job.env, &job.dir)?);
    let (name, value) = Job::mark(spool.dir());
    command.env(name, value).process_group(0);
    match job.output {
        Output::Tail => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
        Output::Spool => {
            let file =
                |name| OpenOptions::new().create(true).append(true).mode(0o600).open(spool.dir().join(name));
            command.stdout(file("stdout")?).stderr(file("stderr")?)
        }
    };
    let mut child = command.spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let tails = tails.clone();
    let readers = tokio::spawn(async move {
        let out = async {
            if let Some(out) = out {
                drain(out, &tails.out).await
            }
        };
        let err = async {
            if let Some(err) = err {
                drain(err, &tails.err).await
            }
        };
        tokio::join!(out, err);
    });
    Ok((child, async { readers.await.unwrap_or_default() }))
}
