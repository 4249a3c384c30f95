//! An application that Lockkeeper starts itself, in a session of its own, and finds again by its record.
//!
//! The record holds process id, start time and boot id, and is written by the process that becomes the application, so
//! it is right after any crash of the agent. An application that somebody else started is seen, but never touched.

use super::ServiceState;
use crate::{
    code::HostCode,
    exec::{
        detach::{self, About, Application, Record, SERVICE_MARK},
        end::{Ended, Family},
        proc,
        spool::{SpoolError, read_json},
    },
    probe::log::Mark,
};
use lockkeeper_agent::host::Failure;
use lockkeeper_core::{
    ids::{Digest, MemberName},
    plan::action::CommandSpec,
    version::Version,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// One member's application on this host.
#[derive(Debug, Clone)]
pub struct ProcessService {
    program: PathBuf,
    record: PathBuf,
}

/// What a start needs beside the service itself.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The command with its placeholders filled.
    pub filled: &'a CommandSpec,
    /// The command as the plan has it; only this one is recorded.
    pub written: &'a CommandSpec,
    /// Where its output is appended; empty: nowhere.
    pub log: &'a str,
    /// The version it shall be.
    pub version: &'a Version,
    /// Who starts it, for the record.
    pub attempt: &'a str,
    /// Tells its configuration from another one, see [`digest`].
    pub digest: &'a Digest,
}

impl ProcessService {
    /// `program` is the binary that knows `step-runner`; the record is kept under `data_dir`.
    pub fn new(program: &Path, data_dir: &Path, member: &MemberName) -> Self {
        let record = data_dir.join("services").join(member.as_str()).join("process.json");
        Self { program: program.to_owned(), record }
    }

    /// The record of the last start.
    pub fn record(&self) -> Result<Option<Record>, SpoolError> {
        read_json(&self.record)
    }

    /// Looks. `command` (filled) is how one that has no record would show in the process list.
    pub fn state(&self, command: Option<&CommandSpec>) -> ServiceState {
        let unknown = |code, why: String| ServiceState::Unknown { code, why };
        let record = match self.record() {
            Ok(record) => record,
            Err(error) => return unknown(HostCode::SpoolDamaged, error.to_string()),
        };
        let own = match &record {
            None => Vec::new(),
            Some(record) => match family(record).living() {
                Ok(own) => own,
                Err(error) => return unknown(HostCode::ServiceUnknown, Failure::from(error).text),
            },
        };
        if let Some(record) = &record {
            if record.leader.lives() {
                let evidence = format!("process {} since its recorded start", record.leader.pid);
                return ServiceState::Running { version: Some(record.about.version.clone()), evidence };
            }
            if !own.is_empty() {
                return ServiceState::Leftovers { pids: own.iter().map(|p| p.pid).collect() };
            }
        }
        match command.map_or(Ok(Vec::new()), strangers) {
            Err(error) => unknown(HostCode::ServiceUnknown, format!("reading /proc: {error}")),
            Ok(pids) if !pids.is_empty() => unknown(
                HostCode::ServiceState,
                format!(
                    "processes {pids:?} have this service's command line, but were not started by Lockkeeper"
                ),
            ),
            Ok(_) => ServiceState::Stopped {
                evidence: match &record {
                    Some(r) => format!("process {} and its session are gone", r.leader.pid),
                    None => "no recorded start, and no process has its command line".to_owned(),
                },
            },
        }
    }

    /// Starts it and waits until the program has begun. Fails if it runs already.
    pub async fn start(&self, start: Start<'_>) -> Result<(), Failure> {
        let log_mark = match start.log {
            "" => None,
            path => Mark::of(Path::new(path)).ok(),
        };
        let application = Application {
            argv: start.filled.argv.clone(),
            shell: start.filled.shell,
            env: start.filled.env.clone(),
            dir: start.filled.dir.clone(),
            log: start.log.to_owned(),
            record: self.record.clone(),
            about: About {
                version: start.version.as_str().to_owned(),
                attempt: start.attempt.to_owned(),
                argv: start.written.argv.clone(),
                log_mark,
                digest: start.digest.clone(),
            },
        };
        detach::start(&self.program, &application).await
    }

    /// SIGTERM to all of it, `wait`, SIGKILL, and the proof that nothing is left.
    pub async fn stop(&self, wait: Duration) -> Result<Ended, Failure> {
        match self.record()? {
            None => Ok(Ended::WasGone),
            Some(record) => Ok(family(&record).end(wait).await?),
        }
    }
}

/// Digest of what a command does: program, arguments, environment, directory. What differs from start to start and is
/// no configuration (the token) should not be filled in yet.
pub fn digest(command: &CommandSpec) -> Digest {
    let parts = (&command.argv, &command.env, &command.dir, command.shell);
    Digest::of(format!("{parts:?}").as_bytes())
}

fn family(record: &Record) -> Family {
    Family {
        leader: record.leader.clone(),
        mark: (SERVICE_MARK.to_owned(), record.mark.clone()),
        spare: None,
    }
}

/// Processes whose argument vector ends like the command's (an interpreter may stand before it).
fn strangers(command: &CommandSpec) -> std::io::Result<Vec<u32>> {
    if command.argv.is_empty() || command.shell {
        return Ok(Vec::new());
    }
    let same = |pid: u32| {
        let argv = proc::argv(pid);
        argv.ends_with(&command.argv)
            && (command.dir.is_empty() || proc::directory(pid).is_none_or(|d| d == Path::new(&command.dir)))
    };
    Ok(proc::all()?.into_iter().map(|p| p.pid).filter(|pid| same(*pid)).collect())
}
