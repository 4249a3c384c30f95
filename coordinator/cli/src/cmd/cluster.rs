//! `lockkeeper cluster check`, `apply` and `show`.

use super::{Scene, parse, reply};
use crate::{
    args::Reading,
    error::CliError,
    exit::Exit,
    files::read_text,
    out,
    render::{faults, json, moment::Moment, source},
};
use clap::Subcommand;
use lockkeeper_core::{
    cluster::{ClusterSpec, read_cluster},
    fault::Report,
    profile::ProfileCatalog,
    view::Stamp,
};
use lockkeeper_proto::client::operator::{OperatorClient, ViewKind};
use serde::Deserialize;
use std::path::PathBuf;

/// Check the cluster file, put it into force, or show the one in force.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find everything that is wrong with a cluster file, at once.
    ///
    /// Needs no cluster and no network. Every fault has a line, a column, what was found, what is allowed, and a code.
    #[command(after_long_help = CHECK_HELP)]
    Check {
        #[command(flatten)]
        file: ClusterFile,
        /// Print the faults as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put a cluster file into force.
    ///
    /// It is checked here and again by the group. Not possible while a rollout is active.
    #[command(after_long_help = APPLY_HELP)]
    Apply {
        #[command(flatten)]
        file: ClusterFile,
    },
    /// Show the cluster file in force.
    #[command(after_long_help = SHOW_HELP)]
    Show {
        #[command(flatten)]
        reading: Reading,
    },
}

#[derive(Debug, clap::Args)]
struct ClusterFile {
    /// The cluster file (TOML); - for stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A profile that is not built in, if the cluster file names one.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
}

const CHECK_HELP: &str = "\
Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 nothing to complain about; 1 errors; 2 warnings only.
Example:
  lockkeeper cluster check cluster.toml
  lockkeeper cluster check cluster.toml --json | jq -r '.faults[] | \"\\(.at.line):\\(.at.column) \\(.code)\"'";

const APPLY_HELP: &str = "\
Changes: the cluster file in the replicated log; its version goes up by one, and plans made before become stale.
  No host is touched. Your context (not with --socket) learns the agents' addresses. Needs the role admin.
Ctrl-C: it may or may not be in force; look with `lockkeeper cluster show`.
Exit codes: 0 in force; 1 errors in the file; 4 rejected (LK3028: a rollout is active, or your role may not).
Example:
  lockkeeper cluster apply /etc/lockkeeper/cluster.toml";

const SHOW_HELP: &str = "\
Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 shown; 1 nobody answered, or no cluster file is in force.
Example:
  lockkeeper cluster show > cluster.toml";

/// `cluster show --json`.
#[derive(Debug, Deserialize)]
struct ClusterShown {
    #[serde(flatten)]
    stamp: Stamp,
    version: u64,
    digest: String,
    text: String,
}

/// A cluster file that was read and checked.
struct Checked {
    name: String,
    text: String,
    profile: String,
    outcome: Result<(ClusterSpec, Report), Report>,
}

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    match args.command {
        Command::Check { file, json } => check(scene, &file, json),
        Command::Apply { file } => apply(scene, &file).await,
        Command::Show { reading } => show(scene, reading).await,
    }
}

fn read(file: &ClusterFile) -> Result<Checked, CliError> {
    let name = file.file.display().to_string();
    let text = read_text(&file.file)?;
    let profile = file.profile.as_deref().map(read_text).transpose()?.unwrap_or_default();
    let mut catalog = ProfileCatalog::built_in();
    let added = match &file.profile {
        Some(path) => catalog.add(&path.display().to_string(), &profile).map(|_| ()),
        None => Ok(()),
    };
    let outcome = added.and_then(|()| read_cluster(&name, &text, &catalog));
    Ok(Checked { name, text, profile, outcome })
}

fn check(scene: &Scene, file: &ClusterFile, as_json: bool) -> Result<Exit, CliError> {
    let checked = read(file)?;
    let (exit, report) = match &checked.outcome {
        Ok((_, report)) if report.warnings() == 0 => (Exit::Done, report),
        Ok((_, report)) => (Exit::Changes, report),
        Err(report) => (Exit::Error, report),
    };
    if as_json {
        let faults = serde_json::to_string(report)
            .map_err(|error| CliError::BadAnswer { what: "cluster check", reason: error.to_string() })?;
        out::data(&json::pretty(&faults))?;
    } else {
        out::say(&faults::text(report, scene.style));
    }
    Ok(exit)
}

async fn apply(scene: &Scene, file: &ClusterFile) -> Result<Exit, CliError> {
    let checked = read(file)?;
    let spec = match checked.outcome {
        Ok((spec, report)) => {
            if !report.faults.is_empty() {
                out::say(&faults::text(&report, scene.style));
            }
            spec
        }
        Err(report) => {
            out::say(&faults::text(&report, scene.style));
            return Ok(Exit::Error);
        }
    };
    let id = reply::request_id();
    let put = async |client: OperatorClient| {
        let (name, text) = (checked.name.clone(), checked.text.clone());
        client.cluster_apply(id.clone(), name, text, checked.profile.clone()).await
    };
    match reply::applied(scene, scene.session()?.change("apply the cluster file", put).await?, Exit::Error) {
        Ok(applied) => {
            let agents = spec.members.len() + spec.witnesses.len();
            out::say(&format!("{} is in force for {agents} agents, log {}", checked.name, applied.index));
            let addresses = spec.members.values().chain(spec.witnesses.values()).map(|m| m.address.clone());
            match scene.place.remember(addresses) {
                Ok(true) => out::say("your context knows their addresses now"),
                Ok(false) => {}
                // The cluster file is in force all the same.
                Err(error) => out::say(&format!("note: your context was not updated: {error}")),
            }
            Ok(Exit::Done)
        }
        Err(exit) => Ok(exit),
    }
}

async fn show(scene: &Scene, reading: Reading) -> Result<Exit, CliError> {
    let view = scene.session()?.view(ViewKind::Cluster, reading.linearizable).await?;
    if reading.json {
        out::data(&json::pretty(&view))?;
        return Ok(Exit::Done);
    }
    let shown: ClusterShown = parse("cluster show", &view)?;
    out::say(&source::line(&shown.stamp, &Moment::system()));
    if shown.version == 0 {
        out::say("no cluster file is in force; see lockkeeper cluster apply --help");
        return Ok(Exit::Error);
    }
    out::say(&format!("version {}, digest {}", shown.version, shown.digest));
    out::data(&shown.text)?;
    Ok(Exit::Done)
}
