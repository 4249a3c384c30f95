//! The commands, one a file. Each reads its arguments, asks, shows, and answers with an exit code; none decides
//! anything about a rollout.

pub mod agent;
pub mod apply;
pub mod approve;
pub mod ca;
pub mod breakglass;
pub mod backup;
pub mod audit;
pub mod check;
pub mod cluster;
pub mod completions;
pub mod control;
pub mod demo;
pub mod doctor;
pub mod explain;
pub mod follow;
pub mod history;
pub mod home;
pub mod init;
pub mod isolation;
pub mod join;
pub mod locks;
pub mod man;
pub mod member;
pub mod members;
pub mod operator;
pub mod owed;
pub mod plan;
pub mod profile;
pub mod record;
pub mod recover;
pub mod replay;
pub mod reply;
pub mod restore;
pub mod simulate;
pub mod status;
pub mod takeover;
pub mod token;

use crate::{
    args::Command,
    connect::{Session, Where},
    error::CliError,
    exit::Exit,
    out::{self, Style},
    render::{failure, moment::Moment, paint::Paint},
};
use serde::de::DeserializeOwned;
use std::process::ExitCode;

/// What every command gets.
pub struct Scene {
    /// Where the cluster is.
    pub place: Where,
    /// How to write.
    pub style: Style,
}

impl Scene {
    /// Ways to the cluster.
    pub fn session(&self) -> Result<Session, CliError> {
        self.place.session()
    }

    /// For texts on stdout.
    pub fn paint(&self) -> Paint {
        Paint(self.style.colour)
    }
}

/// Runs a command to its end and says on stderr why it failed.
pub fn run(place: Where, command: Command) -> ExitCode {
    // The convention of no-color.org: set and not empty. It is about the terminal, not about what is done.
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let scene = Scene { place, style: Style::detect(no_color) };
    let outcome = runtime(&command).and_then(|runtime| {
        let outcome = runtime.block_on(dispatch(&scene, command));
        // A read of stdin or a connection that hangs must not keep the process.
        runtime.shutdown_background();
        outcome
    });
    let exit = outcome.unwrap_or_else(|error| {
        out::say(&failure::error(&error, scene.paint()));
        error.exit()
    });
    exit.into()
}

/// An agent works on every core; a command waits for one answer.
fn runtime(command: &Command) -> Result<tokio::runtime::Runtime, CliError> {
    let mut builder = match command {
        Command::Agent(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().build().map_err(|source| CliError::Start { action: "start the runtime", source })
}

async fn dispatch(scene: &Scene, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Demo(args) => demo::run(scene, args).await,
        Command::Init(args) => init::run(scene, args),
        Command::Join(args) => join::run(scene, args).await,
        Command::Agent(args) => agent::run(scene, args).await,
        Command::Token(args) => token::run(scene, args).await,
        Command::Operator(args) => operator::run(scene, args).await,
        Command::Cluster(args) => cluster::run(scene, args).await,
        Command::Profile(args) => profile::run(scene, args),
        Command::Check(args) => check::run(scene, args).await,
        Command::Plan(args) => plan::run(scene, args).await,
        Command::Approve(args) => approve::run(scene, args).await,
        Command::Apply(args) => apply::run(scene, args).await,
        Command::Status(args) => status::run(scene, args).await,
        Command::History(args) => history::run(scene, args).await,
        Command::Explain(args) => explain::run(scene, args).await,
        Command::Pause(args) => control::pause(scene, args).await,
        Command::Resume(args) => control::resume(scene, args).await,
        Command::Abort(args) => control::abort(scene, args).await,
        Command::Retry(args) => control::retry(scene, args).await,
        Command::Restore(args) => restore::run(scene, args).await,
        Command::Owed(args) => owed::run(scene, args).await,
        Command::Locks(args) => locks::run(scene, args).await,
        Command::Doctor(args) => doctor::run(scene, args).await,
        Command::Backup(args) => backup::run(scene, args).await,
        Command::Members(args) => members::run(scene, args).await,
        Command::Isolate(args) => isolation::isolate(scene, args).await,
        Command::Isolation(args) => isolation::run(scene, args).await,
        Command::Member(args) => member::run(scene, args).await,
        Command::Ca(args) => ca::run(scene, args).await,
        Command::Breakglass(args) => breakglass::run(scene, args),
        Command::Recover(args) => recover::run(scene, args),
        Command::Audit(args) => audit::run(scene, args).await,
        Command::Record(args) => record::run(scene, args).await,
        Command::Replay(args) => replay::run(&args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
        Command::Takeover(args) => takeover::run(scene, args).await,
        // Handled before a runtime is made.
        Command::DemoPart { .. } | Command::StepRunner { .. } => Ok(Exit::Usage),
    }
}

/// Understands an agent's JSON.
pub fn parse<T: DeserializeOwned>(what: &'static str, json: &str) -> Result<T, CliError> {
    serde_json::from_str(json).map_err(|error| CliError::BadAnswer { what, reason: error.to_string() })
}

/// Shows a view: as JSON as it came, or as text.
pub fn show<T: DeserializeOwned>(
    what: &'static str,
    json: &str,
    as_json: bool,
    text: impl FnOnce(&T, &Moment) -> String,
) -> Result<Exit, CliError> {
    if as_json {
        out::data(&crate::render::json::pretty(json))?;
    } else {
        out::data(&text(&parse(what, json)?, &Moment::system()))?;
    }
    Ok(Exit::Done)
}
