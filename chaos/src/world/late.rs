//! Statements that are under way to the database although nobody waits for them any more: whoever sent one is gone, or
//! lost its connection. It is carried out when it arrives, whatever has happened in between.

use super::{EffectId, Fact, World};
use lockkeeper_core::ids::MemberName;
use std::fmt;

/// What the database does when a statement arrives; answers whether it changed something.
pub type Change = Box<dyn FnOnce(&mut World) -> bool + Send>;

/// An order that holds the next statement to the ledger up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// It arrives so much later, ms.
    pub ms: u64,
    /// Whether its sender's process is killed then; else it loses its connection and goes on.
    pub dies: bool,
}

/// A statement under way.
pub struct Late {
    due: u64,
    site: MemberName,
    by: EffectId,
    change: Change,
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late")
            .field("due", &self.due)
            .field("site", &self.site)
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}

impl World {
    /// Takes a statement that arrives `hold.ms` later.
    pub fn send_late(&mut self, hold: Hold, site: &MemberName, by: &EffectId, change: Change) {
        self.note(Some(site), Some(by), Fact::Late { ms: hold.ms });
        let due = self.now.saturating_add(hold.ms);
        self.late.push(Late { due, site: site.clone(), by: by.clone(), change });
        if hold.dies {
            self.fallen = Some(site.clone());
        }
    }

    pub(super) fn advance_late(&mut self) {
        let now = self.now;
        if self.late.iter().all(|late| late.due > now) {
            return;
        }
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|late| late.due <= now);
        self.late = later;
        let due: Vec<Late> = due;
        for Late { site, by, change, .. } in due {
            let changed = change(self);
            self.note(Some(&site), Some(&by), Fact::Effect { changed });
        }
    }
}
