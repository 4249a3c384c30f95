//! Ending a family of processes and proving it gone. Knows nothing about why.

use super::{
    GONE_LIMIT, POLL,
    proc::{self, Identity, Process},
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::time::Duration;
use tokio::time::Instant;

/// How a family ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing was there.
    WasGone,
    /// It went after SIGTERM.
    Terminated,
    /// It had to be killed.
    Killed,
}

/// Why a family could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// `/proc` cannot be read.
    #[error("reading /proc")]
    Proc(#[source] std::io::Error),
    /// Still there.
    #[error("processes {0:?} are still there {limit} s after SIGKILL", limit = GONE_LIMIT.as_secs())]
    NotGone(Vec<u32>),
}

/// Whom to end: a leader with its session and group, and everything that carries the mark.
#[derive(Debug, Clone)]
pub struct Family {
    /// The process that led them.
    pub leader: Identity,
    /// Environment variable and value that all of them inherited.
    pub mark: (String, String),
    /// Left alone: the runner that does the ending.
    pub spare: Option<u32>,
}

impl Family {
    /// Who is there now.
    pub fn living(&self) -> Result<Vec<Process>, EndError> {
        let family = self.leader.family(&self.mark).map_err(EndError::Proc)?;
        Ok(family.into_iter().filter(|p| Some(p.pid) != self.spare).collect())
    }

    /// Two looks, since a fork between the reading of two entries hides the child from one.
    pub fn is_gone(&self) -> Result<bool, EndError> {
        Ok(self.living()?.is_empty() && self.living()?.is_empty())
    }

    fn signal(&self, signal: Signal) -> Result<(), EndError> {
        for seen in self.living()? {
            let Some(pid) = i32::try_from(seen.pid).ok().and_then(Pid::from_raw) else { continue };
            // The handle pins the process; the second look makes sure that it is the one that was meant, not a
            // stranger that got its id. It may have gone meanwhile: the caller reads back whether it did.
            let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            if proc::process(seen.pid).is_some_and(|now| now.started == seen.started) {
                let _gone_meanwhile = pidfd_send_signal(&handle, signal);
            }
        }
        Ok(())
    }

    async fn wait(&self, limit: Duration, again: Option<Signal>) -> Result<bool, EndError> {
        let end = Instant::now() + limit;
        loop {
            if self.is_gone()? {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            if let Some(signal) = again {
                self.signal(signal)?;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// SIGTERM, `grace`, SIGKILL until nobody is left or [`GONE_LIMIT`] has passed. May be repeated.
    pub async fn end(&self, grace: Duration) -> Result<Ended, EndError> {
        if self.is_gone()? {
            return Ok(Ended::WasGone);
        }
        self.signal(Signal::TERM)?;
        if self.wait(grace, None).await? {
            return Ok(Ended::Terminated);
        }
        self.signal(Signal::KILL)?;
        // Again and again: a fork bomb makes children faster than one pass kills them.
        if self.wait(GONE_LIMIT, Some(Signal::KILL)).await? {
            return Ok(Ended::Killed);
        }
        Err(EndError::NotGone(self.living()?.into_iter().map(|p| p.pid).collect()))
    }
}

impl From<EndError> for lockkeeper_agent::host::Failure {
    fn from(error: EndError) -> Self {
        let text = match &error {
            EndError::Proc(source) => format!("{error}: {source}"),
            EndError::NotGone(_) => error.to_string(),
        };
        crate::HostCode::NotGone.failure(text)
    }
}
