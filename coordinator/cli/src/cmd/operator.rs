//! `lockkeeper operator create`.

use super::{Scene, parse, reply};
use crate::{error::CliError, exit::Exit, out};
use clap::Subcommand;
use lockkeeper_coordinator::pki::{OperatorContext, PrivateKey};
use lockkeeper_core::{
    identity::Role,
    ids::{ActorName, ClusterName},
    view::StatusView,
};
use lockkeeper_proto::{
    client::operator::{OperatorClient, ViewKind},
    transport::{Credentials, PeerIdentity, Subject},
};
use std::path::PathBuf;

/// Make certificates for people and scripts.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an operator's certificate and context.
    ///
    /// The key is made here and never leaves this machine; the group signs it. Three files are written: the context
    /// CLUSTER.toml, the roots CLUSTER.ca.pem, and certificate with key CLUSTER.pem (mode 0600). Give them to the
    /// person, who puts them into ~/.config/lockkeeper. The certificate is valid for 30 days.
    #[command(after_long_help = HELP)]
    Create {
        /// The person's or script's name; it stands in the audit.
        name: ActorName,
        /// What the certificate allows: viewer reads; operator applies, pauses, resumes, aborts, retries; approver
        /// approves; admin does everything, also cluster file, tokens and certificates.
        #[arg(long, value_name = "ROLE")]
        role: Role,
        /// Where to put the files (default: a directory of the operator's name, here).
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
}

const HELP: &str = "\
Changes: writes three files here. The group signs a certificate; nothing else changes. Needs the role admin.
Ctrl-C: a certificate may have been signed; without its key, which stays here, it is of no use to anybody.
Exit codes: 0 made; 1 error (LK7009: the directory holds a context already); 4 your role may not.
Example:
  lockkeeper operator create alice --role approver
  lockkeeper --context alice/library.toml approve night.plan --as approver";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let Command::Create { name, role, output } = args.command;
    let session = scene.session()?;
    let status: StatusView = parse("status", &session.view(ViewKind::Status, false).await?)?;
    let what = "sign an operator's certificate";
    let bad = |reason: String| CliError::BadAnswer { what, reason };
    let cluster = ClusterName::new(status.cluster).map_err(|e| bad(e.to_string()))?;
    let directory = output.unwrap_or_else(|| PathBuf::from(name.as_str()));
    let path = OperatorContext::path(&directory, &cluster);
    // Somebody's certificate may be in it; nothing is asked of the group before this is clear.
    if path.exists() {
        return Err(CliError::Exists { path });
    }
    let key = PrivateKey::generate()?;
    let request = key.request()?;
    let id = reply::request_id();
    let issue = async |client: OperatorClient| {
        client.issue(id.clone(), name.to_string(), role.to_string(), request.der().to_vec()).await
    };
    let issued = session.change(what, issue).await?;
    let leaf = issued.chain.first().ok_or_else(|| bad("it holds no certificate".to_owned()))?;
    let subject = Subject::of(leaf).map_err(|fault| bad(fault.to_string()))?;
    let id = match subject.identity {
        PeerIdentity::Operator { cluster, name: found, role: held } if found == name && held == role => {
            cluster
        }
        PeerIdentity::Operator { .. }
        | PeerIdentity::Node { .. }
        | PeerIdentity::Unix { .. }
        | PeerIdentity::Joining => return Err(bad("the certificate is for somebody else".to_owned())),
    };
    let credentials =
        Credentials { cluster: id, chain: issued.chain, key: key.to_der(), roots: issued.roots };
    let context = OperatorContext { name: cluster, addresses: issued.addresses, credentials };
    let written = context.write(&directory)?;
    out::data(&written.display().to_string())?;
    out::say(&format!(
        "{name} is {role}; give the files in {} to {name}, for ~/.config/lockkeeper",
        directory.display()
    ));
    Ok(Exit::Done)
}
