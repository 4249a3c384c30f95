//! What a step-runner is told and what it leaves behind.
//!
//! A job travels through the pipe from the agent to the runner and never touches a disk, since its environment may
//! hold a secret. A result is spooled; secrets are blacked out of its texts before that.

use super::{TAIL_MAX, UNIT_MARK};
use crate::code::HostCode;
use lockkeeper_agent::host::Failure;
use lockkeeper_core::{
    plan::action::{CommandSpec, OnAgentLoss},
    time::Millis,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the job's and the result's form. A runner of another version is refused.
pub const FORM: u32 = 1;

/// One command to run, all placeholders filled. Not `Debug`: it may hold a secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Job {
    /// [`FORM`].
    pub form: u32,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The environment beside the search path and the mark.
    pub env: BTreeMap<String, String>,
    /// Working directory, empty for `/`.
    pub dir: String,
    /// Run `argv[0]` by `sh -c`.
    pub shell: bool,
    /// Ended after this long.
    pub timeout: Millis,
    /// Exit codes that mean success; empty: 0.
    pub success: Vec<i32>,
    /// What becomes of it when the agent is gone.
    pub on_agent_loss: OnAgentLoss,
    /// Where its output goes.
    pub output: Output,
    /// Texts that are blacked out of the kept output.
    pub secrets: Vec<String>,
}

/// Where a command's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// Through pipes, the tails are kept.
    Tail,
    /// To files in the spool: for commands that leave a daemon behind, which a closed pipe would kill.
    Spool,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// By itself, with this status.
    Exited(i32),
    /// By a signal that nobody here sent.
    Signalled(i32),
    /// Ended by the runner after its limit.
    TimedOut,
    /// Ended by the runner because the agent was gone.
    AgentLost,
    /// Ended on request.
    Killed,
    /// Never began, and why.
    NotStarted(String),
}

/// What a runner leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunResult {
    /// [`FORM`].
    pub form: u32,
    /// How it ended.
    pub end: End,
    /// The last bytes of its standard output.
    pub stdout: String,
    /// The last bytes of its standard error.
    pub stderr: String,
    /// Wall clock, unix milliseconds.
    pub began_ms: u64,
    /// Wall clock, unix milliseconds.
    pub ended_ms: u64,
}

impl Job {
    /// A job from a command whose placeholders are filled already.
    pub fn new(command: &CommandSpec, secrets: Vec<String>) -> Self {
        Self {
            form: FORM,
            argv: command.argv.clone(),
            env: command.env.clone(),
            dir: command.dir.clone(),
            shell: command.shell,
            timeout: command.timeout,
            success: command.success.clone(),
            on_agent_loss: command.on_agent_loss,
            output: Output::Tail,
            secrets,
        }
    }

    /// The same with its output in files.
    pub fn spooling(self) -> Self {
        Self { output: Output::Spool, ..self }
    }

    /// The variable that marks the job's processes, with the spool directory that makes it unique.
    pub fn mark(spool: &std::path::Path) -> (String, String) {
        (UNIT_MARK.to_owned(), spool.display().to_string())
    }
}

impl RunResult {
    /// Success by the given exit codes, or the failure with its code and the end of what it said.
    pub fn judge(&self, what: &str, success: &[i32]) -> Result<(), Failure> {
        let fail = |code: HostCode, how: String| Err(code.failure(format!("{what} {how}{}", self.said())));
        match &self.end {
            End::Exited(0) if success.is_empty() => Ok(()),
            End::Exited(code) if success.contains(code) => Ok(()),
            End::Exited(code) => {
                let allowed = if success.is_empty() { &[0][..] } else { success };
                fail(HostCode::CommandFailed, format!("ended with status {code}; allowed: {allowed:?}"))
            }
            End::Signalled(signal) => fail(HostCode::CommandFailed, format!("was ended by signal {signal}")),
            End::TimedOut => fail(
                HostCode::CommandTimedOut,
                format!("was ended after {} because its limit had passed", Millis(self.took())),
            ),
            End::AgentLost => fail(HostCode::AgentLost, "was ended because its agent was gone".to_owned()),
            End::Killed => fail(HostCode::UnitKilled, "was ended on request".to_owned()),
            End::NotStarted(why) => fail(HostCode::CommandNotStarted, format!("could not be started: {why}")),
        }
    }

    fn took(&self) -> u64 {
        self.ended_ms.saturating_sub(self.began_ms)
    }

    /// The last lines of its output, for a failure's text.
    fn said(&self) -> String {
        /// In characters: failures go through the log and onto every member, the whole tail stays in the spool.
        const SAID_MAX: usize = 1500;
        let text = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let text = text.trim();
        if text.is_empty() {
            return String::new();
        }
        let skip = text.chars().count().saturating_sub(SAID_MAX);
        format!("; it said: {}", text.chars().skip(skip).collect::<String>())
    }
}

const _: () = assert!(TAIL_MAX < 1024 * 1024, "a result must stay small enough to be read whole");
