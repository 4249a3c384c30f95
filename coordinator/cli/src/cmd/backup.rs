//! `lockkeeper backup list` and `lockkeeper backup verify`: the backup sets on this host.

use super::{Scene, parse};
use crate::{error::CliError, exit::Exit, out};
use lockkeeper_adapters::backup::{manifest::Manifest, set::BackupSet};
use lockkeeper_core::{cluster::read_cluster, profile::ProfileCatalog};
use lockkeeper_proto::client::operator::ViewKind;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// Show and verify backup sets on this host.
///
/// Sets lie on the host of the agent that took them, the executor of the database, in the directory that the cluster
/// file names under `backups`. This reads that directory on the host it runs on, and changes nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Every set whose manifest can be read: of which database, rollout and moment, and whether it was proven.
    #[command(after_long_help = LIST_HELP)]
    List(Reading),
    /// Read every byte of a set again and compare it with the manifest.
    #[command(after_long_help = VERIFY_HELP)]
    Verify {
        /// The set's name.
        #[arg(value_name = "SET")]
        set: String,
        #[command(flatten)]
        reading: Reading,
    },
}

#[derive(Debug, clap::Args)]
struct Reading {
    /// Where the sets are, instead of the directories in the cluster file in force.
    #[arg(long, value_name = "DIR")]
    directory: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

const LIST_HELP: &str = "\
Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 listed; 1 a directory cannot be read, or nobody answered.
Example:
  lockkeeper backup list";

const VERIFY_HELP: &str = "\
Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 whole and proven; 1 error, or the set is damaged (LK5221, LK5235 cut short, LK5236 altered, LK5237 parts
  of two sets); 2 whole but never proven by a restore; 3 there is no such set on this host.
Example:
  lockkeeper backup verify lk-main-0123456789";

/// One set.
#[derive(Debug, Serialize)]
struct Shown {
    set: String,
    directory: String,
    database: String,
    rollout: u64,
    taken_at: String,
    server: String,
    bytes: u64,
    proven_at: Option<String>,
    proof: Option<String>,
}

#[derive(Deserialize)]
struct ClusterText {
    text: String,
    profile_text: String,
}

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    match args.what {
        What::List(reading) => list(scene, reading).await,
        What::Verify { set, reading } => verify(scene, &set, reading).await,
    }
}

async fn list(scene: &Scene, reading: Reading) -> Result<Exit, CliError> {
    let mut shown = Vec::new();
    for directory in directories(scene, reading.directory).await? {
        for set in BackupSet::all(&directory).map_err(refused)? {
            shown.push(show(&set)?);
        }
    }
    if reading.json {
        out::data(&json(&shown))?;
    } else if shown.is_empty() {
        out::data("no backup set on this host\n")?;
    } else {
        out::data(&shown.iter().map(line).collect::<String>())?;
    }
    Ok(Exit::Done)
}

async fn verify(scene: &Scene, name: &str, reading: Reading) -> Result<Exit, CliError> {
    for directory in directories(scene, reading.directory).await? {
        let Some(set) = BackupSet::open(&directory.join(name)).map_err(refused)? else { continue };
        let checked = set.clone();
        let bytes = tokio::task::spawn_blocking(move || checked.verify())
            .await
            .map_err(|error| CliError::Start { action: "read the set", source: error.into() })?
            .map_err(refused)?;
        let shown = show(&set)?;
        if reading.json {
            out::data(&json(&shown))?;
        } else {
            out::data(&line(&shown))?;
            out::data(&format!("{bytes} bytes read again, every file as its manifest says\n"))?;
        }
        return Ok(if shown.proven_at.is_some() { Exit::Done } else { Exit::Changes });
    }
    out::say(&format!("no set {name} on this host; sets lie where the executor that took them runs"));
    Ok(Exit::Blocked)
}

fn show(set: &BackupSet) -> Result<Shown, CliError> {
    let Manifest { set: name, database, rollout, taken_at, server, files, .. } = &set.manifest;
    let proof = set.proof().map_err(refused)?;
    Ok(Shown {
        set: name.clone(),
        directory: set.directory.display().to_string(),
        database: database.to_string(),
        rollout: rollout.0,
        taken_at: taken_at.clone(),
        server: server.clone(),
        bytes: files.values().map(|entry| entry.bytes).sum(),
        proven_at: proof.as_ref().map(|proof| proof.proven_at.clone()),
        proof: proof.map(|proof| proof.evidence),
    })
}

fn line(set: &Shown) -> String {
    let proven = match (&set.proven_at, &set.proof) {
        (Some(at), Some(proof)) => format!("proven {at}: {proof}"),
        _ => "NOT PROVEN by a restore".to_owned(),
    };
    format!(
        "{}  {} of rollout {}, taken {}, {} bytes\n    {}\n    {proven}\n",
        set.set, set.database, set.rollout, set.taken_at, set.bytes, set.directory
    )
}

/// The given directories, or those of the cluster file in force.
async fn directories(scene: &Scene, given: Vec<PathBuf>) -> Result<BTreeSet<PathBuf>, CliError> {
    if !given.is_empty() {
        return Ok(given.into_iter().collect());
    }
    let json = scene.session()?.view(ViewKind::Cluster, false).await?;
    let cluster: ClusterText = parse("the cluster file", &json)?;
    let unreadable = |faults: String| CliError::BadAnswer { what: "the cluster file", reason: faults };
    let mut catalog = ProfileCatalog::built_in();
    if !cluster.profile_text.is_empty() {
        catalog.add("profile", &cluster.profile_text).map_err(|report| unreadable(report.text()))?;
    }
    let (spec, _) =
        read_cluster("cluster.toml", &cluster.text, &catalog).map_err(|r| unreadable(r.text()))?;
    Ok(spec.databases.values().filter(|d| !d.backups.is_empty()).map(|d| PathBuf::from(&d.backups)).collect())
}

fn json<T: Serialize>(value: &T) -> String {
    // Plain data with text keys always serialises.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn refused(refusal: lockkeeper_adapters::database::Refusal) -> CliError {
    let code = Some(refusal.code.as_str().to_owned());
    CliError::Answered { what: "use the set", code, text: refusal.to_string() }
}
