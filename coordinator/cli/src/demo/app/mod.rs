//! The application the demo upgrades: a library of notes, all of whose members share one SQLite database.
//!
//! It behaves like the products Lockkeeper is for: it refuses a schema of another version, its upgrade rewrites
//! every row and takes its time, and misuse damages data. Unlike them it says so: every misuse leaves a row in
//! the table `corruption`. It knows nothing about Lockkeeper but two variables of its launch environment.

mod guard;
mod journal;
mod migrate;
mod notes;
mod release;
mod routes;
mod seed;
mod serve;
mod store;
mod work;

use clap::Subcommand;
use lockkeeper_core::ids::MemberName;
use std::path::PathBuf;
use std::process::ExitCode;

pub use guard::Refused;

/// Exit code when the application refuses: its release does not fit the schema, or an upgrade is open.
pub const EXIT_REFUSED: u8 = 3;

/// What the application is asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves notes over HTTP until SIGTERM.
    Serve(serve::Args),
    /// Migrates the database to the schema of the release, in batches.
    Migrate(migrate::Args),
    /// Creates the database in schema 1, filled with notes, and measures this machine for `migrate`.
    Seed(seed::Args),
    /// Writes a release directory.
    Release {
        /// The directory to create.
        #[arg(long)]
        dir: PathBuf,
        /// 1.0 or 2.0.
        #[arg(long)]
        version: release::AppVersion,
    },
}

/// What `serve` and `migrate` are both told.
#[derive(Debug, clap::Args)]
pub struct Installed {
    /// The release directory to run from; its file `VERSION` says which version this is.
    #[arg(long)]
    release: PathBuf,
    /// The member this runs on.
    #[arg(long, env = "LOCKKEEPER_MEMBER")]
    name: MemberName,
    /// The log to append to, JSON lines; of a directory its file `app-NAME.log`.
    #[arg(long)]
    log: PathBuf,
    /// The shared database.
    #[arg(long, env = "LOCKKEEPER_DATABASE_MAIN")]
    database: PathBuf,
    /// The fencing token this works under; only written into the audit table.
    #[arg(long, env = "LOCKKEEPER_TOKEN")]
    token: Option<String>,
}

impl Command {
    /// Runs it to its end.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Command::Serve(args) => serve::run(&args),
            Command::Migrate(args) => migrate::run(&args),
            Command::Seed(args) => seed::run(&args),
            Command::Release { dir, version } => release::write(&dir, version),
        }
    }
}
