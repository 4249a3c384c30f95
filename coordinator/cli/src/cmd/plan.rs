//! `lockkeeper plan`, `plan show` and `plan diff`.

use super::Scene;
use crate::{
    error::CliError,
    exit::Exit,
    files::{Existing, read_text, write_text},
    out,
    render::{self, faults, json},
};
use clap::Subcommand;
use lockkeeper_core::{
    plan::{self, Glyphs, Plan, PlanReport},
    version::Version,
};
use lockkeeper_proto::client::operator::OperatorClient;
use std::path::{Path, PathBuf};

/// Make a plan from what the agents observe now, or look at plan files.
///
/// A plan is a numbered list of steps from the versions that run to the one you name: who does what in which order,
/// what cannot be undone, how long users are without service, what will be owed. It is a file; approving and applying
/// take that file, to the byte.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The version every member shall have.
    #[arg(long, value_name = "VERSION", required = true)]
    to: Option<Version>,
    /// How members pass: offline (all out, the first upgrades the database, the rest follow one by one), or rolling (one
    /// at a time, users notice nothing; refused if the schema changes; at the same version a restart).
    #[arg(long, value_name = "STRATEGY", default_value = "offline", value_parser = ["offline", "rolling"])]
    strategy: String,
    /// Start from a cluster that somebody began to upgrade by hand: members that have VERSION are proven and admitted, a
    /// database whose upgrade is finished is not upgraded again, all other members are brought after them.
    #[arg(long)]
    adopt: bool,
    /// Hash of the plan this one amends.
    #[arg(long, value_name = "HASH")]
    parent: Option<String>,
    /// Write the plan file here; - writes the plan itself to stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it holds something else.
    #[arg(long, requires = "output")]
    force: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what a plan file says. Needs no cluster.
    ///
    /// Refuses a file that is not, to the byte, what Lockkeeper wrote.
    #[command(after_long_help = SHOW_HELP)]
    Show {
        /// The plan file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Try a plan file on simulated nights with every kind of trouble. Needs no cluster.
    ///
    /// The same code that would carry the plan out decides; agents, people and trouble are made up from numbers, so the
    /// same plan and --seeds give the same answer. People do what status --why advises, up to six times. What no
    /// simulation knows: whether your commands, checks and backups work. For that rehearse on clones.
    #[command(after_long_help = super::simulate::HELP)]
    Simulate(super::simulate::Args),
    /// Show what differs between two plan files. Needs no cluster.
    ///
    /// One line a difference: + only in the second, - only in the first, ~ changed. Steps are compared by what they do
    /// and to what, not by their numbers.
    #[command(after_long_help = DIFF_HELP)]
    Diff {
        /// The first plan file.
        #[arg(value_name = "A")]
        first: PathBuf,
        /// The second.
        #[arg(value_name = "B")]
        second: PathBuf,
        /// Print the differences as JSON.
        #[arg(long)]
        json: bool,
    },
}

const HELP: &str = "\
Changes: nothing on any host; with -o one file here.
Ctrl-C: ends this command only; no half-written file is left.
Exit codes: 0 nothing to do; 1 no plan can be made (every fault is said), or error; 2 changes are planned.
Example:
  lockkeeper plan --to 26.5.0 -o night.plan
  lockkeeper plan show night.plan
  lockkeeper plan --to 26.5.0 --strategy rolling -o restart.plan
  lockkeeper plan --to 26.5.0 --adopt -o rest.plan";

const SHOW_HELP: &str = "\
Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 shown; 1 not a plan, altered (LK2020), or of another format.
Example:
  lockkeeper plan show night.plan";

const DIFF_HELP: &str = "\
Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 the plans are the same; 1 error; 2 they differ.
Example:
  lockkeeper plan diff night.plan night-2.plan";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    match args.command {
        Some(Command::Show { file, json }) => show(scene, &file, json),
        Some(Command::Simulate(args)) => super::simulate::run(scene, &args),
        Some(Command::Diff { first, second, json }) => diff(scene, &first, &second, json),
        None => make(scene, args).await,
    }
}

async fn make(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let to = args.to.as_ref().map(ToString::to_string).unwrap_or_default();
    let parent = args.parent.clone().unwrap_or_default();
    let ask =
        async |client: OperatorClient| {
            client.plan(to.clone(), args.strategy.clone(), parent.clone(), args.adopt).await
        };
    let planned = scene.session()?.read("make a plan", ask).await?;
    if !planned.faults.is_empty() {
        out::say(&planned.faults);
        return Ok(Exit::Error);
    }
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    if args.json && !to_stdout {
        out::data(&json::pretty(&planned.json))?;
    } else if to_stdout {
        out::say(&planned.text);
    } else {
        out::data(&planned.text)?;
    }
    if planned.plan.is_empty() {
        out::say("nothing to do: no plan was made");
        return Ok(Exit::Done);
    }
    match &args.output {
        None => out::say("not saved: add -o FILE to approve and apply it"),
        // Without a line end: the file is the plan to the byte.
        Some(_) if to_stdout => out::exactly(&planned.plan)?,
        Some(path) => {
            let existing = if args.force { Existing::Replace } else { Existing::Keep };
            write_text(path, &planned.plan, 0o644, existing)?;
            let file = path.display();
            out::say(&format!("written to {file}; next: lockkeeper approve {file} --as approver"));
        }
    }
    Ok(Exit::Changes)
}

/// A plan file's plan, or the exit code after its faults were said.
pub fn read(scene: &Scene, path: &Path) -> Result<Result<(Plan, String), Exit>, CliError> {
    let text = read_text(path)?;
    match plan::read_plan(&path.display().to_string(), &text) {
        Ok(plan) => Ok(Ok((plan, text))),
        Err(report) => {
            out::say(&faults::text(&report, scene.style));
            Ok(Err(Exit::Error))
        }
    }
}

/// Box characters where a person looks, ASCII elsewhere.
fn glyphs(scene: &Scene) -> Glyphs {
    if scene.style.terminal { Glyphs::Unicode } else { Glyphs::Ascii }
}

fn show(scene: &Scene, path: &Path, as_json: bool) -> Result<Exit, CliError> {
    let (plan, _) = match read(scene, path)? {
        Ok(read) => read,
        Err(exit) => return Ok(exit),
    };
    let report = PlanReport::new(&plan, None, Vec::new());
    if as_json {
        let text = serde_json::to_string(&report);
        let text = text.map_err(|e| CliError::BadAnswer { what: "plan show", reason: e.to_string() })?;
        out::data(&render::json::pretty(&text))?;
    } else {
        out::data(&report.text(glyphs(scene)))?;
        let left = "not in the file: warnings and voters, which `lockkeeper plan` shows when it makes a plan";
        out::say(left);
    }
    Ok(Exit::Done)
}

fn diff(scene: &Scene, first: &Path, second: &Path, as_json: bool) -> Result<Exit, CliError> {
    let (a, b) = match (read(scene, first)?, read(scene, second)?) {
        (Ok((a, _)), Ok((b, _))) => (a, b),
        (Err(exit), _) | (_, Err(exit)) => return Ok(exit),
    };
    let differences = plan::diff(&a, &b);
    if as_json {
        out::data(&format!("{:#}", serde_json::json!({ "differences": differences })))?;
    } else {
        let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
        out::data(&lines.join("\n"))?;
    }
    if differences.is_empty() {
        out::say("the plans do the same to the same");
        return Ok(Exit::Done);
    }
    Ok(Exit::Changes)
}
