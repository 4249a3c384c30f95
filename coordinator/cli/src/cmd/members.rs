//! `lockkeeper members`.

use super::{Scene, show};
use crate::{args::Reading, error::CliError, exit::Exit, render::members};
use lockkeeper_proto::client::operator::ViewKind;

/// List members and witnesses: who votes, who joined, which builds run, when each agent was heard of.
///
/// Only the leader hears every agent; add --linearizable to ask through it, or look at `source` in the answer.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    reading: Reading,
}

const HELP: &str = "\
Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 answered; 1 nobody answered.
Example:
  lockkeeper members
  lockkeeper members --json | jq -r '.members[] | select(.enrolled | not) | .name'";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let json = scene.session()?.view(ViewKind::Members, args.reading.linearizable).await?;
    show("members", &json, args.reading.json, members::text)
}
