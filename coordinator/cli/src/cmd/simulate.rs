//! `lockkeeper plan simulate`.

use super::Scene;
use crate::{error::CliError, exit::Exit, out, render::simulated};
use lockkeeper_core::{
    plan::PlanReport,
    record::{Simulated, simulate},
};
use std::path::PathBuf;

/// See [`super::plan`].
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plan file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Nights of each kind of trouble.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// Print the table as JSON.
    #[arg(long)]
    json: bool,
}

pub const HELP: &str = "\
Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 no night stopped for a person; 2 some did, and what they were advised let them end; 5 in some nights the
advice was not enough (mostly: the database was touched and its backup must be restored); 1 not a plan, or error.
Example:
  lockkeeper plan simulate night.plan --seeds 100";

pub fn run(scene: &Scene, args: &Args) -> Result<Exit, CliError> {
    let (plan, _) = match super::plan::read(scene, &args.file)? {
        Ok(read) => read,
        Err(exit) => return Ok(exit),
    };
    let table = simulate(&plan, args.seeds);
    let forecast = PlanReport::new(&plan, None, Vec::new()).forecast.outage;
    if args.json {
        let json = serde_json::json!({ "plan": plan.hash, "forecast_outage": forecast, "simulated": table });
        out::data(&format!("{json:#}"))?;
    } else {
        out::data(&simulated::text(&plan, &table, forecast))?;
    }
    Ok(exit(&table))
}

fn exit(table: &Simulated) -> Exit {
    if table.needs_person() + table.stuck() > 0 {
        Exit::Halted
    } else if table.rows.iter().any(|row| row.halted > 0) {
        Exit::Changes
    } else {
        Exit::Done
    }
}
