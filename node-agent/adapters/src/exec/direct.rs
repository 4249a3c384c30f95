//! A short command whose caller waits for it: a status, a probe, a version, a secret. Nothing of it outlives the call.

use super::{
    KILL_GRACE,
    end::Family,
    job::{End, FORM, Job, RunResult},
    proc,
    runner::command,
    tail::{Tail, drain},
};
use crate::{clock, code::HostCode};
use lockkeeper_agent::host::Failure;
use std::{os::unix::process::ExitStatusExt, process::Stdio, sync::Mutex};
use tokio::process::Command;

/// Ends the group if the caller stops waiting.
struct Guard(Option<rustix::process::Pid>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _gone_meanwhile = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Runs a command to its end or its limit. The error is only that it could not be run; how it ended is in the result.
pub async fn run(job: &Job) -> Result<RunResult, Failure> {
    let what = || job.argv.first().map(String::as_str).unwrap_or_default().to_owned();
    let not_started = |e: std::io::Error| HostCode::CommandNotStarted.failure(format!("{}: {e}", what()));
    let began_ms = clock::wall_ms();
    let std_command = command(&job.argv, job.shell, &job.env, &job.dir).map_err(not_started)?;
    let mut command = Command::from(std_command);
    let mark = ("LOCKKEEPER_LOOK".to_owned(), uuid::Uuid::now_v7().to_string());
    command.env(&mark.0, &mark.1).process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(not_started)?;
    let pid = child.id().unwrap_or_default();
    let mut guard = Guard(i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw));
    let leader = proc::identity(pid).map_err(not_started)?;
    let (out, err) = (Mutex::new(Tail::default()), Mutex::new(Tail::default()));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let readers = async {
        let out = async {
            if let Some(s) = stdout {
                drain(s, &out).await
            }
        };
        let err = async {
            if let Some(s) = stderr {
                drain(s, &err).await
            }
        };
        tokio::join!(out, err);
    };
    let ended =
        tokio::time::timeout(job.timeout.into(), async { tokio::join!(child.wait(), readers).0 }).await;
    let end = match ended {
        Ok(Ok(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => End::Exited(code),
            (None, signal) => End::Signalled(signal.unwrap_or(0)),
        },
        Ok(Err(e)) => return Err(not_started(e)),
        Err(_) => {
            Family { leader, mark, spare: None }.end(KILL_GRACE).await?;
            let _reaped = child.wait().await;
            End::TimedOut
        }
    };
    guard.0 = None;
    let text = |tail: &Mutex<Tail>| tail.lock().map(|t| t.text(&job.secrets)).unwrap_or_default();
    Ok(RunResult {
        form: FORM,
        end,
        stdout: text(&out),
        stderr: text(&err),
        began_ms,
        ended_ms: clock::wall_ms(),
    })
}
