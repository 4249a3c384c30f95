//! Shows a rollout before the user's eyes until it ends: live lines on a terminal, a line a change elsewhere.

use super::say::Say;
use crate::render::{changes, moment::Moment, paint::Paint, status};
use anyhow::{Context as _, bail};
use lockkeeper_core::{ids::RolloutId, view::StatusView};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};

/// For the whole rollout, also one with a fault in it; it takes some 6 s on two idle cores.
const PATIENCE: Duration = Duration::from_secs(90);

/// Without any news for this long nobody is left to give some.
const SILENCE: Duration = Duration::from_secs(30);

/// Follows `rollout` and answers the view in which it is over, or halted when nothing more is done about that. Past the
/// patience the last one is answered.
pub async fn until_end(
    mut views: watch::Receiver<Option<Arc<StatusView>>>,
    struck: watch::Receiver<bool>,
    rollout: RolloutId,
    say: &Say,
) -> anyhow::Result<Arc<StatusView>> {
    let deadline = Instant::now() + PATIENCE;
    let mut last: Option<Arc<StatusView>> = None;
    loop {
        let until = deadline.min(Instant::now() + SILENCE);
        let view = match tokio::time::timeout_at(until, views.changed()).await {
            Ok(Ok(())) => views.borrow_and_update().clone(),
            Ok(Err(_)) => bail!("nobody watches any more"),
            Err(_) => return last.context("no agent said anything about the rollout"),
        };
        let Some(view) = view.filter(|v| v.rollout.as_ref().is_some_and(|r| r.id == rollout.0)) else {
            continue;
        };
        tell(last.as_deref(), &view, say);
        let state = view.rollout.as_ref().map(|r| r.state.as_str());
        if matches!(state, Some("completed" | "aborted" | "restored")) || state == Some("halted") && *struck.borrow() {
            return Ok(view);
        }
        last = Some(view);
    }
}

fn tell(before: Option<&StatusView>, view: &StatusView, say: &Say) {
    if say.wants_lines() {
        for line in changes::lines(before, view).iter().filter(|line| !line.contains(" given to ")) {
            // Evidence may have several lines; the first says what was done.
            say.line(&format!("  {}", line.lines().next().unwrap_or_default()));
        }
    } else {
        let moment = Moment::system();
        say.live(&status::screen(view, &moment.at(view.stamp.as_of), Paint(false)));
    }
}
