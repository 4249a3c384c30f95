//! Is this the machine that was enrolled? One pure function and its four answers.
//!
//! Knows what each difference may mean. Does not know what follows: that is the quarantine's business.

use super::fingerprint::{Changes, Fingerprint, Signal, Strength};
use crate::platform::Source;
use std::collections::BTreeSet;

/// What a comparison says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing differs; how much that proves.
    Same(Strength),
    /// Something differs, but a signal that no copy of the disk carries is equal: the same machine with, say, a new
    /// network card.
    Tolerated(Changes),
    /// Another machine, or this one taken back to a snapshot: the two look alike where only the generation differs.
    Changed {
        /// What differs.
        changes: Changes,
        /// Whether nothing but the generation id differs.
        reverted: bool,
    },
    /// Nothing that was compared lies outside the disk, and something differs: only a running peer can tell whether
    /// the original is alive.
    Weak(Changes),
}

/// Compares what was sealed with what is, over the chosen sources.
///
/// A signal that was sealed and cannot be read now proves nothing: the strength is that of what was found *equal*.
pub fn compare(sealed: &Fingerprint, now: &Fingerprint, chosen: &BTreeSet<Source>) -> Verdict {
    let changes = sealed.changes(now, chosen);
    if changes.differ.iter().any(|signal| signal.outside_the_disk()) {
        let reverted =
            changes.differ == [Signal::VmGeneration] && changes.gone.is_empty() && !changes.cards();
        return Verdict::Changed { changes, reverted };
    }
    let equal = |signal: &Signal| sealed.read(*signal).is_some() && sealed.read(*signal) == now.read(*signal);
    let outside = [Signal::Smbios, Signal::Cloud, Signal::VmGeneration];
    let strong = outside.iter().any(|signal| chosen.contains(&signal.source()) && equal(signal));
    match (strong, changes.is_none()) {
        (true, true) => Verdict::Same(Strength::Strong),
        (true, false) if !changes.differ.is_empty() => Verdict::Changed { changes, reverted: false },
        (true, false) => Verdict::Tolerated(changes),
        (false, true) => Verdict::Same(Strength::Weak),
        (false, false) => Verdict::Weak(changes),
    }
}

impl Changes {
    fn cards(&self) -> bool {
        self.macs_gone > 0 || self.macs_new > 0
    }
}

#[cfg(test)]
mod tests;
