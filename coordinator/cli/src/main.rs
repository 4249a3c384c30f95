//! The one installed binary: operator commands, `agent run` and `demo`. Wiring only: what is decided about clusters,
//! plans and rollouts is decided in the crates below.

mod args;
mod cmd;
mod connect;
mod demo;
mod error;
mod exit;
mod files;
mod node;
mod offline;
mod out;
mod pages;
mod render;
mod watch;

use clap::Parser as _;
use exit::Exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(asked) => {
            // Help and version come this way too; they are data, and no mistake.
            let exit = if asked.use_stderr() { Exit::Usage } else { Exit::Done };
            // Nothing is left to do when the terminal is gone.
            let _ = asked.print();
            return exit.into();
        }
    };
    match cli.command {
        args::Command::DemoPart { part } => part.run(),
        args::Command::StepRunner { args } => lockkeeper_adapters::step_runner_main(args),
        command => cmd::run(cli.place, command),
    }
}
