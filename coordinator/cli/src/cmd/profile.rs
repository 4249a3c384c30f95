//! `lockkeeper profile list`, `show` and `check`.

use super::Scene;
use crate::{
    error::CliError,
    exit::Exit,
    files::read_text,
    out,
    render::{faults, table::Table},
};
use clap::Subcommand;
use lockkeeper_core::{
    fault::{Fault, FaultCode, Report},
    ids::ProfileName,
    profile::{BUILT_IN, Profile, ProfileCatalog, read_profile},
};
use std::path::PathBuf;

/// Product knowledge: list the built-in profiles, show one, or check your own.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the built-in profiles.
    #[command(after_long_help = LIST_HELP)]
    List {
        /// Print names, digests and descriptions as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a built-in profile: its parameters, stages, proofs and undo. A start for your own.
    #[command(after_long_help = SHOW_HELP)]
    Show {
        /// Its name, as `lockkeeper profile list` tells.
        name: ProfileName,
    },
    /// Find everything that is wrong with a profile file, at once.
    #[command(after_long_help = CHECK_HELP)]
    Check {
        /// The profile (TOML); - for stdin.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print the faults as JSON.
        #[arg(long)]
        json: bool,
    },
}

const LIST_HELP: &str = "\
Changes: nothing; needs no cluster.
Ctrl-C: ends this command only.
Exit codes: 0 listed.
Example:
  lockkeeper profile list";

const SHOW_HELP: &str = "\
Changes: nothing; needs no cluster.
Ctrl-C: ends this command only.
Exit codes: 0 shown; 1 there is no such profile.
Example:
  lockkeeper profile show generic > mine.toml";

const CHECK_HELP: &str = "\
Changes: nothing; needs no cluster.
Ctrl-C: ends this command only.
Exit codes: 0 nothing to complain about; 1 errors.
Example:
  lockkeeper profile check mine.toml
  lockkeeper cluster check cluster.toml --profile mine.toml";

pub fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    match args.command {
        Command::List { json } => list(json),
        Command::Show { name } => show(scene, &name),
        Command::Check { file, json } => check(scene, &file, json),
    }
}

fn list(as_json: bool) -> Result<Exit, CliError> {
    let catalog = ProfileCatalog::built_in();
    if as_json {
        let all: Vec<_> = catalog
            .iter()
            .map(|p| serde_json::json!({ "name": p.name.as_str(), "about": p.about, "digest": p.digest.0 }))
            .collect();
        out::data(&format!("{:#}", serde_json::json!({ "profiles": all })))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["NAME", "DIGEST", "ABOUT"]);
    for p in catalog.iter() {
        table.row([p.name.to_string(), p.digest.0.chars().take(8).collect(), p.about.clone()]);
    }
    out::data(&table.text())?;
    Ok(Exit::Done)
}

fn show(scene: &Scene, name: &ProfileName) -> Result<Exit, CliError> {
    let named = |text: &str| read_profile("built-in", text).is_ok_and(|p: Profile| p.name == *name);
    match BUILT_IN.iter().find(|(_, text)| named(text)) {
        Some((_, text)) => {
            out::data(text)?;
            Ok(Exit::Done)
        }
        None => {
            let known: Vec<String> = ProfileCatalog::built_in().iter().map(|p| p.name.to_string()).collect();
            let fault = Fault::new(FaultCode::UnknownProfile, format!("there is no built-in profile {name}"))
                .allowed(known.join(", "));
            out::say(&faults::text(&Report::one(fault), scene.style));
            Ok(Exit::Error)
        }
    }
}

fn check(scene: &Scene, file: &std::path::Path, as_json: bool) -> Result<Exit, CliError> {
    let (exit, report) = match read_profile(&file.display().to_string(), &read_text(file)?) {
        Ok(profile) => {
            let steps: usize = profile.stages.iter().map(|stage| stage.steps.len()).sum();
            out::say(&format!(
                "profile {} is in order: {} stages, {steps} steps, digest {}",
                profile.name,
                profile.stages.len(),
                profile.digest
            ));
            (Exit::Done, Report::new(Vec::new(), String::new()))
        }
        Err(report) => {
            if !as_json {
                out::say(&faults::text(&report, scene.style));
            }
            (Exit::Error, report)
        }
    };
    if as_json {
        let text = serde_json::to_string(&report);
        let text = text.map_err(|e| CliError::BadAnswer { what: "profile check", reason: e.to_string() })?;
        out::data(&crate::render::json::pretty(&text))?;
    }
    Ok(exit)
}
