//! Which way a rollout goes, and which of its steps belong to which way: forward, back before the point of no return, or
//! back after it.

use super::state::Rollout;
use crate::{
    ids::{Attempt, StepId},
    plan::{ActionKind, Step, Way},
};

impl Rollout {
    /// A step of any way.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        // Ids are dense from 1 (the linter's law), first the steps, then the undo steps, then those of the restore.
        let (forward, back) = (self.plan.steps.len(), self.plan.steps.len() + self.plan.undo.len());
        let at = usize::try_from(id.0).ok()?.checked_sub(1)?;
        let step = match self.way_of(id) {
            Way::Forward => self.plan.steps.get(at),
            Way::Undo => self.plan.undo.get(at.checked_sub(forward)?),
            Way::Restore => self.plan.restore.get(at.checked_sub(back)?),
        }?;
        (step.id == id).then_some(step)
    }

    /// Which way a step belongs to.
    pub fn way_of(&self, id: StepId) -> Way {
        let (forward, back) = (self.plan.steps.len(), self.plan.steps.len() + self.plan.undo.len());
        match usize::try_from(id.0) {
            Ok(n) if n <= forward => Way::Forward,
            Ok(n) if n <= back => Way::Undo,
            Ok(_) | Err(_) => Way::Restore,
        }
    }

    /// Which way it goes now, or would go if it were not stopped.
    pub fn way(&self) -> Way {
        match (&self.restore, &self.abort) {
            (Some(_), _) => Way::Restore,
            (None, Some(_)) => Way::Undo,
            (None, None) => Way::Forward,
        }
    }

    /// The steps of the way it goes now.
    pub fn way_steps(&self) -> &[Step] {
        self.plan.way(self.way())
    }

    /// Whether a member may have served users at the new version: an admission of the way forward was handed out.
    pub fn has_served(&self) -> bool {
        let admits = self.plan.steps.iter().filter(|s| s.action.kind() == ActionKind::Admit);
        admits.filter_map(|s| self.record(s.id)).any(|record| record.attempt > Attempt(0))
    }
}
