//! `lockkeeper restore`: the way back after the point of no return.

use super::{Scene, reply};
use crate::{error::CliError, exit::Exit, out};
use lockkeeper_core::rollout::loss::UNCOUNTED;
use lockkeeper_proto::client::operator::OperatorClient;

/// Go back after the point of no return: restore the whole set.
///
/// In this fixed order: every member is taken out and stopped, nobody is proven to write, the door is shut; the proven
/// backup set is restored beside and compared, and takes the database's name; the failed database is kept, closed, as
/// NAME_failed_SET. Then the old release is switched to, the door opens, members start one after another, are proven
/// and admitted. Possible while the rollout is halted or paused and every holder of a grant is proven out.
///
/// If a member at the new version served users, the restore waits before it gives anything up and `status --why` says
/// how many rows were written since: say this again with `--accept-loss` and that very count.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// Why; kept in the history.
    #[arg(long)]
    reason: String,
    /// Give up so many rows that the new version wrote: the count of `status --why`, or `all` where it says that they
    /// cannot be counted.
    #[arg(long, value_name = "N|all", value_parser = rows)]
    accept_loss: Option<u64>,
}

const HELP: &str = "\
Changes: every member and database of the plan goes back to the old version; it cannot be called back. Said again, it
  tries a failed step of the restore again, and accepts a loss.
Ctrl-C: the restore may or may not have been committed; once it is, it goes on without this command.
Exit codes: 0 it restores; 1 error; 4 rejected (LK3033: the point of no return is not passed, use abort; LK3016: a
  holder is not proven out yet; LK3009: pause it first).
Example:
  lockkeeper restore --reason 'migration broke half-way' && lockkeeper status --watch";

fn rows(text: &str) -> Result<u64, String> {
    if text == "all" {
        return Ok(UNCOUNTED);
    }
    match text.parse() {
        Ok(UNCOUNTED) | Err(_) => Err("a count of rows, or \"all\"".to_owned()),
        Ok(rows) => Ok(rows),
    }
}

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let id = reply::request_id();
    let call = async |client: OperatorClient| {
        client.restore(id.clone(), args.reason.clone(), args.accept_loss).await
    };
    let answer = scene.session()?.change("restore the set", call).await?;
    match reply::applied(scene, answer, Exit::Error) {
        Ok(applied) => {
            let rollout = applied.rollout.map(|r| format!("rollout {r}: ")).unwrap_or_default();
            out::say(&format!(
                "{rollout}it goes back to the old version; follow with: lockkeeper status --watch"
            ));
            Ok(Exit::Done)
        }
        Err(exit) => Ok(exit),
    }
}
