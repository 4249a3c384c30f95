//! `lockkeeper breakglass show` and `guard-open`: from one data directory, without agent, network and quorum.

use super::{Scene, home};
use crate::{
    error::CliError,
    exit::Exit,
    node::guard::{opening, write_opening},
    offline::{self, Source},
    out,
    render::{breakglass, moment::Moment},
};
use clap::Subcommand;
use lockkeeper_adapters::by_hand;
use lockkeeper_agent::data::GUARD_OPEN;
use lockkeeper_core::{
    guard::{OPEN_MAX, OPEN_ONCE, Opening},
    ids::{DatabaseName, Token},
    plan::{Action, Plan},
    time::Millis,
    view::breakglass::{Hands, Known, Sheet},
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Where settings are looked for.
const CONFIG: &str = "/etc/lockkeeper/agent.toml";
/// Where data is kept unless the settings say otherwise.
pub const DATA: &str = "/var/lib/lockkeeper";

/// What is left when there is no quorum: act by hand.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show how things stand, what is owed, and the vendors' commands that give it back, from one data directory.
    ///
    /// Needs no agent, no network and no quorum; the agent may run. Shows the rollout, the holder of the upgrade and
    /// how to keep it out, everything owed with its value before, the backup set with how to restore it, and both ways
    /// on: back and forward, in order, as lines for a shell.
    #[command(after_long_help = SHOW_HELP)]
    Show {
        #[command(flatten)]
        data: Data,
        /// Print it as JSON, with documented and stable keys (`docs/command-line.md`).
        #[arg(long)]
        json: bool,
    },
    /// Let the application start on this host although the boot guard refuses.
    ///
    /// For the next start, or for a stated time; then the guard is shut again by itself. What was done, by whom and why
    /// stays in `evidence/guard.jsonl` of the data directory; the agent tells the group, whose audit keeps it. It does
    /// not help a machine whose identity is not in order.
    #[command(after_long_help = OPEN_HELP)]
    GuardOpen {
        #[command(flatten)]
        data: Data,
        /// Why; kept with it.
        #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        reason: String,
        /// Every start for this long, such as 30min or 2h, at most 24h. Default: the next start, within an hour.
        #[arg(long = "for", value_name = "DURATION", value_parser = within_a_day)]
        time: Option<Millis>,
        /// Who decided so; kept beside the user id. Default: who called sudo.
        #[arg(long, value_name = "NAME", env = "SUDO_USER", hide_env_values = true)]
        by: Option<String>,
    },
}

/// A duration of at most a day.
fn within_a_day(text: &str) -> Result<Millis, String> {
    let time = Millis::parse(text).map_err(|e| e.to_string())?;
    if time.0 == 0 || time > OPEN_MAX { Err("more than nothing and at most 24h".to_owned()) } else { Ok(time) }
}

/// Which data directory.
#[derive(Debug, Clone, clap::Args)]
pub struct Data {
    /// The agent's data directory, or a copy of it. Default: as the settings say.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// This node's settings.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
}

const SHOW_HELP: &str = "\
Changes: nothing; it reads a copy of the store.
Ctrl-C: ends this command only.
Exit codes: 0 shown; 1 there is no store, or it cannot be read (LK7401, LK7402).
Example:
  lockkeeper breakglass show
  lockkeeper breakglass show --data /mnt/rescued/lockkeeper --json";

const OPEN_HELP: &str = "\
Changes: this host's boot guard only: guard-open.json in the data directory. Nothing is started.
Ctrl-C: ends this command only.
Exit codes: 0 opened; 1 it could not be written; 64 no reason.
Example:
  lockkeeper breakglass guard-open --reason 'the database is ours, INC-7'
  lockkeeper breakglass guard-open --reason INC-7 --for 2h";

/// `breakglass show --json`.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    source: &'a Source,
    #[serde(flatten)]
    sheet: &'a Sheet,
    /// The last time a person opened this host's boot guard.
    guard: Option<&'a Opening>,
}

struct ByHand;

impl Hands for ByHand {
    fn act(&self, plan: &Plan, action: &Action, captured: Option<&str>) -> Vec<String> {
        by_hand::act(plan, action, captured)
    }

    fn holder_out(&self, plan: &Plan, database: &DatabaseName, token: Token) -> Vec<String> {
        by_hand::holder_out(plan, database, token)
    }

    fn restore(&self, plan: &Plan, database: &DatabaseName, set: &str) -> Vec<String> {
        by_hand::restore(plan, database, set)
    }
}

impl Data {
    /// The directory: as given, else as the settings say, else the usual one. The exit code after faults of the
    /// settings were said.
    pub fn directory(&self, scene: &Scene) -> Result<Result<PathBuf, Exit>, CliError> {
        if let Some(data) = &self.data {
            return Ok(Ok(data.clone()));
        }
        if !self.config.exists() && self.config == Path::new(CONFIG) {
            return Ok(Ok(PathBuf::from(DATA)));
        }
        Ok(home::settings(scene, &self.config)?.map(|settings| settings.data))
    }
}

pub fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    match args.command {
        Command::Show { data, json } => match data.directory(scene)? {
            Ok(data) => show(&data, json),
            Err(exit) => Ok(exit),
        },
        Command::GuardOpen { data, reason, time, by } => match data.directory(scene)? {
            Ok(data) => guard_open(&data, reason, time, by.as_deref()),
            Err(exit) => Ok(exit),
        },
    }
}

fn guard_open(data: &Path, reason: String, time: Option<Millis>, by: Option<&str>) -> Result<Exit, CliError> {
    let moment = Moment::system();
    let opening = Opening {
        by: who(by),
        reason,
        opened: moment.now,
        until: moment.now.saturating_add(time.unwrap_or(OPEN_ONCE).0),
        once: time.is_none(),
        uses: 0,
        last_use: None,
    };
    write_opening(&data.join(GUARD_OPEN), &opening, "opened")?;
    let what = if opening.once { "the next start" } else { "every start" };
    let until = moment.stamp(opening.until);
    out::say(&format!("the boot guard of this host is open for {what} until {until}; nothing was started"));
    Ok(Exit::Done)
}

/// Who types, as the system knows them, and who they say it was.
fn who(by: Option<&str>) -> String {
    let uid = rustix::process::getuid().as_raw();
    by.filter(|name| !name.is_empty()).map_or_else(|| format!("uid:{uid}"), |name| format!("uid:{uid} ({name})"))
}

fn show(data: &Path, json: bool) -> Result<Exit, CliError> {
    let left = offline::read(data)?;
    let opening = opening(data);
    let known = Known { committed: &left.committed, last: &left.last };
    let sheet = lockkeeper_core::view::breakglass::breakglass(known, &ByHand);
    if json {
        let shown = Shown { source: &left.source, sheet: &sheet, guard: opening.as_ref() };
        let text = serde_json::to_string_pretty(&shown)
            .map_err(|e| CliError::BadAnswer { what: "sheet", reason: e.to_string() })?;
        out::data(&text)?;
    } else {
        out::data(&breakglass::text(&left.source, &sheet, opening.as_ref(), &Moment::system()))?;
    }
    Ok(Exit::Done)
}
