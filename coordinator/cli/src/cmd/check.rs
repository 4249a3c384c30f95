//! `lockkeeper check`.

use super::Scene;
use crate::{error::CliError, exit::Exit, out, render};
use lockkeeper_proto::client::operator::OperatorClient;

/// Preflight: look at every member, database and balancer, and say what would stand in a rollout's way.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Tries by harmless real acts what a rollout will need, on every agent that could be told to do it: makes a login in a
transaction that is taken back, ends a session of its own, dumps and restores a table in two databases of its own,
sets each balancer's servers to the state they have, looks for room for two copies. Beside a running rollout it only looks.

Changes: nothing that outlives the check.
Ctrl-C: ends this command only.
Exit codes: 0 all in order; 1 error; 2 warnings only; 3 something would block a rollout.
Example:
  lockkeeper check && lockkeeper plan --to 26.5.0 -o night.plan";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let look = async |client: OperatorClient| client.check().await;
    let checked = scene.session()?.read("check the cluster", look).await?;
    out::data(&if args.json { render::json::pretty(&checked.json) } else { checked.text })?;
    Ok(match (checked.blocked, checked.warnings) {
        (0, 0) => Exit::Done,
        (0, _) => Exit::Changes,
        (_, _) => Exit::Blocked,
    })
}
