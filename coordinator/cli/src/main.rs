//! The one installed binary: operator commands, `agent run` and `demo`. Wiring only.

mod demo;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Upgrades the members of a cluster that shares one database, one at a time.
#[derive(Debug, Parser)]
#[command(name = "lockkeeper", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One process of the demo: its application, balancer or client.
    #[command(hide = true)]
    DemoPart {
        #[command(subcommand)]
        part: demo::part::Part,
    },
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::DemoPart { part } => part.run(),
    }
}
