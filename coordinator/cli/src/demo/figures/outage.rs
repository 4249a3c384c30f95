//! Outages: when no server took new requests, which failures that excuses, and how long the client met it.

use super::balancer::Change;
use crate::demo::client::Record;
use lockkeeper_core::ids::MemberName;
use serde::Serialize;
use std::collections::BTreeMap;

/// The client's requests, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// All.
    pub total: u64,
    /// Answered or acknowledged.
    pub ok: u64,
    /// Failed without any outage to excuse it.
    pub failed_outside_outage: u64,
}

/// A stretch in which no server took new requests. Both ends belong to it: stamps are whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The last server stopped taking them, Unix milliseconds.
    pub from: u64,
    /// The first one took them again, or the client's end.
    pub to: u64,
}

impl Window {
    fn touches(&self, record: &Record) -> bool {
        record.sent_at <= self.to && record.done_at >= self.from
    }
}

/// The outages between `from` and `to`.
pub fn windows(changes: &[Change], from: u64, to: u64) -> Vec<Window> {
    let mut taking: BTreeMap<&MemberName, bool> = BTreeMap::new();
    let mut windows = Vec::new();
    let mut open = None;
    for Change { at, server, takes_new } in changes {
        taking.insert(server, *takes_new);
        let any = taking.values().any(|takes| *takes);
        match (open, any) {
            (None, false) => open = Some(*at),
            (Some(begun), true) => {
                windows.push(Window { from: begun, to: *at });
                open = None;
            }
            (None, true) | (Some(_), false) => {}
        }
    }
    windows.extend(open.map(|begun| Window { from: begun, to: u64::MAX }));
    windows.retain(|window| window.from <= to && window.to >= from);
    for window in &mut windows {
        *window = Window { from: window.from.max(from), to: window.to.min(to) };
    }
    windows
}

/// Counts requests, and the failures no window excuses.
pub fn count(records: &[&Record], windows: &[Window]) -> Requests {
    let outside = |record: &&&Record| !record.ok() && !windows.iter().any(|window| window.touches(record));
    Requests {
        total: records.len() as u64,
        ok: records.iter().filter(|record| record.ok()).count() as u64,
        failed_outside_outage: records.iter().filter(outside).count() as u64,
    }
}

/// The outages' length by the client's clock. Windows with no success between them are one outage to a user,
/// so their stretches overlap and are joined before they are added up.
pub fn length_ms(records: &[&Record], windows: &[Window]) -> u64 {
    let ended = || records.iter().filter(|record| record.ok()).map(|record| record.done_at);
    let mut total = 0;
    let mut counted_to = 0;
    for window in windows {
        let before = ended().filter(|at| *at <= window.from).max().unwrap_or(window.from);
        let after = ended().filter(|at| *at >= window.to).min().unwrap_or(window.to);
        total += after.saturating_sub(before.max(counted_to));
        counted_to = counted_to.max(after);
    }
    total
}

#[cfg(test)]
#[path = "outage_tests.rs"]
mod tests;
