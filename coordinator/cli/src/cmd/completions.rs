//! `lockkeeper completions`.

use crate::{args::Cli, error::CliError, exit::Exit, out};
use clap::CommandFactory as _;
use clap_complete::Shell;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// Which shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

const HELP: &str = "\
Changes: nothing; the script goes to stdout.
Ctrl-C: ends this command only.
Exit codes: 0 printed; 64 unknown shell.
Example:
  lockkeeper completions bash > /etc/bash_completion.d/lockkeeper
  lockkeeper completions zsh > ~/.zfunc/_lockkeeper";

pub fn run(args: Args) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lockkeeper", &mut script);
    out::data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
