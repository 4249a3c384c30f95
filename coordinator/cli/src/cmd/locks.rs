//! `lockkeeper locks`.

use super::{Scene, show};
use crate::{args::Reading, error::CliError, exit::Exit, render::locks};
use lockkeeper_proto::client::operator::ViewKind;

/// Show who holds what: the rollout, the upgrade grant of each database, the executor of each shared target, and what
/// other migration tools hold in the databases.
///
/// A grant is the right of one member to make one attempt at upgrading one database. It never times out into a
/// second holder. `alive` says whether the holder's agent was heard of lately; only the leader knows.
///
/// Other tools' locks (Alfresco, Liquibase, Flyway, golang-migrate, Prisma, Rails, advisory locks) are looked for in every
/// database, read-only: who holds them, whether the holder is alive, dead or unknown, and the safe next step with the
/// SQL that a person may run. Lockkeeper never runs it.
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
