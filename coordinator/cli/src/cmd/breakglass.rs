//! `lockkeeper breakglass show`: from one data directory, without agent, network and quorum.

use super::{Scene, home};
use crate::{
    error::CliError,
    exit::Exit,
    offline::{self, Source},
    out,
    render::{breakglass, moment::Moment},
};
use clap::Subcommand;
use lockkeeper_adapters::by_hand;
use lockkeeper_core::{
    ids::{DatabaseName, Token},
    plan::{Action, Plan},
    view::breakglass::{Hands, Known, Sheet},
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Where settings are looked for.
const CONFIG: &str = "/etc/lockkeeper/agent.toml";
/// Where data is kept unless the settings say otherwise.
const DATA: &str = "/var/lib/lockkeeper";

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

/// `breakglass show --json`.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    source: &'a Source,
    #[serde(flatten)]
    sheet: &'a Sheet,
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
    let Command::Show { data, json } = args.command;
    let data = match data.directory(scene)? {
        Ok(data) => data,
        Err(exit) => return Ok(exit),
    };
    let left = offline::read(&data)?;
    let known = Known { committed: &left.committed, last: &left.last };
    let sheet = lockkeeper_core::view::breakglass::breakglass(known, &ByHand);
    if json {
        let shown = Shown { source: &left.source, sheet: &sheet };
        let text = serde_json::to_string_pretty(&shown)
            .map_err(|e| CliError::BadAnswer { what: "sheet", reason: e.to_string() })?;
        out::data(&text)?;
    } else {
        out::data(&breakglass::text(&left.source, &sheet, &Moment::system()))?;
    }
    Ok(Exit::Done)
}
