//! `locks` as text: who holds what, since when, and whether they live.

use super::{moment::Moment, source, table::Table};
use lockkeeper_core::view::LocksView;

/// Rollout, grants and executors.
pub fn text(view: &LocksView, moment: &Moment) -> String {
    let mut text = String::new();
    if view.locks.is_empty() {
        text.push_str("nothing is held: no rollout is active\n");
    } else {
        let mut table = Table::new(["KIND", "ON", "HOLDER", "STATE", "TOKEN", "ALIVE", "SINCE"]);
        for lock in &view.locks {
            let alive = match lock.alive {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "unknown here",
            };
            table.row([
                lock.kind.clone(),
                lock.target.clone(),
                lock.holder.clone(),
                lock.state.clone(),
                lock.token.clone(),
                if lock.kind == "rollout" { String::new() } else { alive.to_owned() },
                moment.since(lock.since),
            ]);
        }
        text.push_str(&(table.text() + "\n"));
    }
    text + &source::line(&view.stamp, moment) + "\n"
}
