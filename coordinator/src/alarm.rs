//! When peers keep saying that another agent has this node's name, this node is the copy and stops.

use std::sync::{Mutex, PoisonError};
use tokio::{
    sync::watch,
    time::{Duration, Instant},
};

/// Refused for so long: longer than an incumbent that is gone is remembered.
const LASTING: Duration = Duration::from_secs(5);

/// Two refusals further apart are two stories.
const GAP: Duration = Duration::from_secs(2);

/// Collects refusals. Clones share one story.
#[derive(Debug)]
pub struct Alarm {
    story: Mutex<Option<(Instant, Instant)>>,
    rung: watch::Sender<Option<String>>,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { story: Mutex::default(), rung: watch::Sender::new(None) }
    }
}

impl Alarm {
    /// A peer refused a call because another agent has this name.
    pub fn refused(&self, why: &str) {
        let now = Instant::now();
        let mut story = self.story.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = match *story {
            Some((begun, last)) if now.duration_since(last) < GAP => begun,
            Some(_) | None => now,
        };
        *story = Some((begun, now));
        if now.duration_since(begun) >= LASTING {
            self.rung.send_if_modified(|rung| {
                let first = rung.is_none();
                rung.get_or_insert_with(|| why.to_owned());
                first
            });
        }
    }

    /// Becomes the reason once it has lasted.
    pub fn rung(&self) -> watch::Receiver<Option<String>> {
        self.rung.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_lasts_rings() {
        let alarm = Alarm::default();
        for _ in 0..3 {
            alarm.refused("a restart");
            tokio::time::advance(Duration::from_secs(3)).await;
        }
        assert_eq!(*alarm.rung().borrow(), None, "between two refusals it was heard");
        for _ in 0..6 {
            alarm.refused("n1 lives");
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(alarm.rung().borrow().as_deref(), Some("n1 lives"));
    }
}
