//! `lockkeeper ca rotate`, `ca show` and `ca finish`: the roll-over of the group's authority.

use super::{Scene, member, parse, reply, show};
use crate::{
    args::Reading,
    error::CliError,
    exit::Exit,
    out,
    render::{moment::Moment, trust},
};
use clap::Subcommand;
use lockkeeper_coordinator::pki::{PkiStore, RootCa};
use lockkeeper_core::{ids::ClusterId, time::LogTime};
use lockkeeper_proto::client::operator::{OperatorClient, TrustChange, ViewKind};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Replace the authority that signs the group's certificates.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Introduce a new authority and let every agent move to it, without restart and without a gap.
    ///
    /// The new root is made here; its key never leaves this machine, and no agent keeps it. Stages, each when every
    /// agent is through the one before: trust (all trust both roots), reissue (all renew under the new one), overlap
    /// (the old root is trusted for operators' sake, for 31 days or until lockkeeper ca finish).
    #[command(after_long_help = ROTATE_HELP)]
    Rotate {
        /// Where to put the new root certificate with its key. Take it off this machine.
        #[arg(long, value_name = "FILE")]
        ca_out: PathBuf,
        /// The old root with its key, as init or the last rotate wrote it. With it, contexts that know the old root
        /// only go on to work until the roll-over is finished.
        #[arg(long, value_name = "FILE")]
        old_root: Option<PathBuf>,
    },
    /// Show authorities, and how far a roll-over has come.
    #[command(after_long_help = SHOW_HELP)]
    Show {
        #[command(flatten)]
        reading: Reading,
    },
    /// End the overlap now: the old root is dropped, and operators' certificates under it no longer count.
    #[command(after_long_help = FINISH_HELP)]
    Finish,
}

const ROTATE_HELP: &str = "\
Changes: one file at --ca-out (not replaced if it is there); the roots in this context; then, agent by agent, roots,
  issuing key and certificate. Needs the role admin, and every agent on a build that knows it (LK3062).
Ctrl-C: it may or may not have been committed; look with `lockkeeper ca show`. Once it is, it goes on without this command.
Exit codes: 0 introduced; 1 error; 4 rejected (LK3063: a roll-over is under way).
Example:
  lockkeeper ca rotate --ca-out root-2.pem --old-root root.pem
  lockkeeper ca show";

const SHOW_HELP: &str = "\
Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 answered; 1 nobody answered.
Example:
  lockkeeper ca show --json | jq -r '.roll_over.waits_for[]'";

const FINISH_HELP: &str = "\
Changes: every agent drops the old root. Operators need a certificate of the new authority first (lockkeeper operator
  list shows who has one), also the one who runs this. Needs the role admin.
Ctrl-C: it may or may not have been committed; look with `lockkeeper ca show`.
Exit codes: 0 dropped; 1 error; 4 rejected (LK3063: an agent still shows a certificate of the old authority).
Example:
  lockkeeper operator create ada --role admin && lockkeeper ca finish";

/// The part of the view that a new root needs.
#[derive(Deserialize)]
struct Named {
    cluster_id: String,
}

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    match args.command {
        Command::Rotate { ca_out, old_root } => rotate(scene, &ca_out, old_root.as_deref()).await,
        Command::Show { reading } => {
            let json = scene.session()?.view(ViewKind::Trust, reading.linearizable).await?;
            show("the authority", &json, reading.json, trust::authority)
        }
        Command::Finish => {
            let done = member::change(scene, "end the roll-over", TrustChange::CaFinish, "", "").await?;
            if done == Exit::Done {
                out::say("the old root is dropped; certificates of the old authority no longer count");
            }
            Ok(done)
        }
    }
}

async fn rotate(scene: &Scene, ca_out: &Path, old_root: Option<&Path>) -> Result<Exit, CliError> {
    if ca_out.exists() {
        return Err(CliError::Exists { path: ca_out.to_owned() });
    }
    let session = scene.session()?;
    let named: Named = parse("the authority", &session.view(ViewKind::Trust, false).await?)?;
    let cluster = ClusterId(named.cluster_id);
    let now = LogTime(Moment::system().now);
    let root = RootCa::create(&cluster, now)?;
    let issuing = root.issuing(now)?;
    let cross = match old_root {
        Some(path) => PkiStore::read_root(path, &cluster)?.cross(&issuing, now)?,
        None => Vec::new(),
    };
    // First: a root whose key is nowhere would be of no use to anybody.
    PkiStore::write_root(ca_out, &root)?;
    let id = reply::request_id();
    let call = async |client: OperatorClient| {
        let (root, certificate) = (root.certificate().to_vec(), issuing.certificate().to_vec());
        client.ca_rotate(id.clone(), root, certificate, issuing.key_der(), cross.clone()).await
    };
    // The file stays on an error: it may have been committed all the same.
    let answer = session.change("introduce the new authority", call).await?;
    if let Err(exit) = reply::applied(scene, answer, Exit::Error) {
        // Of no use to anybody; whoever looks for the group's root must not find it.
        std::fs::remove_file(ca_out).map_err(|source| CliError::Write { path: ca_out.to_owned(), source })?;
        return Ok(exit);
    }
    scene.place.trust(root.certificate())?;
    out::data(&root.digest().to_string())?;
    out::say(&format!("new root key {}: keep it away from this machine", ca_out.display()));
    if old_root.is_none() {
        out::say(
            "without --old-root, contexts that know the old root only stop working once agents are reissued; make new ones \
             with: lockkeeper operator create",
        );
    }
    out::say("every agent moves by itself; follow with: lockkeeper ca show");
    Ok(Exit::Done)
}
