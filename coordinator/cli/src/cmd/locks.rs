//! `lockkeeper locks`.

use super::{Scene, show};
use crate::{args::Reading, error::CliError, exit::Exit, render::locks};
use lockkeeper_proto::client::operator::ViewKind;

/// Show who holds what: the rollout, the upgrade grant of each database, the executor of each shared target.
///
/// A grant is the right of one member to make one attempt at upgrading one database. It never times out into a
/// second holder. `alive` says whether the holder's agent was heard of lately; only the leader knows.
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
  lockkeeper locks";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let json = scene.session()?.view(ViewKind::Locks, args.reading.linearizable).await?;
    show("locks", &json, args.reading.json, locks::text)
}
