//! One look at all steps, shared by the rules of order: without it every step of a tick would look at all others again,
//! and a tick of a thousand members would take minutes.

use super::{
    loss,
    rejection::Rejection,
    state::{GrantState, Rollout, StepPhase, StepRecord},
};
use crate::{
    ids::{Attempt, DatabaseName, MemberName, StepId},
    plan::{ActionKind, Step, Way},
    plant::{self, Plant},
};
use std::collections::{BTreeMap, BTreeSet};

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
        if let Some(waits_for) = self.waits_for(rollout, way, step) {
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

    /// An open step that this one comes after, however far before. The nearest alone do not tell: a recovery begins done
    /// steps anew, and what was done after them is believed still.
    fn waits_for(&self, rollout: &Rollout, way: Way, step: &Step) -> Option<StepId> {
        // Steps wait for lower numbers of their own way only, so nothing below the first open one matters.
        let first = *self.open.get(&way)?;
        let mut seen = BTreeSet::new();
        let mut steps = vec![step];
        while let Some(step) = steps.pop() {
            if step.after_all.is_some_and(|barrier| first <= barrier) {
                return Some(first);
            }
            for after in step.after.iter().copied().filter(|after| *after >= first && seen.insert(*after)) {
                if is_open(rollout, after) {
                    return Some(after);
                }
                steps.extend(rollout.step(after));
            }
        }
        None
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
    /// A step of it was never handed out.
    untried: bool,
    first_done: bool,
    last_done: bool,
}

impl Pass {
    /// What every pass is before its first step is looked at.
    const EMPTY: Self = Self { begun: false, ended: true, untried: false, first_done: true, last_done: false };

    fn add(&mut self, record: &StepRecord, is_first: bool) {
        let tried = record.attempt > Attempt(0);
        let needed = record.phase != StepPhase::NotNeeded;
        let done = record.phase.is_settled();
        self.begun |= tried && needed;
        self.untried |= !tried && needed;
        self.ended &= done;
        self.first_done &= done || !is_first;
        self.last_done = done;
    }

    /// Whether its member is on the way through, and not one that had passed and begins anew after a recovery.
    const fn in_the_midst(&self) -> bool {
        self.untried || (self.first_done && !self.last_done)
    }
}

impl<'a> Runs<'a> {
    pub(super) fn of(rollout: &'a Rollout) -> Self {
        let mut runs: BTreeMap<(Way, &str), Run<'_>> = BTreeMap::new();
        let mut open: Vec<((Way, &str), &MemberName)> = Vec::new();
        for (way, step) in WAYS.into_iter().flat_map(|way| rollout.plan.way(way).iter().map(move |s| (way, s))) {
            let (Some(serial), Some(record)) = (&step.serial, rollout.record(step.id)) else { continue };
            let key = (way, serial.run.as_str());
            let passes = &mut runs.entry(key).or_default().passes;
            let is_first = !passes.contains_key(&serial.member);
            let pass = passes.entry(&serial.member).or_insert(Pass::EMPTY);
            let had_ended = pass.ended;
            pass.add(record, is_first);
            if had_ended && !pass.ended {
                open.push((key, &serial.member));
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
        let holder = |database: &DatabaseName| rollout.grants.get(database).map(|grant| &grant.member);
        let first = serial.first.as_ref().and_then(holder);
        let is_open = |member: &&MemberName| run.passes.get(*member).is_some_and(|pass| !pass.ended);
        match run.goes(first).or(first.filter(is_open)) {
            Some(other) if *other != serial.member => {
                Err(Rejection::SerialBusy { step: step.id, inside: other.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl<'a> Run<'a> {
    /// Who goes before all others: the one inside. After a recovery there may be several, as what was done on a lost host
    /// is not believed; then the one that was on its way through ends it before those begin anew.
    fn goes(&self, first: Option<&'a MemberName>) -> Option<&'a MemberName> {
        let in_the_midst = |member: &&MemberName| self.passes.get(*member).is_some_and(Pass::in_the_midst);
        let mut inside = self.inside.iter().copied();
        inside.clone().find(in_the_midst).or_else(|| inside.clone().find(|m| Some(*m) == first)).or_else(|| inside.next())
    }
}
