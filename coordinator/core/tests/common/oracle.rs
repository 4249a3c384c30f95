//! Judges every entry of a log with books of its own. Shares nothing with `apply`.

use lockkeeper_core::{
    ids::{DatabaseName, MemberName, StepId, Token},
    plan::{Action, ActionKind, Step},
    rollout::{Command, OutcomeResult, Reply, Rollout, State, Status, StepPhase, state::GrantState},
};
use std::collections::{BTreeMap, BTreeSet};

/// Watches a log go by and judges every entry. Keeps its own books.
#[derive(Default)]
pub struct Oracle {
    tokens: BTreeMap<DatabaseName, Token>,
    upgrades_done: BTreeMap<DatabaseName, u32>,
    running: BTreeMap<DatabaseName, (MemberName, Token)>,
    aborted: bool,
    no_return: bool,
    restoring: bool,
    accepted: Option<u64>,
    /// What closing the last grant read.
    left: BTreeMap<DatabaseName, Option<String>>,
    /// Databases whose tool was started under the last grant.
    tried: BTreeSet<DatabaseName>,
}

impl Oracle {
    pub fn judge(&mut self, before: &State, command: &Command, reply: &Reply, after: &State) {
        if let Reply::Rejected(_) = reply {
            let (mut a, mut b) = (before.clone(), after.clone());
            for state in [&mut a, &mut b] {
                state.applied = Default::default();
                state.time = Default::default();
                state.audit = Default::default();
                state.requests.clear();
            }
            assert_eq!(a, b, "a rejected command changed something: {command:?}");
            return;
        }
        let Some(rollout) = after.rollout.as_ref().or(before.rollout.as_ref()) else { return };
        match command {
            Command::Elect { database, member, .. } => {
                let token = rollout.grants[database].token;
                assert!(self.tokens.get(database).is_none_or(|old| *old < token), "token_monotone");
                assert!(
                    !self.running.contains_key(database),
                    "one_upgrader: a second grant while one is open"
                );
                self.no_further_grant_when_touched(rollout, database);
                self.tokens.insert(database.clone(), token);
                self.running.insert(database.clone(), (member.clone(), token));
            }
            Command::Assign { step, member, .. } => self.assigned(before, rollout, *step, member),
            Command::Outcome { attempt, result } => {
                let Some(step) = rollout.step(attempt.step) else { return };
                if let (Action::UpgradeDatabase(a), OutcomeResult::Done { .. }) = (&step.action, result) {
                    let count = self.upgrades_done.entry(a.database.clone()).or_default();
                    let repeated = before.rollout.as_ref().is_some_and(|r| r.is_settled(step.id));
                    *count += u32::from(!repeated);
                    assert!(*count <= 1, "one_upgrader: a second success");
                }
                if let (Action::CloseGrant(a), OutcomeResult::Done { outputs, .. }) = (&step.action, result) {
                    self.running.remove(&a.database);
                    let left = outputs.get(&format!("judge.{}", a.database)).cloned();
                    self.left.insert(a.database.clone(), left);
                }
            }
            Command::Abort { .. } => {
                assert!(!self.no_return, "no_silent_way_back: abort past the point of no return");
                self.aborted = true;
            }
            Command::Restore { accept_loss, .. } => {
                assert!(self.no_return, "a restore before the point of no return");
                assert!(self.running.is_empty(), "a restore with a holder that is not proven out");
                self.restoring = true;
                self.accepted = accept_loss.or(self.accepted);
            }
            Command::Finish { .. } => {
                let done = after.history.back().expect("finish moves it to the history");
                assert!(done.owed.values().all(|o| !o.state.is_open()), "owed_settled");
                assert!(
                    done.grants.values().all(|g| g.state == GrantState::Closed),
                    "an open grant at the end"
                );
                if matches!(done.status, Status::Completed { .. }) {
                    assert!(self.upgrades_done.values().all(|n| *n == 1), "success_is_proven");
                }
                let restored = matches!(done.status, Status::Restored { .. });
                assert_eq!(restored, self.restoring, "a restore ends as one, and nothing else does");
                self.aborted = false;
                self.no_return = false;
                self.restoring = false;
                self.accepted = None;
            }
            _ => {}
        }
    }

    /// A half-done upgrade is gone on with only by a tool that can.
    fn no_further_grant_when_touched(&mut self, rollout: &Rollout, database: &DatabaseName) {
        if !self.tried.remove(database) {
            return;
        }
        let upgrade = rollout.plan.steps.iter().find_map(|step| match &step.action {
            Action::UpgradeDatabase(a) if a.database == *database => Some(a),
            _ => None,
        });
        let upgrade = upgrade.expect("a grant belongs to an upgrade");
        let left = self.left.get(database).expect("closed before the next").as_deref();
        let known = [&upgrade.schema.before, &upgrade.schema.after].map(|value| Some(value.as_str()));
        assert!(
            upgrade.resumes || known.contains(&left),
            "destructive_once: touched ({left:?}) and granted again"
        );
    }

    fn assigned(&mut self, before: &State, rollout: &Rollout, id: StepId, member: &MemberName) {
        let step = rollout.step(id).expect("assigned steps exist");
        let old = before.rollout.as_ref().expect("assignments need a rollout");
        let plan = &rollout.plan;
        let list =
            [&plan.steps, &plan.undo, &plan.restore].into_iter().find(|l| l.iter().any(|s| s.id == id));
        let list = list.expect("a step is on one way");
        let forward = list == &plan.steps;
        let kind = step.action.kind();
        if self.aborted {
            assert!(!forward || kind == ActionKind::CloseGrant, "abort_is_final: {kind} after an abort");
        }
        if self.restoring {
            assert!(list == &plan.restore, "restore_is_final: {kind} after a restore");
        } else {
            assert!(list != &plan.restore, "no_silent_way_back: {kind} of the restore that nobody asked for");
        }
        // Shutting waits for nothing; everything else for all that the plan puts before it, however far before.
        let open = before_in_plan(list, id).into_iter().find(|earlier| !old.steps[earlier].phase.is_settled());
        assert!(
            open.is_none() || kind == ActionKind::CloseGrant,
            "order: step {id} ({kind}) began before step {open:?}"
        );
        let is = |old: &Rollout, what: &dyn Fn(&Action) -> bool| -> Vec<StepPhase> {
            list.iter().filter(|s| what(&s.action)).map(|s| old.steps[&s.id].phase.clone()).collect()
        };
        let all_done = |old: &Rollout, what: &dyn Fn(&Action) -> bool| {
            is(old, what).iter().all(|p| matches!(p, StepPhase::Done { .. }))
        };
        match &step.action {
            Action::RestoreDatabase(_) => self.restores(old, &all_done),
            Action::UpgradeDatabase(a) => {
                self.no_return = true;
                self.tried.insert(a.database.clone());
                let (holder, token) = self.running.get(&a.database).expect("an upgrade needs a grant");
                assert_eq!(holder, member, "only the holder upgrades");
                assert_eq!(
                    old.rollout_tokens(id, rollout),
                    Some(*token),
                    "the attempt carries the grant's token"
                );
                let kinds = [ActionKind::ProveBackup, ActionKind::ShutDoor, ActionKind::AdmitHolder];
                for needed in kinds {
                    assert!(all_done(old, &|s| s.kind() == needed), "{needed} before the upgrade");
                }
            }
            Action::StopService(a) => {
                let drains = |x: &Action| matches!(x, Action::Drain(d) if d.member == a.member);
                assert!(all_done(old, &drains), "drained_before_stop");
            }
            Action::Admit(a) if list != &plan.undo => {
                let proves = |x: &Action| matches!(x, Action::Prove(p) if p.member == a.member);
                assert!(all_done(old, &proves), "proven_before_admit");
            }
            Action::StartService(a) => {
                for other in old.plan.targets.members.keys().filter(|m| **m != a.member) {
                    let starting = is(old, &|x| matches!(x, Action::StartService(s) if s.member == *other));
                    let proving = is(old, &|x| matches!(x, Action::Prove(p) if p.member == *other));
                    let inside = starting.iter().any(|p| begun(p)) && !proving.iter().all(|p| settled(p));
                    assert!(!inside, "serial_start: {} starts while {other} is inside", a.member);
                }
            }
            _ => {}
        }
    }
}

impl Oracle {
    /// Everybody is out and stopped by the restore itself, nothing of the way forward is under way, the door is shut by
    /// it, and what is given up was accepted to the row.
    fn restores(&self, old: &Rollout, done: &dyn Fn(&Rollout, &dyn Fn(&Action) -> bool) -> bool) {
        for needed in
            [ActionKind::Drain, ActionKind::StopService, ActionKind::ProveNoWriters, ActionKind::ShutDoor]
        {
            assert!(done(old, &|a| a.kind() == needed), "{needed} before the restore");
        }
        let busy =
            old.plan.steps.iter().any(|s| matches!(old.steps[&s.id].phase, StepPhase::Assigned { .. }));
        assert!(!busy, "a step of the way forward is under way");
        let admits = old.plan.steps.iter().filter(|s| s.action.kind() == ActionKind::Admit);
        let served = admits.map(|s| old.steps[&s.id].attempt.0).any(|tries| tries > 0);
        assert!(!served || self.accepted == Some(super::drive::LOSS), "a loss that nobody accepted");
    }
}

trait Tokens {
    fn rollout_tokens(&self, id: StepId, after: &Rollout) -> Option<Token>;
}

impl Tokens for Rollout {
    fn rollout_tokens(&self, id: StepId, after: &Rollout) -> Option<Token> {
        match &after.steps[&id].phase {
            StepPhase::Assigned { token, .. } => Some(*token),
            _ => None,
        }
    }
}

fn begun(phase: &StepPhase) -> bool {
    !matches!(phase, StepPhase::Pending | StepPhase::NotNeeded)
}

fn settled(phase: &StepPhase) -> bool {
    matches!(phase, StepPhase::Done { .. } | StepPhase::NotNeeded)
}

/// Every step of a way that comes before one, by the plan's edges and barriers.
fn before_in_plan(way: &[Step], id: StepId) -> BTreeSet<StepId> {
    let mut earlier = BTreeSet::from([id]);
    for step in way.iter().rev().filter(|step| step.id <= id) {
        if earlier.contains(&step.id) {
            earlier.extend(&step.after);
            earlier.extend(way.iter().map(|s| s.id).filter(|s| step.after_all.is_some_and(|barrier| *s <= barrier)));
        }
    }
    earlier.remove(&id);
    earlier
}
