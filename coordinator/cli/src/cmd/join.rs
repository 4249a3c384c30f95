//! `lockkeeper join`.

use super::{Scene, home};
use crate::{error::CliError, exit::Exit, files::read_text, node::{enrolled, fingerprint}, out, render::moment::Moment};
use lockkeeper_coordinator::pki::{
    JoinToken, PkiStore, PrivateKey,
    enrol::{Joiner, join},
};
use lockkeeper_core::time::LogTime;
use lockkeeper_proto::transport::install_crypto;
use std::path::PathBuf;

/// Make this machine a node of a cluster, with a token.
///
/// The secret of the token is sent only to a server that proves itself by the authority the token names. The key of
/// this node is made here and never leaves it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
#[command(group = clap::ArgGroup::new("secret").required(true).args(["token", "token_file"]))]
pub struct Args {
    /// The token. Other users of this machine can see arguments; prefer --token-file.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// A file with the token; - for stdin.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// This node's settings; the name in it must be the one the token was made for.
    #[arg(long, value_name = "FILE", default_value = "/etc/lockkeeper/agent.toml")]
    config: PathBuf,
}

const HELP: &str = "\
Changes: files in this node's data directory; one member in the replicated log. A node that has an identity is refused
  before the token is used.
Ctrl-C: the token may be used up. Within a minute the same command, with the same token, still succeeds.
Exit codes: 0 joined; 1 error (LK6205: this node has an identity; LK4309: no address answered);
  4 the group refused the token (LK4301 to LK4305); 64 wrong usage.
Example:
  lockkeeper join --token-file n2.token
  systemctl enable --now lockkeeper";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let text = match (&args.token, &args.token_file) {
        (Some(token), _) => token.clone(),
        (None, Some(path)) => read_text(path)?,
        (None, None) => String::new(),
    };
    let token = JoinToken::parse(&text)?;
    let settings = match home::settings(scene, &args.config)? {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    home::same_name(&args.config, &settings, &token.member)?;
    let data = home::fresh(&settings)?;
    if let Err(hint) = token.hint_expired(LogTime(Moment::system().now)) {
        // Only the group's clock decides.
        out::say(&format!("warning: {hint}"));
    }
    install_crypto();
    let fingerprint = fingerprint(&token.cluster, &settings.machine)?;
    let joiner = Joiner {
        address: settings.advertise.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        fingerprint: fingerprint.digest(),
    };
    let joined = join(&token, &joiner, &PrivateKey::generate()?).await?;
    // The identity last: with it the node exists.
    joined.save(&PkiStore::open(data.pki())?)?;
    let (id, incarnation) = (joined.node_id, joined.incarnation);
    enrolled(&data, &token.cluster, &joined.member, id, incarnation, joined.generation, fingerprint)?;
    out::data(&format!("{} is node {} of cluster {}", joined.member, joined.node_id, token.cluster))?;
    out::say(&format!("next: lockkeeper agent run --config {}", args.config.display()));
    Ok(Exit::Done)
}
