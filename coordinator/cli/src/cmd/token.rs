//! `lockkeeper token create`.

use super::{Scene, reply};
use crate::{
    error::CliError,
    exit::Exit,
    files::{Existing, write_text},
    out,
    render::moment::{Moment, span},
};
use clap::Subcommand;
use lockkeeper_core::{ids::MemberName, time::Millis};
use lockkeeper_proto::client::operator::OperatorClient;
use std::path::PathBuf;

/// Make join tokens: what a new machine needs to become a member.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token that lets one machine join once, under this name.
    ///
    /// The token is a secret and is shown once; the group keeps only its hash.
    #[command(after_long_help = HELP)]
    Create {
        /// The member's or witness's name, as in the cluster file.
        name: MemberName,
        /// How long it may be used, such as 30min or 2h; at most 24h.
        #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = Millis::parse)]
        valid: Millis,
        /// Write it into this file (mode 0600) instead of to stdout.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

const HELP: &str = "\
Changes: the group remembers the token's hash until it expires. Needs the role admin.
Ctrl-C: a token may have been made; nobody knows it, and it expires by itself.
Exit codes: 0 made; 1 error; 4 rejected (not initialised, or your role may not).
Example:
  lockkeeper token create n2 -o n2.token
  scp n2.token n2: && ssh n2 lockkeeper join --token-file n2.token --config /etc/lockkeeper/agent.toml";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let Command::Create { name, valid, output } = args.command;
    let id = reply::request_id();
    let create =
        async |client: OperatorClient| client.token_create(id.clone(), name.to_string(), valid.into()).await;
    let (token, expires) = scene.session()?.change("make a join token", create).await?;
    match &output {
        Some(path) => write_text(path, &format!("{token}\n"), 0o600, Existing::Keep)?,
        None => out::data(&token)?,
    }
    let moment = Moment::system();
    let left = span(expires.saturating_sub(moment.now));
    out::say(&format!("for {name}, once, until {} ({left})", moment.clock(expires)));
    out::say(&format!("on {name}: lockkeeper join --token-file FILE --config /etc/lockkeeper/agent.toml"));
    Ok(Exit::Done)
}
