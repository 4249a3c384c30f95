//! `lockkeeper approve`.

use super::{Scene, plan, reply};
use crate::{error::CliError, exit::Exit, out};
use lockkeeper_core::identity::Role;
use lockkeeper_proto::client::operator::OperatorClient;
use std::path::PathBuf;

/// Approve a plan: put your name under its hash.
///
/// The signature holds for this file to the byte, and for the facts it rests on: members and their versions, binaries,
/// profile, databases. When one of them changes before the point of no return, the approval is void.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The plan file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// As whom: approver or admin. Your certificate must carry that role.
    #[arg(long = "as", value_name = "ROLE")]
    role: Role,
    /// A ticket or reason; kept with the approval.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reference: String,
}

const HELP: &str = "\
Changes: one approval in the replicated log. Nothing on any host, and nothing starts.
Ctrl-C: the approval may or may not have been made; approving twice is harmless.
Exit codes: 0 approved; 1 the file is no plan or was altered; 4 rejected (LK3027: your role may not approve).
Example:
  lockkeeper plan show night.plan
  lockkeeper --context library approve night.plan --as approver --reference CHG-4711";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let (plan, text) = match plan::read(scene, &args.file)? {
        Ok(read) => read,
        Err(exit) => return Ok(exit),
    };
    let id = reply::request_id();
    let approve = async |client: OperatorClient| {
        client.approve(id.clone(), text.clone(), args.role.to_string(), args.reference.clone()).await
    };
    match reply::applied(scene, scene.session()?.change("approve the plan", approve).await?, Exit::Error) {
        Ok(_) => {
            out::say(&format!(
                "approved: plan {} of {}, {} -> {}; next: lockkeeper apply {} --follow",
                plan.hash.short(),
                plan.cluster,
                plan.from,
                plan.to,
                args.file.display()
            ));
            Ok(Exit::Done)
        }
        Err(exit) => Ok(exit),
    }
}
