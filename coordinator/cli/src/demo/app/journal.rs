//! What the application writes into its own log and into the audit table. Knows no HTTP and no schema.

use super::Installed;
use super::release::{self, AppVersion};
use crate::demo::clock::unix_ms;
use crate::demo::lines::LineLog;
use lockkeeper_core::ids::MemberName;
use serde::Serialize;

/// Who acts: stands in every audit and corruption row and in every log line.
#[derive(Debug, Clone)]
pub struct Who {
    /// The member the process runs on.
    pub member: MemberName,
    /// Its process id.
    pub pid: u32,
    /// The version it was started as.
    pub version: AppVersion,
    /// The token in its launch environment, if any.
    pub token: Option<String>,
}

/// The application's log, `app-<member>.log`.
#[derive(Debug, Clone)]
pub struct AppLog {
    lines: LineLog,
    who: Who,
}

/// What a log line is about. The names are stable: the demo's report and the oracle read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The process runs and has passed the schema guard; it is warming up.
    Start,
    /// It answers.
    Ready,
    /// The schema guard said no; the process ends.
    Refused,
    /// SIGTERM came.
    Stopping,
    /// The last request is answered; the process ends.
    Stopped,
    /// The migration's first act is committed.
    UpgradeBegin,
    /// A tenth of the migration is committed.
    UpgradeProgress,
    /// The migration is committed.
    UpgradeEnd,
    /// There was nothing to migrate.
    UpgradeNoop,
    /// Misuse was found; there is a row in `corruption`.
    Corrupt,
    /// Something else broke.
    Failed,
}

#[derive(Serialize)]
struct Line<'a> {
    event: Event,
    at: u64,
    member: &'a str,
    pid: u32,
    version: &'a str,
    token: Option<&'a str>,
    text: &'a str,
}

impl AppLog {
    /// Reads the release and opens the log.
    pub fn open(installed: &Installed) -> anyhow::Result<Self> {
        // A directory: the same command line is given to whichever member is elected to migrate.
        let log = match installed.log.is_dir() {
            true => installed.log.join(format!("app-{}.log", installed.name)),
            false => installed.log.clone(),
        };
        let lines = LineLog::append(&log)?;
        let version = release::read(&installed.release)?;
        let (member, token) = (installed.name.clone(), installed.token.clone());
        Ok(Self { lines, who: Who { member, pid: std::process::id(), version, token } })
    }

    /// Who writes.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// Writes one line; never waits for the disk.
    pub fn say(&self, event: Event, text: &str) {
        let Who { member, pid, version, token } = &self.who;
        self.lines.write(&Line {
            event,
            at: unix_ms(),
            member: member.as_str(),
            pid: *pid,
            version: version.as_str(),
            token: token.as_deref(),
            text,
        });
    }

    /// Writes what waits and closes the log.
    pub fn finish(&self) -> anyhow::Result<()> {
        self.lines.finish()
    }
}
