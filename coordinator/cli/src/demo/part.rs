//! The hidden command `demo-part`: which part of the demo this process is. Knows exit codes, not behaviour.

use super::{app, balancer, client, figures, ports};
use clap::Subcommand;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// One process of the demo.
#[derive(Debug, Subcommand)]
pub enum Part {
    /// The application that is upgraded: serve, migrate or seed its database.
    App {
        #[command(subcommand)]
        command: app::Command,
    },
    /// The load balancer, with a subset of HAProxy's runtime commands on a unix socket.
    Balancer(balancer::Args),
    /// The open-loop client.
    Client(client::Args),
    /// Prints free loopback addresses as JSON.
    Ports {
        /// How many.
        #[arg(long, default_value_t = 1)]
        count: usize,
    },
    /// Recomputes the demo's figures from the files below a kept directory and prints them as JSON.
    Figures {
        /// The directory with `db/`, `app-*.log`, `balancer.log` and `client.log`.
        #[arg(long)]
        keep: PathBuf,
    },
}

impl Part {
    /// Runs the part until it ends; says on stderr why it failed.
    pub fn run(self) -> ExitCode {
        let outcome = match self {
            Part::App { command } => command.run(),
            Part::Balancer(args) => balancer::run(args),
            Part::Client(args) => client::run(args),
            Part::Ports { count } => ports::print(count),
            Part::Figures { keep } => figures::print(&keep),
        };
        outcome.unwrap_or_else(|error| {
            // Nothing is left to do when stderr itself is gone.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            match error.downcast_ref::<app::Refused>() {
                Some(_) => ExitCode::from(app::EXIT_REFUSED),
                None => ExitCode::FAILURE,
            }
        })
    }
}
