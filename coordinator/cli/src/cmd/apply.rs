//! `lockkeeper apply`.

use super::{Scene, follow, plan, reply};
use crate::{error::CliError, exit::Exit, out};
use lockkeeper_core::{ids::RolloutId, plan::Plan};
use lockkeeper_proto::client::operator::OperatorClient;
use std::path::PathBuf;

/// Start the rollout of an approved plan.
///
/// The agents carry it out; this command is not needed for that. Applying the same plan again attaches to its rollout.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The plan file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Follow the rollout to its end: a live screen on a terminal, a line per change elsewhere, a JSON object per line
    /// with --json. Goes on with another agent when the one it asks dies.
    #[arg(long)]
    follow: bool,
    /// Do not ask. Needed where nobody can be asked.
    #[arg(long)]
    yes: bool,
    /// Print JSON: the accepted rollout, and with --follow the status after each change.
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Changes: starts the rollout. Users are without service from the first drain to the first admission; past the point of
  no return only forward or a whole restore is left. `lockkeeper plan show FILE` says all of it.
Ctrl-C: never stops the rollout. With --follow it ends the watching (exit 130) and says how to attach again.
  To stop: lockkeeper pause, or before the point of no return lockkeeper abort.
Exit codes: 0 accepted, with --follow completed or aborted; 1 error, or not confirmed; 4 rejected or stale (LK3003,
  LK3004, LK3005, LK3006); with --follow 5 halted, needs a person; 64 nobody can be asked and --yes is missing.
Example:
  lockkeeper apply night.plan --follow
  lockkeeper apply night.plan --yes && lockkeeper status --watch";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let (plan, text) = match plan::read(scene, &args.file)? {
        Ok(read) => read,
        Err(exit) => return Ok(exit),
    };
    let session = scene.session()?;
    if !args.yes {
        out::confirm(&question(&plan))?;
    }
    let id = reply::request_id();
    let apply = async |client: OperatorClient| client.apply(id.clone(), text.clone()).await;
    let applied = match reply::applied(scene, session.change("apply the plan", apply).await?, Exit::Rejected)
    {
        Ok(applied) => applied,
        Err(exit) => return Ok(exit),
    };
    // The rollout is named after the entry that started it, so a missing name is that entry.
    let rollout = applied.rollout.unwrap_or(RolloutId(applied.index.0));
    if args.follow {
        let format = if args.json { follow::Format::Json } else { follow::Format::for_reader(scene) };
        return follow::follow(scene, &session, rollout, applied.index, format).await;
    }
    if args.json {
        let accepted =
            serde_json::json!({ "rollout": rollout.0, "index": applied.index.0, "plan": plan.hash.0 });
        out::data(&format!("{accepted:#}"))?;
    } else {
        out::data(&format!("rollout {rollout} accepted: {} {} -> {}", plan.cluster, plan.from, plan.to))?;
        out::say("it goes on by itself; follow with: lockkeeper status --watch");
    }
    Ok(Exit::Done)
}

/// What a person says yes to.
fn question(plan: &Plan) -> String {
    let members: Vec<&str> = plan.bound.members.keys().map(|m| m.as_str()).collect();
    let no_return = match plan.steps.iter().find(|s| s.irreversible) {
        Some(step) => format!(
            "Step {} of {} ({} {}) is the point of no return.",
            step.id,
            plan.steps.len(),
            step.action.kind(),
            step.target
        ),
        None => format!("All of its {} steps can be undone.", plan.steps.len()),
    };
    format!(
        "Upgrade {} from {} to {} on {} (plan {})?\n{no_return}\nGo on?",
        plan.cluster,
        plan.from,
        plan.to,
        members.join(", "),
        plan.hash.short()
    )
}
