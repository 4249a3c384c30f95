//! What the boot guard makes of rollouts: at every entry of the log, forward and back, a member's standing is what the
//! commands themselves say was last done with its service; and the versions' schemas are the plans'.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::drive::{Group, person};
use lockkeeper_core::{
    guard::{Databases, Learnt, Standing, fit, out_of_step, pairs, standing},
    identity::Role,
    ids::{DatabaseName, MemberName, StepId},
    plan::{Action, Plan},
    rollout::{Command, OutcomeResult, Reply, State},
    view::rollout_view,
};
use std::collections::{BTreeMap, BTreeSet};

/// The standing of every member by the commands alone: no view, no record, no step's state.
#[derive(Default)]
struct Told {
    standing: BTreeMap<MemberName, Standing>,
    /// How many members ever stood so.
    seen: BTreeSet<Standing>,
}

impl Told {
    fn hear(&mut self, plan: &Plan, command: &Command) {
        let (step, done) = match command {
            Command::Assign { step, .. } => (*step, false),
            Command::Outcome { attempt, result: OutcomeResult::Done { .. } } => (attempt.step, true),
            Command::Outcome { attempt, result: OutcomeResult::Dropped } => {
                assert!(service(plan, attempt.step).is_none(), "this night drops no step of a service");
                return;
            }
            _ => return,
        };
        let Some((member, starts)) = service(plan, step) else { return };
        let stands = match (starts, done) {
            (true, true) => Standing::Started,
            (true, false) => Standing::Starting,
            (false, _) => Standing::Stopped,
        };
        self.standing.insert(member, stands);
    }

    fn compare(&mut self, state: &State) {
        let view = state.rollout.as_ref().map(rollout_view);
        for member in state.config.as_ref().unwrap().spec.members.keys() {
            let wanted = match &view {
                None => Standing::Idle,
                Some(_) => self.standing.get(member).copied().unwrap_or(Standing::Untouched),
            };
            assert_eq!(standing(view.as_ref(), member.as_str()), wanted, "{member} at {}", state.applied);
            self.seen.insert(wanted);
        }
    }
}

/// Whose service the step starts or stops.
fn service(plan: &Plan, step: StepId) -> Option<(MemberName, bool)> {
    match &plan.every_step().find(|s| s.id == step)?.action {
        Action::StartService(action) => Some((action.member.clone(), true)),
        Action::StopService(action) => Some((action.member.clone(), false)),
        _ => None,
    }
}

/// A rollout to its end, turned back after `back` outcomes.
fn night(back: Option<usize>) -> (Group, Plan, Told) {
    let mut group = Group::new(common::SAMPLE);
    let plan = group.plan("26.5.0");
    let mut told = Told::default();
    told.compare(&group.state);
    group.approve_and_start(&plan);
    let mut outcomes = 0;
    for _ in 0..10_000 {
        told.compare(&group.state);
        if group.state.rollout.is_none() {
            return (group, plan, told);
        }
        // Proposed all at once; each is looked at in a turn of its own.
        for (command, reply) in group.lead() {
            if matches!(reply, Reply::Applied { .. }) {
                told.hear(&plan, &command);
            }
        }
        told.compare(&group.state);
        let Some(assignment) = group.assignments().into_iter().next() else { continue };
        if back == Some(outcomes)
            && group.state.rollout.as_ref().is_some_and(|r| r.no_return.is_none() && r.abort.is_none())
        {
            group.must(Some(&person("ola", Role::Operator)), Command::Abort { reason: "fog".into() });
        }
        let before = group.log.len();
        // What was assigned before the abort is done to its end.
        let assignment =
            group.assignments().into_iter().find(|a| a.attempt == assignment.attempt).unwrap_or(assignment);
        group.finish(&lockkeeper_core::rollout::Assignment { wanted: true, ..assignment });
        for (_, envelope) in &group.log[before..] {
            told.hear(&plan, &envelope.command);
        }
        outcomes += 1;
    }
    panic!("the night does not end");
}

#[test]
fn a_members_standing_is_what_was_last_done_with_its_service() {
    let (group, plan, told) = night(None);
    let all: BTreeSet<Standing> =
        [Standing::Idle, Standing::Untouched, Standing::Stopped, Standing::Starting, Standing::Started]
            .into();
    assert_eq!(told.seen, all);
    let main = plan.bound.databases.keys().next().unwrap().clone();
    let known = pairs(&group.state);
    let read = |schema: &str| BTreeMap::from([(main.clone(), schema.to_owned())]);
    let fit = |version: &str, schema: &str| fit(&known, &Learnt::new(), version, &read(schema));
    assert_eq!(fit("20.6.1", "23"), Databases::Fit);
    assert_eq!(fit("20.6.1", "26"), Databases::Unfit);
    assert_eq!(fit("19.0.0", "23"), Databases::NeverSeen);
    // Where no database proves a fit, the version left behind is out of step.
    let last = group.state.history.back().map(|rollout| rollout_view(rollout));
    for (seen, version, wanted) in [
        (Databases::Unlike, "20.6.1", Databases::Unfit),
        (Databases::Unread, "20.6.1", Databases::Unfit),
        (Databases::Fit, "20.6.1", Databases::Fit),
        (Databases::Unread, "26.5.0", Databases::Unread),
    ] {
        assert_eq!(out_of_step(seen, last.as_ref(), version), wanted, "{seen:?} {version}");
    }
    let other = DatabaseName::new("other").unwrap();
    assert!(!known["20.6.1"].contains_key(&other));
}

#[test]
fn so_it_is_when_a_rollout_turns_back() {
    let mut turned = 0;
    for back in (0..30).step_by(3) {
        let (group, _, _) = night(Some(back));
        let last = group.state.history.back().map(|rollout| rollout_view(rollout)).unwrap();
        if last.state == "aborted" {
            turned += 1;
            assert_eq!(out_of_step(Databases::NeverSeen, Some(&last), "26.5.0"), Databases::Unfit);
            assert_eq!(out_of_step(Databases::NeverSeen, Some(&last), "20.6.1"), Databases::NeverSeen);
        }
    }
    assert!(turned >= 3, "only {turned} nights turned back");
}
