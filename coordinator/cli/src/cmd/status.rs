//! `lockkeeper status`.

use super::{Scene, follow, show};
use crate::{args::Reading, error::CliError, exit::Exit, render};
use lockkeeper_core::{ids::LogIndex, view::StatusView};
use lockkeeper_proto::client::operator::ViewKind;
use std::time::Duration;

/// Show the cluster, its members and the rollout.
///
/// The active rollout, else the last one: what each member does or waits for, progress, how long users have been
/// without service, the point of no return, who holds which grant, and what is owed. Any agent answers, also without
/// a quorum; then the view is marked STALE.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    reading: Reading,
    /// Show what waits instead: which step, since when, who can end the wait, and how.
    #[arg(long, conflicts_with = "watch")]
    why: bool,
    /// Follow the active rollout to its end: a live screen on a terminal, a line per change elsewhere, a JSON object
    /// per line with --json. Goes on with another agent when the one it asks dies.
    #[arg(long)]
    watch: bool,
}

const HELP: &str = "\
Changes: nothing.
Ctrl-C: ends the watching only (exit 130); the rollout goes on. The same command attaches again.
Exit codes: 0 answered (with --watch: completed, aborted, or no rollout is active); 1 nobody answered;
  5 (with --watch only) the rollout halted and needs a person.
Example:
  lockkeeper status --why
  lockkeeper status --json | jq -r .rollout.state";

/// How long the leader's word is waited for: an election and a forward. Without a quorum any agent's word must do.
const FRESH_WITHIN: Duration = Duration::from_secs(3);

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let session = scene.session()?;
    if args.watch {
        let format = if args.reading.json { follow::Format::Json } else { follow::Format::for_reader(scene) };
        return follow::active(scene, &session, format).await;
    }
    let json = session.view(ViewKind::Status, args.reading.linearizable).await?;
    let paint = scene.paint();
    show("status", &json, args.reading.json, |view: &StatusView, moment| {
        if args.why {
            render::why::text(view, moment, paint)
        } else {
            render::status::text(view, moment, paint)
        }
    })
}

/// The present status by the leader's word if it can be had, else by anybody's.
pub async fn freshest(session: &crate::connect::Session) -> Result<StatusView, CliError> {
    let fresh = tokio::time::timeout(FRESH_WITHIN, session.view(ViewKind::Status, true)).await;
    let json = match fresh {
        Ok(Ok(json)) => json,
        // What went wrong with the leader's word is no reason not to look; the view says how stale it is.
        Ok(Err(_)) | Err(_) => session.view(ViewKind::Status, false).await?,
    };
    super::parse("status", &json)
}

/// The log index from which on a view is new.
pub fn floor(view: &StatusView) -> LogIndex {
    view.stamp.applied
}
