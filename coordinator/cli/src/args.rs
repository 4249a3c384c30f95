//! The command line's shape. Scripts depend on these names; what each command does stands in its file under `cmd/`.

use crate::{cmd, connect::Where, demo};
use clap::{Args, Parser, Subcommand};

/// Upgrades the members of a cluster that shares one database, one at a time.
///
/// Lockkeeper shuts the gate (load balancer, database), raises one node, proves it, and lets it out before the next
/// one enters. You make a plan from what the agents observe, have it approved, apply it and watch.
#[derive(Debug, Parser)]
#[command(name = "lockkeeper", version, after_long_help = TOP)]
pub struct Cli {
    /// Where the cluster is.
    #[command(flatten)]
    pub place: Where,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const TOP: &str = "\
The usual way:
  lockkeeper cluster check cluster.toml      all faults of the cluster file at once
  lockkeeper cluster apply cluster.toml
  lockkeeper check                           preflight; changes nothing
  lockkeeper plan --to 26.5.0 -o night.plan
  lockkeeper approve night.plan --as approver --reference CHG-4711
  lockkeeper apply night.plan --follow
When it stops:
  lockkeeper status --why                    what waits, for whom, and what to do
  lockkeeper explain LK4012                  the page of a code, or a step's number

Data goes to stdout, everything else to stderr. Reading commands take --json and say whose knowledge they show.
Exit codes: 0 done or nothing to do, 1 error, 2 changes planned or warnings, 3 blocked, 4 rejected or stale,
5 halted (needs a person), 64 wrong usage, 130 Ctrl-C. Ctrl-C never stops a rollout.";

/// Everything there is to ask for.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "the documentation of each is its help, which stands with its arguments")]
pub enum Command {
    Demo(cmd::demo::Args),
    Init(cmd::init::Args),
    Join(cmd::join::Args),
    Agent(cmd::agent::Args),
    Token(cmd::token::Args),
    Operator(cmd::operator::Args),
    Cluster(cmd::cluster::Args),
    Profile(cmd::profile::Args),
    Check(cmd::check::Args),
    Plan(cmd::plan::Args),
    Approve(cmd::approve::Args),
    Apply(cmd::apply::Args),
    Status(cmd::status::Args),
    History(cmd::history::Args),
    Explain(cmd::explain::Args),
    Pause(cmd::control::PauseArgs),
    Resume(cmd::control::ResumeArgs),
    Abort(cmd::control::AbortArgs),
    Retry(cmd::control::RetryArgs),
    Restore(cmd::restore::Args),
    Owed(cmd::owed::Args),
    Locks(cmd::locks::Args),
    Doctor(cmd::doctor::Args),
    Backup(cmd::backup::Args),
    Members(cmd::members::Args),
    Isolate(cmd::isolation::IsolateArgs),
    Isolation(cmd::isolation::Args),
    Member(cmd::member::Args),
    Ca(cmd::ca::Args),
    Breakglass(cmd::breakglass::Args),
    Recover(cmd::recover::Args),
    Audit(cmd::audit::Args),
    Record(cmd::record::Args),
    Replay(cmd::replay::Args),
    Completions(cmd::completions::Args),
    Man(cmd::man::Args),
    Takeover(cmd::takeover::Args),
    /// One process of the demo: its application, balancer or client.
    #[command(hide = true)]
    DemoPart {
        #[command(subcommand)]
        part: demo::part::Part,
    },
    /// Stands between an agent and a command it runs.
    #[command(hide = true, disable_help_flag = true)]
    StepRunner {
        /// Passed on as they are.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
}

/// For commands that show a view.
#[derive(Debug, Clone, Copy, Args)]
pub struct Reading {
    /// Print the view as JSON, with documented and stable keys (`docs/command-line.md`).
    #[arg(long)]
    pub json: bool,
    /// Ask the leader, so that everything committed before this call is in the answer. Fails without a quorum.
    #[arg(long)]
    pub linearizable: bool,
}

#[cfg(test)]
mod tests;
