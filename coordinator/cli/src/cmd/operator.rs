//! `lockkeeper operator create`, `operator list` and `operator revoke`.

use super::{Scene, member, parse, reply, show};
use crate::{args::Reading, error::CliError, exit::Exit, out, render::trust};
use clap::Subcommand;
use lockkeeper_coordinator::pki::{OperatorContext, PrivateKey};
use lockkeeper_core::{
    identity::Role,
    ids::{ActorName, ClusterName},
    view::StatusView,
};
use lockkeeper_proto::{
    client::operator::{OperatorClient, TrustChange, ViewKind},
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
    /// List operators, their roles, and when their certificates end.
    #[command(after_long_help = LIST_HELP)]
    List {
        #[command(flatten)]
        reading: Reading,
    },
    /// Void every certificate of an operator, now and for ever.
    ///
    /// All agents refuse them at once, also on open connections. The name is not given out again: a name in the audit
    /// is one person.
    #[command(after_long_help = REVOKE_HELP)]
    Revoke {
        /// The operator's name.
        name: ActorName,
        /// Why; it stands in the audit.
        #[arg(long)]
        reason: String,
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
    let (name, role, output) = match args.command {
        Command::Create { name, role, output } => (name, role, output),
        Command::List { reading } => {
            let json = scene.session()?.view(ViewKind::Trust, reading.linearizable).await?;
            return show("operators", &json, reading.json, trust::operators);
        }
        Command::Revoke { name, reason } => return revoke(scene, &name, &reason).await,
    };
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

const LIST_HELP: &str = "\
Changes: nothing. The first admin's certificate was made by init, before there was a group, and is not listed.
Ctrl-C: ends this command only.
Exit codes: 0 answered; 1 nobody answered.
Example:
  lockkeeper operator list --json | jq -r '.operators[] | select(.revoked) | .name'";

const REVOKE_HELP: &str = "\
Changes: the revocation list in the replicated log. Needs the role admin; revoking twice is the same as once.
Ctrl-C: it may or may not have been committed; look with `lockkeeper operator list`.
Exit codes: 0 revoked; 1 error; 4 rejected.
Example:
  lockkeeper operator revoke eve --reason 'left the company'";

async fn revoke(scene: &Scene, name: &ActorName, reason: &str) -> Result<Exit, CliError> {
    let done =
        member::change(scene, "revoke the operator", TrustChange::Revoke, name.as_str(), reason).await?;
    if done == Exit::Done {
        out::say(&format!(
            "{name} is revoked: every agent refuses its certificates, also on open connections"
        ));
    }
    Ok(done)
}
