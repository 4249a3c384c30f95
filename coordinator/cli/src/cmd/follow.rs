//! Follows a rollout to its end, for `apply --follow` and `status --watch`. It only looks: ending it changes nothing.

use super::{
    Scene,
    status::{floor, freshest},
};
use crate::{
    connect::Session,
    error::CliError,
    exit::Exit,
    out,
    render::{changes, live::Live, moment::Moment, picture, status},
    watch::{Update, Watch},
};
use lockkeeper_core::{
    ids::{LogIndex, RolloutId},
    view::{RolloutView, StatusView},
};
use std::time::Duration;
use tokio::time::Instant;

/// How often the clocks on a live screen move.
const TICK: Duration = Duration::from_millis(250);

/// The form of what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines that are redrawn.
    Live,
    /// One line a change.
    Lines,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// Redrawn on a terminal, lines elsewhere.
    pub fn for_reader(scene: &Scene) -> Self {
        if scene.style.terminal { Format::Live } else { Format::Lines }
    }
}

/// Follows the active rollout; none is no error.
pub async fn active(scene: &Scene, session: &Session, format: Format) -> Result<Exit, CliError> {
    let first = freshest(session).await?;
    match first.rollout.as_ref().filter(|r| !picture::is_over(r)) {
        Some(rollout) => follow(scene, session, RolloutId(rollout.id), floor(&first), format).await,
        None => {
            out::say("no rollout is active");
            if format == Format::Json {
                let json = serde_json::to_string(&first).unwrap_or_default();
                out::data(&json)?;
            } else {
                out::data(&status::text(&first, &Moment::system(), scene.paint()))?;
            }
            Ok(Exit::Done)
        }
    }
}

/// Follows one rollout until it completes, aborts or halts. Views before log index `from` are not believed.
pub async fn follow(
    scene: &Scene,
    session: &Session,
    rollout: RolloutId,
    from: LogIndex,
    format: Format,
) -> Result<Exit, CliError> {
    let mut watch = Watch::start(session, from);
    let mut shown = Shown { format, live: (format == Format::Live).then(Live::start), last: None };
    let mut tick = tokio::time::interval(TICK);
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    loop {
        tokio::select! {
            update = watch.next() => match update {
                Update::Note(text) => shown.note(&text),
                Update::End(error) => {
                    shown.clear();
                    return Err(error);
                }
                Update::View(view, json) => {
                    if let Some(exit) = shown.view(scene, rollout, *view, &json)? {
                        return Ok(exit);
                    }
                }
            },
            _ = tick.tick() => shown.tick(scene),
            _ = &mut interrupt => {
                shown.clear();
                out::say(&format!("rollout {rollout} goes on; attach again with: lockkeeper status --watch"));
                return Ok(Exit::Interrupted);
            }
        }
    }
}

/// What stands on the screen.
struct Shown {
    format: Format,
    live: Option<Live>,
    /// The last view of the rollout, and when it came.
    last: Option<(StatusView, Instant)>,
}

impl Shown {
    fn view(
        &mut self,
        scene: &Scene,
        wanted: RolloutId,
        view: StatusView,
        json: &str,
    ) -> Result<Option<Exit>, CliError> {
        // The agent may not know of the rollout yet, or know a later one already: then ours is over.
        let end = match &view.rollout {
            Some(rollout) if rollout.id == wanted.0 => ended(rollout),
            Some(rollout) if rollout.id > wanted.0 => Some(Exit::Done),
            Some(_) | None => return Ok(None),
        };
        let moment = Moment::system();
        match self.format {
            Format::Json => out::data(json)?,
            Format::Lines => {
                let stamp = moment.stamp(view.stamp.as_of);
                for line in changes::lines(self.last.as_ref().map(|(view, _)| view), &view) {
                    out::data(&format!("{stamp}  {line}"))?;
                }
            }
            Format::Live => {}
        }
        self.last = Some((view, Instant::now()));
        self.tick(scene);
        if end.is_some() {
            self.finish(scene)?;
        }
        Ok(end)
    }

    /// Redraws with the clocks moved on.
    fn tick(&self, scene: &Scene) {
        if let (Some(live), Some((view, came))) = (&self.live, &self.last) {
            // Ages count by the clock of the agent that answered, so that a wrong clock here shows none wrong.
            let on = u64::try_from(came.elapsed().as_millis()).unwrap_or(u64::MAX);
            let moment = Moment::system().at(view.stamp.as_of.saturating_add(on));
            live.show(&status::screen(view, &moment, scene.paint()));
        }
    }

    fn note(&mut self, text: &str) {
        match &self.live {
            Some(live) => live.note(&format!("note: {text}")),
            None => out::say(&format!("note: {text}")),
        }
    }

    fn clear(&mut self) {
        if let Some(live) = self.live.take() {
            live.clear();
        }
    }

    fn finish(&mut self, scene: &Scene) -> Result<(), CliError> {
        self.clear();
        match (&self.last, self.format) {
            (Some((view, _)), Format::Live | Format::Lines) => {
                out::data(&status::ending(view, &Moment::system().at(view.stamp.as_of), scene.paint()))
            }
            (Some(_), Format::Json) | (None, _) => Ok(()),
        }
    }
}

/// How following ends with this state, if it ends.
fn ended(rollout: &RolloutView) -> Option<Exit> {
    match rollout.state.as_str() {
        "completed" | "aborted" | "restored" => Some(Exit::Done),
        "halted" => Some(Exit::Halted),
        _ => None,
    }
}
