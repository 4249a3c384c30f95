//! The demo's users: requests on a fixed schedule that no slow answer slows down, and never a second try.
//!
//! Its log is the measure of the outage. It knows the address of the balancer and nothing else of the cluster.

mod load;
mod record;
mod summary;
mod user;

use crate::demo::lines::LineLog;
use crate::demo::stop;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

#[cfg(test)]
pub use record::Kind;
pub use record::{Record, read};
pub use summary::{Summary, records};

/// Threads for all requests.
const THREADS: usize = 2;

/// How the client is started.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The balancer.
    #[arg(long)]
    target: SocketAddr,
    /// The log to append to, JSON lines.
    #[arg(long)]
    log: PathBuf,
    /// Requests per second.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    rate: u32,
    /// Notes 1 to N are there and are read.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    notes: u32,
    /// End when stdin is closed, so as not to outlive the parent.
    #[arg(long)]
    until_stdin_closes: bool,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let log = LineLog::append(&args.log)?;
    let outcome = stop::run(THREADS, load::run(args, log.clone()));
    log.finish()?;
    outcome.map(|()| ExitCode::SUCCESS)
}
