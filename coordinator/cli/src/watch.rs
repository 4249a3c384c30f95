//! Follows the status of a cluster over the death of any agent: one stream of views that never goes back in time.

use crate::{
    connect::{Session, Way, another_may_answer, reason},
    error::CliError,
    render::failure::without_code,
};
use futures::StreamExt as _;
use lockkeeper_core::{ids::LogIndex, view::StatusView};
use lockkeeper_proto::{
    client::operator::{OperatorClient, ViewKind},
    transport::code_of,
};
use std::{collections::BTreeSet, time::Duration};
use tokio::{sync::mpsc, task::AbortHandle, time::Instant};
use tonic::Status;

/// An agent must begin its answer within this time. Covers a linearizable read over an election.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Without a frame for this long the agent is asked, so that ages and silences stay true and a frozen agent shows.
const ASK_AFTER: Duration = Duration::from_millis(1_500);

/// An agent that hears no quorum, or knows less than was shown already, gets this long before another is asked.
const BEHIND_MAX: Duration = Duration::from_secs(3);

/// Pause when every way failed once. An agent restarts in about a second.
const ROUND_PAUSE: Duration = Duration::from_millis(500);

/// Following ends after this long without any answer: longer than a reboot of the whole cluster.
pub const SILENCE_MAX: Duration = Duration::from_secs(900);

/// Views under way to the screen; a slow terminal shows the newest later, it does not fill memory.
const QUEUE: usize = 16;

/// What following brings.
#[derive(Debug)]
pub enum Update {
    /// A view, not older than the one before, and its JSON as it came.
    View(Box<StatusView>, String),
    /// Something about the way the views come.
    Note(String),
    /// Following cannot go on.
    End(CliError),
}

/// A running watch; dropped, it ends.
pub struct Watch {
    updates: mpsc::Receiver<Update>,
    task: AbortHandle,
}

impl Watch {
    /// Starts following; nothing older than `floor` is shown.
    pub fn start(session: &Session, floor: LogIndex) -> Self {
        let (sender, updates) = mpsc::channel(QUEUE);
        let feed = Feed {
            session: session.clone(),
            ways: session.ways().to_vec(),
            floor,
            sender,
            heard: Instant::now(),
            told: BTreeSet::new(),
        };
        Self { updates, task: tokio::spawn(feed.run()).abort_handle() }
    }

    /// The next update. Safe to drop half-way.
    pub async fn next(&mut self) -> Update {
        self.updates
            .recv()
            .await
            .unwrap_or_else(|| Update::End(CliError::LostSight { silence: Duration::ZERO }))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Feed {
    session: Session,
    /// Those of the session, then those that views told of.
    ways: Vec<Way>,
    floor: LogIndex,
    sender: mpsc::Sender<Update>,
    heard: Instant,
    /// What was said since the last good view, to say it once.
    told: BTreeSet<String>,
}

/// Why one agent is not asked any longer.
enum Left {
    /// It or the way to it failed, or it knows too little, see [`BEHIND_MAX`].
    Failed(String),
    /// What was asked is refused everywhere.
    Refused(CliError),
    /// Nobody listens any more.
    Nobody,
}

impl Feed {
    async fn run(mut self) {
        let mut at = 0;
        loop {
            // Ways may be added meanwhile, never taken away.
            let Some(way) = self.ways.get(at).cloned() else { return };
            match self.follow(&way).await {
                Left::Nobody => return,
                Left::Refused(error) => return self.end(error).await,
                Left::Failed(why) => {
                    let next = if self.ways.len() > 1 { "asking another" } else { "trying again" };
                    if !self.note(format!("{}: {why}; {next}", way.name)).await {
                        return;
                    }
                }
            }
            at = (at + 1) % self.ways.len();
            if at == 0 {
                if self.heard.elapsed() > SILENCE_MAX {
                    let silence = self.heard.elapsed();
                    return self.end(CliError::LostSight { silence }).await;
                }
                tokio::time::sleep(ROUND_PAUSE).await;
            }
        }
    }

    async fn end(self, error: CliError) {
        // The receiver may be gone, which is an end as well.
        let _ = self.sender.send(Update::End(error)).await;
    }

    /// Remembers where the other agents are, for when this one dies.
    fn learn(&mut self, view: &StatusView) {
        for member in view.members.iter().filter(|m| m.enrolled) {
            if !self.ways.iter().any(|way| way.name == member.address) {
                self.ways.extend(self.session.way_to(&member.address));
            }
        }
    }

    /// Says something once, until a view has come again.
    async fn note(&mut self, text: String) -> bool {
        !self.told.insert(text.clone()) || self.sender.send(Update::Note(text)).await.is_ok()
    }

    async fn follow(&mut self, way: &Way) -> Left {
        let mut frames = match within(way.client.watch()).await {
            Ok(frames) => Box::pin(frames),
            Err(status) => return left(&status),
        };
        let mut good = Instant::now();
        loop {
            let json = match tokio::time::timeout(ASK_AFTER, frames.next()).await {
                Ok(Some(Ok(json))) => json,
                Ok(Some(Err(status))) => return left(&status),
                Ok(None) => return Left::Failed("the agent ended the stream".to_owned()),
                Err(_) => match within(look(&way.client)).await {
                    Ok(json) => json,
                    Err(status) => return left(&status),
                },
            };
            let view: StatusView = match serde_json::from_str(&json) {
                Ok(view) => view,
                Err(error) => {
                    let what = "follow the status";
                    return Left::Refused(CliError::BadAnswer { what, reason: error.to_string() });
                }
            };
            self.heard = Instant::now();
            self.learn(&view);
            let (stale, behind) = (view.stamp.stale, view.stamp.applied < self.floor);
            if !stale && !behind {
                good = Instant::now();
                self.told.clear();
            } else if self.ways.len() > 1 && good.elapsed() > BEHIND_MAX {
                let source = &view.stamp.source;
                return Left::Failed(if stale {
                    format!("{source} hears no quorum")
                } else {
                    format!(
                        "{source} knows less (log {}) than was shown ({})",
                        view.stamp.applied, self.floor
                    )
                });
            }
            if behind {
                continue;
            }
            self.floor = view.stamp.applied;
            if self.sender.send(Update::View(Box::new(view), json)).await.is_err() {
                return Left::Nobody;
            }
        }
    }
}

async fn look(client: &OperatorClient) -> Result<String, Status> {
    client.view(ViewKind::Status, false).await
}

async fn within<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late = |_| Status::deadline_exceeded("no answer in time");
    tokio::time::timeout(ANSWER_WITHIN, call).await.map_err(late)?
}

fn left(status: &Status) -> Left {
    if another_may_answer(status) {
        return Left::Failed(reason(status));
    }
    let code = code_of(status).map(ToOwned::to_owned);
    let text = without_code(&reason(status)).to_owned();
    Left::Refused(CliError::Answered { what: "follow the status", code, text })
}
