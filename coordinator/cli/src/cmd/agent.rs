//! `lockkeeper agent run`.

use crate::{error::CliError, exit::Exit, node};
use clap::Subcommand;
use std::path::PathBuf;

/// Run this node's agent.
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
}

const HELP: &str = "\
Changes: what the steps it is given change, on this host and on the targets it is the executor of.
Ctrl-C: like SIGTERM: leadership is handed over, running commands go on in units of their own and are adopted again by
  the next start.
Exit codes: 0 told to stop; 1 it could not start or go on (the log says why, with a code).
Example:
  lockkeeper agent run --config /etc/lockkeeper/agent.toml";

pub async fn run(args: Args) -> Result<Exit, CliError> {
    let Command::Run { config } = args.command;
    node::run(&config).await?;
    Ok(Exit::Done)
}
