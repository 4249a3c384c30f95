//! `lockkeeper history`.

use super::{Scene, show};
use crate::{
    args::Reading,
    error::CliError,
    exit::Exit,
    render::history::{self, Detail},
};
use lockkeeper_core::view::HistoryView;
use lockkeeper_proto::client::operator::ViewKind;

/// List the rollouts: when, from which version to which, how they ended, outage, who started them.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    reading: Reading,
    /// Also tell what each rollout changed: + done, - given back, * still changed, ! failed; and its events.
    #[arg(long)]
    diff: bool,
}

const HELP: &str = "\
Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 answered; 1 nobody answered.
Example:
  lockkeeper history --diff";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let json = scene.session()?.view(ViewKind::History, args.reading.linearizable).await?;
    let detail = if args.diff { Detail::Diff } else { Detail::Line };
    show("history", &json, args.reading.json, |view: &HistoryView, moment| {
        history::text(view, detail, moment)
    })
}
