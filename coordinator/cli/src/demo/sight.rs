//! What the agents say while the demo runs: every agent is asked a few times a second, so that one that is dead or
//! frozen hides nothing. Shows the newest knowledge; decides nothing.

use super::clock::unix_ms;
use crate::connect::{Session, Way};
use lockkeeper_core::view::StatusView;
use lockkeeper_proto::client::operator::ViewKind;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, task::JoinSet};

/// Between two questions to one agent. Three agents then answer some fifteen times a second, which costs the two
/// cores less than a hundredth.
const INTERVAL: Duration = Duration::from_millis(200);

/// For one answer; a frozen agent gives none.
const ANSWER: Duration = Duration::from_millis(900);

/// Somebody was said to lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// When that was first heard, Unix milliseconds.
    pub at: u64,
    /// In which term.
    pub term: u64,
    /// Who.
    pub leader: String,
}

/// The watching; dropped, it ends.
pub struct Sight {
    shared: Arc<Shared>,
    latest: watch::Receiver<Option<Arc<StatusView>>>,
    _asking: JoinSet<()>,
}

struct Shared {
    leads: Mutex<Vec<Lead>>,
    latest: watch::Sender<Option<Arc<StatusView>>>,
}

impl Sight {
    /// Begins to ask every way of the session.
    pub fn begin(session: &Session) -> Self {
        let (sender, latest) = watch::channel(None);
        let shared = Arc::new(Shared { leads: Mutex::default(), latest: sender });
        let mut asking = JoinSet::new();
        for way in session.ways() {
            asking.spawn(ask(way.clone(), Arc::clone(&shared)));
        }
        Self { shared, latest, _asking: asking }
    }

    /// The newest view, and its changes.
    pub fn views(&self) -> watch::Receiver<Option<Arc<StatusView>>> {
        self.latest.clone()
    }

    /// Every leader that was heard of, in the order of terms.
    pub fn leads(&self) -> Vec<Lead> {
        let mut leads = self.shared.leads().clone();
        leads.sort_by_key(|lead| lead.term);
        leads
    }

    /// A handle that reads leaders from another task.
    pub fn leaders(&self) -> Leaders {
        Leaders(Arc::clone(&self.shared))
    }
}

/// Reads who leads.
#[derive(Clone)]
pub struct Leaders(Arc<Shared>);

impl Leaders {
    /// The leader of the newest term heard of.
    pub fn newest(&self) -> Option<Lead> {
        self.0.leads().iter().max_by_key(|lead| lead.term).cloned()
    }
}

impl Shared {
    /// A panic while it was held left it whole: it only grows.
    fn leads(&self) -> MutexGuard<'_, Vec<Lead>> {
        self.leads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, view: StatusView) {
        if let Some(leader) = view.stamp.leader.clone().filter(|_| !view.stamp.stale) {
            let mut leads = self.leads();
            if !leads.iter().any(|lead| lead.term == view.stamp.term) {
                leads.push(Lead { at: unix_ms(), term: view.stamp.term, leader });
            }
        }
        self.latest.send_if_modified(|latest| {
            // By the log, and of equal knowledge the newer answer: its silences and voters are newer too.
            let key = |view: &StatusView| (view.stamp.applied, !view.stamp.stale, view.stamp.as_of);
            let newer = latest.as_ref().is_none_or(|old| key(old) < key(&view));
            if newer {
                *latest = Some(Arc::new(view));
            }
            newer
        });
    }
}

async fn ask(way: Way, shared: Arc<Shared>) {
    loop {
        let answer = tokio::time::timeout(ANSWER, way.client.view(ViewKind::Status, false)).await;
        // An agent that says nothing, or something else, is the subject of the demo, not an error of it.
        if let Ok(Ok(json)) = answer
            && let Ok(view) = serde_json::from_str(&json)
        {
            shared.take(view);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
