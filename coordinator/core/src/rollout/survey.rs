//! One look at all steps, shared by the rules of order: without it every step of a tick would look at all others again,
//! and a tick of a thousand members would take minutes.

use super::{
    loss,
    rejection::Rejection,
    state::{GrantState, Rollout, StepPhase},
};
use crate::{
    ids::{Attempt, DatabaseName, MemberName, StepId},
    plan::{ActionKind, Step, Way},
    plant::{self, Plant},
};
use std::collections::BTreeMap;

/// The ways, as they are kept here.
const WAYS: [Way; 3] = [Way::Forward, Way::Undo, Way::Restore];

/// What is open on every way.
#[derive(Debug)]
pub(super) struct Frontier {
    /// By way its first step that later ones may not rely on.
    open: BTreeMap<Way, StepId>,
    /// A step of the way forward that an agent has.
    busy: Option<StepId>,
}

impl Frontier {
    pub(super) fn of(rollout: &Rollout) -> Self {
        let open = |steps: &[Step]| steps.iter().map(|s| s.id).find(|id| is_open(rollout, *id));
        let assigned =
            |id: &StepId| rollout.record(*id).is_some_and(|r| matches!(r.phase, StepPhase::Assigned { .. }));
        Self {
            open: WAYS.into_iter().filter_map(|way| Some((way, open(rollout.plan.way(way))?))).collect(),
            busy: rollout.plan.steps.iter().map(|s| s.id).find(assigned),
        }
    }

    /// Everything before a step is settled. A way back moreover waits until nothing of the way forward is under way
    /// and every grant is closed.
    pub(super) fn check(&self, rollout: &Rollout, step: &Step) -> Result<(), Rejection> {
        let way = rollout.way_of(step.id);
        let first = self.open.get(&way).copied();
        let barred = first.filter(|open| step.after_all.is_some_and(|barrier| *open <= barrier));
        let named = || step.after.iter().copied().find(|after| is_open(rollout, *after));
        if let Some(waits_for) = barred.or_else(named) {
            return Err(Rejection::NotReady { step: step.id, waits_for });
        }
        if way != Way::Forward {
            if let Some(waits_for) = self.busy {
                return Err(Rejection::NotReady { step: step.id, waits_for });
            }
            if let Some(grant) = rollout.grants.values().find(|g| g.state != GrantState::Closed) {
                return Err(Rejection::GrantOpen(grant.member.clone()));
            }
        }
        loss::check(rollout, step)
    }
}

/// Whether those that wait for a step must wait still.
fn is_open(rollout: &Rollout, id: StepId) -> bool {
    !rollout.is_settled(id) && !is_skipped(rollout, id)
}

/// A planted bug: the order after some kind of step is forgotten.
fn is_skipped(rollout: &Rollout, after: StepId) -> bool {
    let kind = |kind| rollout.step(after).is_some_and(|step| step.action.kind() == kind);
    (plant::is(Plant::StopUndrained) && kind(ActionKind::Drain))
        || (plant::is(Plant::AdmitUnproven) && kind(ActionKind::Prove))
        || (plant::is(Plant::UpgradeUnsaved) && kind(ActionKind::ProveBackup))
}

/// The serial runs of every way.
#[derive(Debug)]
pub(super) struct Runs<'a> {
    /// By way and name.
    runs: BTreeMap<(Way, &'a str), Run<'a>>,
}

/// One serial run.
#[derive(Debug, Default)]
struct Run<'a> {
    passes: BTreeMap<&'a MemberName, Pass>,
    /// Members that have begun and not ended it, in the plan's order.
    inside: Vec<&'a MemberName>,
}

/// One member's steps of a run.
#[derive(Debug)]
struct Pass {
    begun: bool,
    ended: bool,
}

impl<'a> Runs<'a> {
    pub(super) fn of(rollout: &'a Rollout) -> Self {
        let mut runs: BTreeMap<(Way, &str), Run<'_>> = BTreeMap::new();
        let mut open: Vec<((Way, &str), &MemberName)> = Vec::new();
        for (way, step) in WAYS.into_iter().flat_map(|way| rollout.plan.way(way).iter().map(move |s| (way, s))) {
            let Some(serial) = &step.serial else { continue };
            let key = (way, serial.run.as_str());
            let passes = &mut runs.entry(key).or_default().passes;
            let pass = passes.entry(&serial.member).or_insert(Pass { begun: false, ended: true });
            let Some(record) = rollout.record(step.id) else { continue };
            pass.begun |= record.attempt > Attempt(0) && record.phase != StepPhase::NotNeeded;
            if !record.phase.is_settled() {
                if pass.ended {
                    open.push((key, &serial.member));
                }
                pass.ended = false;
            }
        }
        for (key, member) in open {
            if let Some(run) = runs.get_mut(&key)
                && run.passes.get(member).is_some_and(|pass| pass.begun)
            {
                run.inside.push(member);
            }
        }
        Self { runs }
    }

    /// One member at a time between its first and its last step of the run, the upgrader first where the plan says so.
    pub(super) fn check(&self, rollout: &Rollout, step: &Step) -> Result<(), Rejection> {
        if plant::is(Plant::StartTogether) {
            return Ok(());
        }
        let Some(serial) = &step.serial else { return Ok(()) };
        let Some(run) = self.runs.get(&(rollout.way_of(step.id), serial.run.as_str())) else {
            return Ok(());
        };
        let busy = |inside: &MemberName| Err(Rejection::SerialBusy { step: step.id, inside: inside.clone() });
        let holder = |database: &DatabaseName| rollout.grants.get(database).map(|grant| &grant.member);
        let first = serial.first.as_ref().and_then(holder);
        // After a recovery several may have to begin anew, as what was done is not believed; then one goes before all.
        let goes = run.inside.iter().find(|inside| Some(**inside) == first).or(run.inside.first());
        if let Some(other) = goes.filter(|inside| **inside != &serial.member) {
            return busy(other);
        }
        match first {
            Some(first)
                if *first != serial.member && run.passes.get(first).is_some_and(|pass| !pass.ended) =>
            {
                busy(first)
            }
            Some(_) | None => Ok(()),
        }
    }
}
