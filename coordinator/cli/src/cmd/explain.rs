//! `lockkeeper explain`.

use super::{Scene, parse};
use crate::{error::CliError, exit::Exit, files, out, pages, render};
use lockkeeper_core::{plan, view::StatusView};
use lockkeeper_proto::client::operator::ViewKind;
use std::path::PathBuf;

/// Explain a code, or a step of the rollout.
///
/// A code (LK4012, or a word of `status --why`) needs no cluster: the pages are in this binary. A number is a step of
/// the shown rollout: its action, state, evidence, why it waits; with the plan file also who may do it, undo,
/// deadlines and the product facts behind it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// A code with a page, or a step's number.
    #[arg(value_name = "STEP|CODE", required_unless_present = "list")]
    what: Option<String>,
    /// The plan file, for what only the plan knows of a step.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// List every code with its title.
    #[arg(long, conflicts_with_all = ["what", "plan"])]
    list: bool,
}

const HELP: &str = "\
Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 explained; 1 nothing is known of it, or nobody answered.
Example:
  lockkeeper explain LK4012
  lockkeeper explain 8 --plan night.plan";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let Some(what) = args.what else {
        let titles = pages::PAGES.iter().map(|(code, text)| {
            let title = text.lines().next().unwrap_or_default().trim_start_matches('#').trim();
            if title.starts_with(code) { title.to_owned() } else { format!("{code}: {title}") }
        });
        out::data(&titles.collect::<Vec<_>>().join("\n"))?;
        return Ok(Exit::Done);
    };
    if let Some(page) = pages::page(&what) {
        out::data(page)?;
        return Ok(Exit::Done);
    }
    match what.parse() {
        Ok(step) => explain_step(scene, step, args.plan).await,
        Err(_) => Err(CliError::UnknownCode(what)),
    }
}

async fn explain_step(scene: &Scene, step: u32, file: Option<PathBuf>) -> Result<Exit, CliError> {
    let view: StatusView = parse("status", &scene.session()?.view(ViewKind::Status, false).await?)?;
    let rollout = view.rollout.as_ref().ok_or(CliError::NoRollout)?;
    let found = rollout.steps.iter().find(|s| s.id == step).ok_or_else(|| {
        let last = rollout.steps.iter().map(|s| s.id).max().unwrap_or(0);
        CliError::NoStep { rollout: rollout.id, step, last }
    })?;
    let plan = match &file {
        None => None,
        Some(path) => match plan::read_plan(&path.display().to_string(), &files::read_text(path)?) {
            Ok(plan) if plan.hash.0 == rollout.plan => Some(plan),
            Ok(plan) => {
                let reason = format!("its hash is {}, the rollout's plan is {}", plan.hash, rollout.plan);
                return Err(CliError::BadPlan { path: path.clone(), reason });
            }
            Err(report) => {
                out::say(&render::faults::text(&report, scene.style));
                return Ok(Exit::Error);
            }
        },
    };
    let moment = render::moment::Moment::system();
    out::data(&render::step::text(&view, rollout, found, plan.as_ref(), &moment))?;
    Ok(Exit::Done)
}
