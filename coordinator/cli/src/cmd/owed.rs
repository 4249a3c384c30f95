//! `lockkeeper owed`.

use super::{Scene, reply, show};
use crate::{args::Reading, error::CliError, exit::Exit, out, render::owed};
use clap::Subcommand;
use lockkeeper_proto::client::operator::{OperatorClient, ViewKind};

/// Show every setting the rollout changed, with the value it had, and what is still owed.
///
/// A rollout cannot complete or abort while something is owed, unless a named person answers for it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(flatten)]
    reading: Reading,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer for a setting that stays as it is: it is no longer owed, and your name stands beside it.
    #[command(after_long_help = ACCEPT_HELP)]
    Accept {
        /// Which one, as `lockkeeper owed` names it.
        key: String,
        /// Why; kept in the audit.
        #[arg(long)]
        reason: String,
    },
}

const HELP: &str = "\
Changes: nothing; `owed accept` does.
Ctrl-C: ends this command only.
Exit codes: 0 answered; 1 nobody answered.
Example:
  lockkeeper owed
  lockkeeper owed accept front/n2 --reason 'n2 is being replaced, CHG-4712'";

const ACCEPT_HELP: &str = "\
Changes: one entry of the ledger, in the replicated log. The setting itself is not touched.
Ctrl-C: the entry may or may not have been made; look with `lockkeeper owed`.
Exit codes: 0 accepted; 1 error; 4 rejected (not owed, or your role may not).
Example:
  lockkeeper owed accept front/n2 --reason 'n2 is being replaced, CHG-4712'";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let session = scene.session()?;
    let Some(Command::Accept { key, reason }) = args.command else {
        let json = session.view(ViewKind::Owed, args.reading.linearizable).await?;
        return show("owed", &json, args.reading.json, owed::text);
    };
    let id = reply::request_id();
    let accept =
        async |client: OperatorClient| client.accept_owed(id.clone(), key.clone(), reason.clone()).await;
    match reply::applied(scene, session.change("accept what is owed", accept).await?, Exit::Error) {
        Ok(_) => {
            out::say(&format!("{key} is accepted as it is: {reason}"));
            Ok(Exit::Done)
        }
        Err(exit) => Ok(exit),
    }
}
