//! `lockkeeper member add-voter` and `member remove`.

use super::{Scene, parse, reply};
use crate::{error::CliError, exit::Exit, out, render::members::MembersView};
use clap::Subcommand;
use lockkeeper_core::ids::MemberName;
use lockkeeper_proto::client::operator::{OperatorClient, TrustChange, ViewKind};
use std::time::{Duration, Instant};

/// Change who votes, and who belongs to the group.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Let an enrolled member vote, beside those the cluster file chooses.
    ///
    /// Also during a rollout. The vote counts once the member holds the whole log; lockkeeper members shows it. A
    /// cluster file with a list of voters takes added votes away again.
    #[command(after_long_help = ADD_HELP)]
    AddVoter {
        /// The member or witness.
        name: MemberName,
    },
    /// Take a member out of the group: its vote, its log, and its identity.
    ///
    /// Also during a rollout, unless the rollout still needs it: the holder of a grant, an agent with an open
    /// assignment and a member with steps of its own are refused. Its application is not touched.
    #[command(after_long_help = REMOVE_HELP)]
    Remove {
        /// The member or witness.
        name: MemberName,
        /// Why; it stands in the audit.
        #[arg(long)]
        reason: String,
    },
}

const ADD_HELP: &str = "\
Changes: who votes. An even number of voters survives no more losses than one less. Needs the role admin.
Ctrl-C: it may or may not have been committed; look with `lockkeeper members`.
Exit codes: 0 it will vote; 1 error; 4 rejected (LK3024: not enrolled; LK3029: five vote already).
Example:
  lockkeeper member add-voter n4 && lockkeeper members";

const REMOVE_HELP: &str = "\
Changes: the member loses its vote, then the log, then every certificate of its identity is revoked: all agents refuse
  it, also on open connections. It may come back with a new token, as a new identity. Needs the role admin.
Ctrl-C: the removal goes on once it is committed; look with `lockkeeper members`.
Exit codes: 0 it is out; 1 error; 3 committed, but it is not out yet; 4 rejected (LK3061: it is needed).
Example:
  lockkeeper member remove n3 --reason 'replaced by n7'";

/// How long the command waits for vote and log to be gone; with a dead member a time-out or two of the group.
const OUT_WITHIN: Duration = Duration::from_secs(20);

const LOOK_EVERY: Duration = Duration::from_millis(250);

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    match args.command {
        Command::AddVoter { name } => {
            let done = change(scene, "add a voter", TrustChange::AddVoter, name.as_str(), "").await?;
            if done == Exit::Done {
                out::say(&format!(
                    "{name} votes as soon as it holds the whole log; look with: lockkeeper members"
                ));
            }
            Ok(done)
        }
        Command::Remove { name, reason } => {
            let done =
                change(scene, "remove the member", TrustChange::MemberRemove, name.as_str(), &reason).await?;
            if done == Exit::Done { until_out(scene, &name).await } else { Ok(done) }
        }
    }
}

/// Proposes a change about an identity and says a rejection.
pub async fn change(
    scene: &Scene,
    doing: &'static str,
    what: TrustChange,
    name: &str,
    reason: &str,
) -> Result<Exit, CliError> {
    let id = reply::request_id();
    let call = async |client: OperatorClient| {
        client.change_trust(id.clone(), what, name.to_owned(), reason.to_owned()).await
    };
    match reply::applied(scene, scene.session()?.change(doing, call).await?, Exit::Error) {
        Ok(_) => Ok(Exit::Done),
        Err(exit) => Ok(exit),
    }
}

async fn until_out(scene: &Scene, name: &MemberName) -> Result<Exit, CliError> {
    let begun = Instant::now();
    while begun.elapsed() < OUT_WITHIN {
        // Its own agent may be the one that is asked, and end in the middle: then the next way answers.
        if let Ok(json) = scene.session()?.view(ViewKind::Members, false).await {
            let view: MembersView = parse("members", &json)?;
            if !view.members.iter().any(|m| m.name == name.as_str() && (m.enrolled || m.leaving)) {
                out::say(&format!("{name} is out of the group and its certificates are revoked"));
                out::say(
                    "its machine still holds the issuing key: unless it was wiped, lockkeeper ca rotate",
                );
                return Ok(Exit::Done);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    out::say(&format!("{name} is leaving, but not out yet; look with: lockkeeper members"));
    Ok(Exit::Blocked)
}
