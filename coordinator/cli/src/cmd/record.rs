//! `lockkeeper record export`.

use super::Scene;
use crate::{
    error::CliError,
    exit::Exit,
    files::{Existing, write_text},
    out,
    render::failure::without_code,
};
use clap::Subcommand;
use lockkeeper_coordinator::{
    machine::StateMachine,
    raft::{Offline, Upto},
    recording::{self, Beside},
};
use lockkeeper_core::record::{self, Script};
use lockkeeper_proto::client::operator::OperatorClient;
use std::path::{Path, PathBuf};

/// The flight recorder: what the group was told and decided, as a file that can be replayed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a record of what an agent's log holds.
    ///
    /// From the log's beginning, or from the newest snapshot (every 10,000 entries): the state there, every later command
    /// in the bytes of the log, the digest of the state and the head of the audit after each; from the leader also
    /// what it saw and decided lately. Secrets are references in all of it, so none is in the file.
    #[command(after_long_help = HELP)]
    Export {
        /// Write the record here.
        #[arg(short, long, value_name = "FILE", required = true)]
        output: PathBuf,
        /// Read the data directory of an agent that does not run, such as /var/lib/lockkeeper, instead of asking one.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Replace the file if it holds something else.
        #[arg(long)]
        force: bool,
        /// Ask the leader first, so that everything committed before this call is in the record.
        #[arg(long, conflicts_with = "data")]
        linearizable: bool,
    },
}

const HELP: &str = "\
Changes: nothing on any host; one file here, mode 0600.
Ctrl-C: ends this command only; no half-written file is left.
Exit codes: 0 written; 1 error, or the log does not lead to the audit the node wrote (nothing is written then).
Example:
  lockkeeper record export -o night.record
  lockkeeper record export -o night.record --data /var/lib/lockkeeper";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let Command::Export { output, data, force, linearizable } = args.command;
    let script = match data {
        Some(data) => of_data(&data)?,
        None => {
            let ask = async |client: OperatorClient| client.record(linearizable).await;
            let text = scene.session()?.read("read the record", ask).await?;
            let bad = |e: record::RecordFault| CliError::BadAnswer { what: "record", reason: e.to_string() };
            record::parse(&text).map_err(bad)?
        }
    };
    save(&output, script, if force { Existing::Replace } else { Existing::Keep })
}

fn of_data(data: &Path) -> Result<Script, CliError> {
    let fail =
        |error: &dyn std::fmt::Display| CliError::Data { path: data.to_owned(), reason: error.to_string() };
    let store = Offline::read(&data.join("raft.redb")).map_err(|e| fail(&e))?;
    let (mut machine, seen) = StateMachine::new();
    store.replay(&mut machine, Upto::Committed).map_err(|e| fail(&e))?;
    let (trail, state) = (machine.trail().read(), seen.borrow().clone());
    let source = data.display().to_string();
    let beside = Beside { source, trail: &trail, decisions: Vec::new(), state: &state };
    recording::script(&store.recorded(Upto::Committed), beside).map_err(|e| fail(&e))
}

fn save(path: &Path, script: Script, existing: Existing) -> Result<Exit, CliError> {
    let whose = script.head.source.clone();
    let broken = |code, text: String| {
        let text = without_code(&text).to_owned();
        CliError::Record { whose: whose.clone(), code, text }
    };
    let script = record::seal(script).map_err(|e| broken(e.code(), e.to_string()))?;
    let text = record::render(&script).map_err(|e| broken(e.code(), e.to_string()))?;
    write_text(path, &text, 0o600, existing)?;
    out::say(&format!(
        "{} commands from entry {} to {} and {} decisions written to {}; next: lockkeeper replay {}",
        script.entries.len(),
        script.head.from,
        script.head.to,
        script.decisions.len(),
        path.display(),
        path.display(),
    ));
    Ok(Exit::Done)
}
