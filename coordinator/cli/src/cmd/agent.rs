//! `lockkeeper agent run`, and `agent guard`, which stands before the application's own start.

use super::{Scene, home};
use crate::{
    error::CliError,
    exit::Exit,
    node::{
        self,
        guard::{Look, look},
    },
    out,
};
use clap::Subcommand;
use lockkeeper_core::guard::{Reason, Verdict, guard};
use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
};

/// Run this node's agent, or ask whether the application may start.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent in the foreground until it is told to stop.
    ///
    /// It takes part in the group, carries out the steps it is given, and serves peers, operators and metrics. The
    /// node must have an identity (`lockkeeper init` or `lockkeeper join`). Logs go to stderr.
    #[command(after_long_help = HELP)]
    Run {
        /// This node's settings.
        #[arg(long, value_name = "FILE", default_value = "/etc/lockkeeper/agent.toml")]
        config: PathBuf,
    },
    /// Start the application only if nothing speaks against it: the boot guard.
    ///
    /// Looks at this node's identity, what a rollout did with this member (by the local agent, a peer, or else what is on
    /// the disk), the grant ledger and the schema. Then it becomes CMD, or refuses with a code. Without CMD it only
    /// answers, for `ExecStartPre=`. Where no agent belongs to the host, or its package was purged, everything may start.
    #[command(after_long_help = GUARD_HELP)]
    Guard {
        /// This node's settings.
        #[arg(long, value_name = "FILE", default_value = "/etc/lockkeeper/agent.toml")]
        config: PathBuf,
        /// The application's start command.
        #[arg(value_name = "CMD", last = true)]
        command: Vec<OsString>,
    },
}

const HELP: &str = "\
Changes: what the steps it is given change, on this host and on the targets it is the executor of.
Ctrl-C: like SIGTERM: leadership is handed over, running commands go on in units of their own and are adopted again by
  the next start.
Exit codes: 0 told to stop; 1 it could not start or go on (the log says why, with a code).
Example:
  lockkeeper agent run --config /etc/lockkeeper/agent.toml";

const GUARD_HELP: &str = "\
Changes: nothing outside this host. A start that the group confirmed teaches which schema goes with which version
  (guard.json in the data directory); the use of an opened guard is noted.
Ctrl-C: before CMD runs, nothing has happened; afterwards it is CMD's. It decides within 20 seconds.
Exit codes: those of CMD once it runs; without CMD 0 may start; 3 refused; 1 the settings have faults, or CMD cannot be
  started; 64 wrong usage.
Example:
  lockkeeper agent guard -- /opt/app/bin/serve --port 8080";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    match args.command {
        Command::Run { config } => {
            node::run(&config).await?;
            Ok(Exit::Done)
        }
        Command::Guard { config, command } => guarded(scene, &config, &command).await,
    }
}

async fn guarded(scene: &Scene, config: &Path, command: &[OsString]) -> Result<Exit, CliError> {
    let look = if config.exists() {
        match home::settings(scene, config)? {
            Ok(settings) => look(&settings).await,
            // Where the data is, and so what is known, cannot be told.
            Err(exit) => return Ok(exit),
        }
    } else {
        Look::nobody(format!("{} does not exist", config.display()))
    };
    let verdict = guard(look.seen);
    let mut details = look.details.clone();
    if verdict.starts() {
        details.extend(look.keep(verdict));
    }
    say(verdict, &details, command.is_empty());
    match command.split_first() {
        _ if !verdict.starts() => Ok(Exit::Blocked),
        None => Ok(Exit::Done),
        // The process becomes the application, so that its supervisor sees no other one in between.
        Some((program, arguments)) => {
            let source = std::process::Command::new(program).args(arguments).exec();
            Err(CliError::Start { action: "start the application", source })
        }
    }
}

/// On stderr: the application's own output stays its own.
fn say(verdict: Verdict, details: &[String], only_asked: bool) {
    let reason = verdict.reason();
    let details: String = details.iter().map(|line| format!("\n  {line}")).collect();
    let (code, text) = (reason.code(), reason.text());
    match verdict {
        // Every start of a healthy member would say the same.
        Verdict::Allow(Reason::Committed) if !only_asked => {}
        Verdict::Allow(_) => out::say(&format!("note[{code}] it may start: {text}{details}")),
        Verdict::Warn(_) => out::say(&format!("warning[{code}] it may start, but look: {text}{details}")),
        Verdict::Refuse(Reason::Identity) => out::say(&format!(
            "refused[{code}] the application is not started: {text}{details}\n\
             what to do:  lockkeeper explain {code}"
        )),
        Verdict::Refuse(_) => out::say(&format!(
            "refused[{code}] the application is not started: {text}{details}\n\
             what to do:  lockkeeper explain {code}\n\
             break glass: lockkeeper breakglass show\n             \
             lockkeeper breakglass guard-open --reason …   lets it start on this host all the same"
        )),
    }
}
