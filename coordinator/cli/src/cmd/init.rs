//! `lockkeeper init`.

use super::{Scene, home};
use crate::{
    error::CliError,
    exit::Exit,
    files::{Existing, write_text},
    node::{Founding, enrolled, fingerprint},
    out,
    render::moment::Moment,
};
use lockkeeper_coordinator::pki::{OperatorContext, PkiStore, PrivateKey, RootCa, Validity};
use lockkeeper_core::{
    identity::Role,
    ids::{ActorName, ClusterId, ClusterName, Generation, Incarnation, MemberName, NodeId},
    time::LogTime,
};
use lockkeeper_proto::transport::Credentials;
use std::path::PathBuf;

/// Make a new cluster of this one node.
///
/// Makes the cluster's id, its root certificate authority (whose key is handed to you and not kept by any agent), this
/// node's identity and certificate, the first admin's certificate and a context for it. Start the agent afterwards;
/// further nodes join with a token.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The cluster's name, for people and files.
    #[arg(long, value_name = "NAME")]
    cluster: ClusterName,
    /// This node's name in the cluster file; must be the one in agent.toml.
    #[arg(long, value_name = "MEMBER")]
    name: MemberName,
    /// This node's settings.
    #[arg(long, value_name = "FILE", default_value = "/etc/lockkeeper/agent.toml")]
    config: PathBuf,
    /// Where to put the root certificate with its key (default: CLUSTER-root.pem, here). Take it off this machine.
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// The first admin's name; it stands in the audit.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    admin: ActorName,
}

const HELP: &str = "\
Changes: files in this node's data directory, one file at --ca-out, three files in the directory of contexts
  (~/.config/lockkeeper). Nothing is replaced: a node that has an identity, or a file that is there already, is
  refused before anything is made.
Ctrl-C: files may have been made, but without an identity they are nobody's. Move the file at --ca-out and the context
  away, then run it again.
Exit codes: 0 made; 1 error (LK6205: this node has an identity; LK7009: a file is there already); 64 wrong usage.
Example:
  lockkeeper init --cluster library --name n1 --ca-out /media/safe/library-root.pem
  systemctl enable --now lockkeeper
  lockkeeper token create n2";

pub fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let settings = match home::settings(scene, &args.config)? {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    home::same_name(&args.config, &settings, &args.name)?;
    let contexts = scene.place.directory()?;
    let root_path = args.ca_out.unwrap_or_else(|| PathBuf::from(format!("{}-root.pem", args.cluster)));
    let context_path = OperatorContext::path(&contexts, &args.cluster);
    for path in [&root_path, &context_path] {
        if path.exists() {
            return Err(CliError::Exists { path: path.clone() });
        }
    }
    let data = home::fresh(&settings)?;
    let now = LogTime(Moment::system().now);
    let cluster = ClusterId(uuid::Uuid::now_v7().to_string());
    let incarnation = Incarnation(1);
    let fingerprint = fingerprint(&cluster, &settings.machine)?;

    let root = RootCa::create(&cluster, now)?;
    let issuing = root.issuing(now)?;
    let roots = vec![root.certificate().to_vec()];
    let node_key = PrivateKey::generate()?;
    let node = issuing.issue_node(&node_key.request()?, &args.name, incarnation, Validity::leaf(now))?;
    let admin_key = PrivateKey::generate()?;
    let admin =
        issuing.issue_operator(&admin_key.request()?, &args.admin, Role::Admin, Validity::leaf(now))?;

    // The root first: without it nothing else is of use. The identity last: with it the node exists.
    PkiStore::write_root(&root_path, &root)?;
    let pki = PkiStore::open(data.pki())?;
    pki.save_issuing(&issuing)?;
    pki.save_node(&Credentials {
        cluster: cluster.clone(),
        chain: node.chain,
        key: node_key.to_der(),
        roots: roots.clone(),
    })?;
    let founding_path = data.path().join("founding.json");
    let founding = serde_json::to_string(&Founding { cluster: args.cluster.clone() })
        .map_err(|error| CliError::Write { path: founding_path.clone(), source: error.into() })?;
    write_text(&founding_path, &founding, 0o600, Existing::Replace)?;
    let context = OperatorContext {
        name: args.cluster.clone(),
        addresses: vec![settings.advertise.clone()],
        credentials: Credentials {
            cluster: cluster.clone(),
            chain: admin.chain,
            key: admin_key.to_der(),
            roots,
        },
    };
    let context_path = context.write(&contexts)?;
    enrolled(&data, &cluster, &args.name, NodeId(1), incarnation, Generation(1), fingerprint)?;

    out::data(&format!("cluster {} ({cluster}) with the node {}", args.cluster, args.name))?;
    out::say(&format!("root key    {}: keep it away from this machine", root_path.display()));
    out::say(&format!("context     {}: {} is admin, for 30 days", context_path.display(), args.admin));
    out::say(&format!("next        lockkeeper agent run --config {}", args.config.display()));
    Ok(Exit::Done)
}
