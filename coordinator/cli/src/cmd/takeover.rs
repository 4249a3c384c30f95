//! `lockkeeper takeover`: another member takes up the upgrade of a database whose upgrader was lost or failed.

use super::{Scene, reply};
use crate::{error::CliError, exit::Exit, out};
use lockkeeper_core::ids::{DatabaseName, MemberName};
use lockkeeper_proto::client::operator::OperatorClient;

/// Let another attempt follow a lost or failed upgrade of a database.
///
/// Accepted only when the upgrader is proven out of the database and the database was judged: `untouched` is granted
/// anew, with a higher token; `finished` is recorded as done; `touched` is granted anew only if the upgrade tool
/// resumes, else the backup must be restored first. Run again before the next attempt begins, it names another member.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The database, as in the cluster file.
    #[arg(value_name = "DATABASE")]
    database: DatabaseName,
    /// Who makes the next attempt; it must be an upgrader of the plan, and the rollout waits until it is there.
    /// Without it the election chooses among those that are heard of, the lost one last.
    #[arg(long, value_name = "MEMBER")]
    to: Option<MemberName>,
    /// Why; kept in the history.
    #[arg(long)]
    reason: String,
}

const HELP: &str = "\
Changes: the rollout's state. A halted rollout goes on, with a new grant that carries a higher token; what the earlier
upgrader still writes is refused by the database, or diverted.
Ctrl-C: it may or may not have been committed; look with `lockkeeper status`. Running it twice does no harm.
Exit codes: 0 taken over, or recorded as done; 1 error; 4 rejected (LK3031: not proven out yet, or nothing to take over;
LK3019: restore first).
Example:
  lockkeeper takeover main --reason 'n2 lost its power supply' && lockkeeper status --watch
  lockkeeper takeover main --to n3 --reason 'n2 lost its power supply'";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let id = reply::request_id();
    let to = args.to.as_ref().map(ToString::to_string).unwrap_or_default();
    let call = async |client: OperatorClient| {
        client.takeover(id.clone(), args.database.to_string(), to.clone(), args.reason.clone()).await
    };
    let answer = scene.session()?.change("take the upgrade over", call).await?;
    match reply::applied(scene, answer, Exit::Error) {
        Ok(_) => {
            out::say(&format!("{} is taken over; follow with: lockkeeper status --watch", args.database));
            Ok(Exit::Done)
        }
        Err(exit) => Ok(exit),
    }
}
