//! `lockkeeper demo`.

use super::Scene;
use crate::{
    demo::{
        fault::FaultKind,
        run::{self, Interrupted, Wish},
        say::Say,
    },
    error::CliError,
    exit::Exit,
    out,
};
use std::path::PathBuf;

/// See an upgrade on this machine, with nothing installed and no root needed.
///
/// Three agents, as processes of their own with real certificates and a replicated log, upgrade three members of a small
/// application with a shared database behind a small balancer, while a client sends requests all the time. Every command
/// an operator would type is shown. At the end: who upgraded, what each member did when, how long users met no service,
/// and whether everything held that must always hold. Takes some 15 seconds.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// How many members.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(3..=7))]
    members: u16,
    /// What to do to the leading agent, or to the member that upgrades, while the database upgrade runs.
    #[arg(long, value_name = "FAULT", value_enum, default_value_t = FaultKind::None)]
    fault: FaultKind,
    /// Leave database, logs and the agents' stores in this directory, which must be new or empty.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Changes: nothing outside a temporary directory or --keep DIR; every process it starts is ended.
Ctrl-C: ends everything it started (exit 130).
Exit codes: 0 completed, one database upgrade, no request failed outside the outage, nothing owed, nothing violated;
  1 anything else, also a fault that did not land while the upgrade ran (fault-missed); 130 Ctrl-C.
Example:
  lockkeeper demo
  lockkeeper demo --fault kill-leader --keep /tmp/demo && python3 tests/oracle/demo.py --keep /tmp/demo";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let say = if args.json { Say::silent() } else { Say::aloud(scene.style.terminal) };
    let wish = Wish { members: args.members, fault: args.fault, keep: args.keep };
    let finished = match run::run(&wish, &say).await {
        Ok(finished) => finished,
        Err(error) if error.is::<Interrupted>() => {
            out::say(&error.to_string());
            return Ok(Exit::Interrupted);
        }
        Err(error) => {
            out::say(&format!("error: {error:#}"));
            return Ok(Exit::Error);
        }
    };
    if args.json {
        let json = serde_json::to_string(&finished.result);
        out::data(&json.map_err(|e| CliError::BadAnswer { what: "demo", reason: e.to_string() })?)?;
    } else {
        out::data(&format!("\n{}", finished.text))?;
    }
    let shortcomings = finished.result.shortcomings();
    for text in &shortcomings {
        out::say(&format!("error: {text}"));
    }
    Ok(if shortcomings.is_empty() { Exit::Done } else { Exit::Error })
}
