//! An application that its own commands start, stop and look at. Exit 0 of the look means running, 3 stopped (as
//! `systemctl is-active` and the LSB say it), anything else is not an answer.

use super::ServiceState;
use crate::{
    code::HostCode,
    exec::{End, Job, direct},
};

/// Exit status of the look that means running.
pub const RUNNING: i32 = 0;

/// Exit status of the look that means stopped.
pub const STOPPED: i32 = 3;

/// Runs the look. `job` is the filled status command.
pub async fn state(job: &Job) -> ServiceState {
    let program = job.argv.first().cloned().unwrap_or_default();
    match direct::run(job).await {
        Err(failure) => ServiceState::Unknown { code: HostCode::ServiceUnknown, why: failure.text },
        Ok(result) => match result.end {
            End::Exited(RUNNING) => ServiceState::Running {
                version: None,
                evidence: format!("{program} ended with status {RUNNING}{}", first_line(&result.stdout)),
            },
            End::Exited(STOPPED) => ServiceState::Stopped {
                evidence: format!("{program} ended with status {STOPPED}{}", first_line(&result.stdout)),
            },
            other => ServiceState::Unknown {
                code: HostCode::ServiceUnknown,
                why: format!(
                    "{program}: {other:?}; known answers: status {RUNNING} running, {STOPPED} stopped"
                ),
            },
        },
    }
}

fn first_line(text: &str) -> String {
    /// Characters of a status command's answer that are worth keeping.
    const KEEP: usize = 120;
    match text.lines().map(str::trim).find(|l| !l.is_empty()) {
        Some(line) => format!(": {}", line.chars().take(KEEP).collect::<String>()),
        None => String::new(),
    }
}
