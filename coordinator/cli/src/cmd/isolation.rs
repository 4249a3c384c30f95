//! `lockkeeper isolate` and `lockkeeper isolation`: on the machine itself, with or without an agent, with or without a
//! group. Whoever can change a firewall is root here; the agent is not asked.

use super::{Scene, home};
use crate::{error::CliError, exit::Exit, node::isolated::guarded, out, render::moment::Moment};
use clap::Subcommand;
use lockkeeper_adapters::isolation::{Standing, lower, prove, standing};
use lockkeeper_agent::{data::ISOLATION, isolation::Note, settings::Settings};
use lockkeeper_core::ids::MemberName;
use std::path::PathBuf;

/// Cut this machine off from everything but its allow list.
///
/// Default-deny in both directions by nftables, in one transaction, with the exceptions of `[isolation]` in agent.toml;
/// established connections are cut, the rules are read back. It holds until `isolation lift`; a booted agent puts it in
/// force again before anything else.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct IsolateArgs {
    /// This machine's name in the cluster file, so that nobody cuts off the wrong one.
    #[arg(value_name = "MEMBER")]
    member: MemberName,
    /// Why; kept with the isolation.
    #[arg(long, default_value = "")]
    reason: String,
    /// Also when nobody is on the allow list, not even whoever types this from elsewhere.
    #[arg(long)]
    yes: bool,
    /// This node's settings.
    #[arg(long, value_name = "FILE", default_value = "/etc/lockkeeper/agent.toml")]
    config: PathBuf,
}

/// Prove or lift the isolation of this machine.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try everything forbidden and everything allowed.
    ///
    /// Forbidden are the addresses of `forbidden` in `[isolation]` and those of the other nodes; each must give no answer,
    /// and the rules must have counted the refused packets. Allowed addresses with a port must answer.
    #[command(after_long_help = PROVE_HELP)]
    Prove(ProveArgs),
    /// Let this machine onto the network again; needs an approver's certificate.
    #[command(after_long_help = LIFT_HELP)]
    Lift(LiftArgs),
}

#[derive(Debug, clap::Args)]
struct ProveArgs {
    /// This machine's name in the cluster file.
    #[arg(value_name = "MEMBER")]
    member: MemberName,
    /// Print the proof as JSON.
    #[arg(long)]
    json: bool,
    /// This node's settings.
    #[arg(long, value_name = "FILE", default_value = "/etc/lockkeeper/agent.toml")]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct LiftArgs {
    /// This machine's name in the cluster file.
    #[arg(value_name = "MEMBER")]
    member: MemberName,
    /// Under which reference it was approved.
    #[arg(long)]
    reference: String,
    /// This node's settings.
    #[arg(long, value_name = "FILE", default_value = "/etc/lockkeeper/agent.toml")]
    config: PathBuf,
}

const HELP: &str = "\
Changes: the nftables table lockkeeper_isolation on this machine, and a note in the data directory. Needs root.
Ctrl-C: the transaction is whole or not there; run it again.
Exit codes: 0 isolated, also if it was before; 1 error (LK7021: another machine's name; LK56xx); 64 nobody is allowed and
  --yes is missing.
Example:
  lockkeeper isolate n2 --reason 'drill' && lockkeeper isolation prove n2";

const PROVE_HELP: &str = "\
Changes: nothing but the time of the proof in the note.
Ctrl-C: nothing was proven.
Exit codes: 0 proven; 1 not (LK5602 rules differ, LK5603 something forbidden answers, LK5604 it cannot be seen).
Example:
  lockkeeper isolation prove n2";

const LIFT_HELP: &str = "\
Changes: takes the table away and removes the note. Refused while this node stands in quarantine as a copy (LK6215).
Ctrl-C: lifted or not; look with `nft list tables`.
Exit codes: 0 lifted, or nothing to lift; 1 error; 3 no approver's context (LK7022) or a copy (LK6215).
Example:
  lockkeeper --context bea/library.toml isolation lift n2 --reference CHG-7";

pub async fn isolate(scene: &Scene, args: IsolateArgs) -> Result<Exit, CliError> {
    let settings = match settings(scene, &args.config, &args.member)? {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    let guarded = guarded(&settings);
    let isolation = &guarded.isolation;
    if isolation.allow.is_empty() && !args.yes {
        out::say(
            "nobody is on the allow list of [isolation] in agent.toml: a session from elsewhere would end now",
        );
        return Err(CliError::NeedsYes);
    }
    let path = settings.data.join(ISOLATION);
    let note = match Note::load(&path).map_err(|e| written(&path, e))? {
        Some(note) => note,
        None => Note::new(args.reason, Moment::system().now),
    };
    // The note first: a machine that dies now is isolated when it is back.
    note.save(&path).map_err(|e| written(&path, e))?;
    guarded.raise().await.map_err(CliError::Host)?;
    out::data(&format!("{} is isolated; {} exceptions", args.member, isolation.allow.len()))?;
    out::say(&format!("next: lockkeeper isolation prove {}", args.member));
    Ok(Exit::Done)
}

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    match args.command {
        Command::Prove(args) => proven(scene, args).await,
        Command::Lift(args) => lift(scene, args).await,
    }
}

async fn proven(scene: &Scene, args: ProveArgs) -> Result<Exit, CliError> {
    let settings = match settings(scene, &args.config, &args.member)? {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    let guarded = guarded(&settings);
    let path = settings.data.join(ISOLATION);
    let mut note = Note::load(&path).map_err(|e| written(&path, e))?;
    let proof = prove(&guarded.isolation, &guarded.forbidden, &guarded.allowed).await;
    if let Some(note) = &mut note {
        note.proven_ms = proof.is_ok().then(|| Moment::system().now);
        note.save(&path).map_err(|e| written(&path, e))?;
    }
    let proof = proof.map_err(CliError::Host)?;
    if args.json {
        let json = serde_json::to_string(&proof);
        out::data(
            &json.map_err(|e| CliError::BadAnswer { what: "isolation prove", reason: e.to_string() })?,
        )?;
        return Ok(Exit::Done);
    }
    let lines =
        proof.refused.iter().map(|a| ("refused", a)).chain(proof.reached.iter().map(|a| ("reached", a)));
    for (word, attempt) in lines {
        out::data(&format!("{word}  {}  {}", attempt.target, attempt.saw))?;
    }
    out::data(&format!("proven: {} packets were refused by the rules", proof.packets_refused))?;
    if proof.reached.is_empty() {
        out::say(
            "warning: no allowed address with a port was tried, so this machine may merely have no network",
        );
    }
    Ok(Exit::Done)
}

async fn lift(scene: &Scene, args: LiftArgs) -> Result<Exit, CliError> {
    let settings = match settings(scene, &args.config, &args.member)? {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    let by = home::approver(scene, &settings)?;
    let path = settings.data.join(ISOLATION);
    if let Some(reason) = home::quarantined(&settings)? {
        return Err(CliError::Quarantined { code: reason.code(), text: reason.text() });
    }
    if Note::load(&path).map_err(|e| written(&path, e))?.is_none()
        && standing(&guarded(&settings).isolation).await.map_err(CliError::Host)? == Standing::Absent
    {
        out::data(&format!("{} is not isolated", args.member))?;
        return Ok(Exit::Done);
    }
    // The note first: a running agent puts back rules that are missing while it is there.
    Note::remove(&path).map_err(|e| written(&path, e))?;
    lower().await.map_err(CliError::Host)?;
    out::data(&format!("{} is on the network again, approved by {by} ({})", args.member, args.reference))?;
    Ok(Exit::Done)
}

fn settings(
    scene: &Scene,
    config: &std::path::Path,
    member: &MemberName,
) -> Result<Result<Settings, Exit>, CliError> {
    let settings = home::settings(scene, config)?;
    if let Ok(settings) = &settings {
        home::same_name(config, settings, member)?;
    }
    Ok(settings)
}

fn written(path: &std::path::Path, source: std::io::Error) -> CliError {
    CliError::Write { path: path.to_owned(), source }
}
