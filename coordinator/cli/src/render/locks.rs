//! `locks` as text: who holds what, since when, whether they live, and what to do about other tools' locks.

use super::{moment::Moment, source, table::Table};
use lockkeeper_core::view::{ForeignLockView, LocksView};

/// Rollout, grants and executors, then other tools' locks.
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
    for foreign in &view.foreign {
        text.push_str(&(other(foreign) + "\n"));
    }
    for why in &view.unread {
        text.push_str(&format!("not looked at: {why}\n"));
    }
    text + &source::line(&view.stamp, moment) + "\n"
}

/// One lock of another tool.
fn other(view: &ForeignLockView) -> String {
    let lock = &view.lock;
    let mut text = format!("{} is locked by {}: {}\n", view.database, lock.tool.word(), lock.lock);
    if !lock.holder.is_empty() || !lock.since.is_empty() {
        let holder = if lock.holder.is_empty() { "nobody named" } else { &lock.holder };
        let since = if lock.since.is_empty() { String::new() } else { format!(" since {}", lock.since) };
        text += &format!("  held by  {holder}{since}\n");
    }
    text += &format!(
        "  holder   {}: {}\n  then     {}\n",
        lock.life.word().to_uppercase(),
        lock.proof,
        lock.next
    );
    for sql in &lock.sql {
        text += &format!("           {sql}\n");
    }
    text
}
