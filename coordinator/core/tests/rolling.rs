//! Strategy `rolling`: what the planner makes, what the linter catches, and how a rollout of it goes, judged by books of the
//! test's own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::{
    SAMPLE, cluster,
    drive::{Group, bad, person},
    generate::shape,
    member, observed, plan_by,
};
use lockkeeper_core::{
    fault::FaultCode,
    identity::Role,
    ids::{MemberName, StepId},
    lint::lint,
    plan::{Action, ActionKind, Phase, Plan, Step, Strategy, Target, Way},
    rollout::{Command, Reply, Status, why},
    version::Version,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

const SAME: &str = "[parameters]\nschema.same = [\"20.6.1 20.6.2\"]\n";

/// The sample cluster, whose releases 20.6.1 and 20.6.2 have one schema.
fn text() -> String {
    SAMPLE.replacen("schema  = { ", "schema  = { same = [\"20.6.1 20.6.2\"], ", 1)
}

fn made(to: &str) -> Plan {
    let spec = cluster(&text());
    plan_by(Strategy::Rolling, &spec, &observed(&spec, "20.6.1", "23"), to)
        .unwrap_or_else(|r| panic!("{r}"))
        .0
}

fn kinds(steps: &[Step], of: &str) -> Vec<ActionKind> {
    let about =
        |step: &&Step| matches!(&step.target, Target::Member(m) | Target::Balancer(_, m) if m.as_str() == of);
    steps.iter().filter(about).map(|step| step.action.kind()).collect()
}

#[test]
fn a_restart_takes_each_member_through_whole() {
    use ActionKind as A;
    let plan = made("20.6.1");
    assert!(plan.hops.is_empty() && plan.restore.is_empty());
    assert_eq!(kinds(&plan.steps, "n2"), [A::Drain, A::StopService, A::StartService, A::Prove, A::Admit]);
    assert_eq!(kinds(&plan.undo, "n2"), [A::StartService, A::Prove, A::Admit]);
    assert!(plan.every_step().all(|s| s.phase == Phase::Before && !s.irreversible && s.grant.is_none()));
    assert_eq!(lint(&plan).errors(), 0, "{}", lint(&plan));
}

#[test]
fn another_release_is_staged_before_and_switched_back_on_the_way_back() {
    use ActionKind as A;
    let plan = made("20.6.2");
    let forward =
        [A::StageRelease, A::Drain, A::StopService, A::SwitchRelease, A::StartService, A::Prove, A::Admit];
    assert_eq!(kinds(&plan.steps, "n1"), forward);
    assert_eq!(kinds(&plan.undo, "n1"), forward[1..]);
    for step in &plan.undo {
        if let Action::SwitchRelease(switch) = &step.action {
            assert_eq!(switch.version, plan.from);
        }
    }
    assert_eq!(lint(&plan).errors(), 0, "{}", lint(&plan));
}

#[test]
fn what_may_change_the_schema_is_refused() {
    let spec = cluster(&text());
    let report = plan_by(Strategy::Rolling, &spec, &observed(&spec, "20.6.1", "23"), "26.5.0").err().unwrap();
    assert!(report.has(FaultCode::RollingSchema), "{report}");
    let spec = cluster(
        &text().replace("capacity_floor   = 2 ", "capacity_floor   = 1 ").replace(", n3 = \"n3\"", ""),
    );
    let report = plan_by(Strategy::Rolling, &spec, &observed(&spec, "20.6.1", "23"), "20.6.2").err().unwrap();
    assert!(report.has(FaultCode::RollingCapacity), "{report}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    /// Whatever the cluster, the plan obeys every law, or some member cannot be missed.
    #[test]
    fn the_planner_obeys_every_law(shape in shape(2..=20), restart in any::<bool>()) {
        let text = shape.text().replace("[parameters]\n", SAME);
        let spec = cluster(&text);
        let to = if restart { "20.6.1" } else { "20.6.2" };
        match plan_by(Strategy::Rolling, &spec, &observed(&spec, "20.6.1", "1"), to) {
            Ok((plan, _)) => prop_assert_eq!(lint(&plan).errors(), 0, "{}", lint(&plan)),
            Err(report) => {
                let small = spec.balancers.values().any(|b| (1..=1).contains(&b.servers.len()));
                prop_assert!(report.has(FaultCode::RollingCapacity) && (small || spec.balancers.is_empty()), "{report}");
            }
        }
    }
}

/// Whatever is taken from the order of a pass, the linter notices.
#[test]
fn every_edge_of_a_pass_matters() {
    for to in ["20.6.1", "20.6.2"] {
        let plan = made(to);
        for way in [Way::Forward, Way::Undo] {
            for at in 0..plan.way(way).len() {
                let step = |plan: &mut Plan, change: &dyn Fn(&mut Step)| {
                    let steps = if way == Way::Forward { &mut plan.steps } else { &mut plan.undo };
                    change(&mut steps[at]);
                };
                let mut loose = plan.clone();
                step(&mut loose, &|s| (s.after, s.after_all) = (Vec::new(), None));
                let same = loose == plan;
                prop_or(same || lint(&loose).errors() > 0, &plan, way, at, "waits for nothing");
                if plan.way(way)[at].serial.is_some() {
                    let mut free = plan.clone();
                    step(&mut free, &|s| s.serial = None);
                    prop_or(lint(&free).errors() > 0, &plan, way, at, "is in no run");
                }
                if way == Way::Undo {
                    let mut always = plan.clone();
                    step(&mut always, &|s| s.while_owed = None);
                    prop_or(lint(&always).errors() > 0, &plan, way, at, "is taken always");
                }
            }
        }
    }
}

#[track_caller]
fn prop_or(caught: bool, plan: &Plan, way: Way, at: usize, what: &str) {
    let step = &plan.way(way)[at];
    assert!(caught, "{} {} {}: {what}, and the linter is silent", step.id, step.action.kind(), step.target);
}

#[test]
fn the_law_catches_its_damage() {
    let cases: &[fn(&mut Plan)] = &[
        |p| p.policy.capacity_floor = None,
        |p| p.policy.capacity_floor = Some(3),
        |p| p.steps[0].irreversible = true,
        |p| p.steps[4].phase = Phase::Outage,
        |p| p.steps[4].serial.as_mut().unwrap().run = "another".into(),
        |p| p.steps[4].serial.as_mut().unwrap().member = member("n9"),
        |p| p.to = Version::new("20.6.3").unwrap(),
        |p| p.from = Version::new("20.6.0").unwrap(),
        |p| drop(p.steps.remove(0)),
        |p| p.undo.clear(),
    ];
    for (at, damage) in cases.iter().enumerate() {
        let mut plan = made("20.6.2");
        damage(&mut plan);
        if plan.steps[0].id == StepId(2) {
            // Without its staging the first member would be switched to nothing.
            for (step, id) in plan.steps.iter_mut().chain(&mut plan.undo).zip(1..) {
                step.id = StepId(id);
                step.after.iter_mut().for_each(|after| after.0 -= 1);
                step.after_all.iter_mut().for_each(|after| after.0 -= 1);
            }
        }
        assert!(lint(&plan).has(FaultCode::LawRolling), "damage {at} is not caught:\n{}", lint(&plan));
    }
}

/// Members whose drain was handed out and whose admission is not done, by the log alone.
fn out(group: &Group) -> BTreeSet<MemberName> {
    let Some(rollout) = &group.state.rollout else { return BTreeSet::new() };
    let of = |kind: ActionKind| rollout.plan.steps.iter().filter(move |s| s.action.kind() == kind);
    let about = |step: &Step| match &step.target {
        Target::Balancer(_, m) => m.clone(),
        Target::Member(_) | Target::Database(_) => panic!("{:?}", step.target),
    };
    let begun =
        of(ActionKind::Drain).filter(|s| rollout.record(s.id).is_some_and(|r| r.attempt.0 > 0)).map(about);
    let back: BTreeSet<_> = of(ActionKind::Admit).filter(|s| rollout.is_settled(s.id)).map(about).collect();
    begun.filter(|m| !back.contains(m)).collect()
}

fn started(to: &str) -> Group {
    let mut group = Group::new(&text());
    let plan = group.plan_by(Strategy::Rolling, to);
    group.approve_and_start(&plan);
    group
}

/// Leads and works until nothing moves any more, at most `turns` times.
fn go(group: &mut Group, turns: usize) {
    for _ in 0..turns {
        group.lead();
        assert!(out(group).len() <= 1, "capacity_floor: {:?} are out", out(group));
        for assignment in group.assignments() {
            group.finish(&assignment);
        }
    }
}

#[test]
fn one_member_at_a_time_until_all_are_through() {
    for to in ["20.6.1", "20.6.2"] {
        let mut group = started(to);
        go(&mut group, 80);
        let done = group.state.history.back().expect("it ends");
        assert!(matches!(done.status, Status::Completed { .. }), "{:?}", done.status);
        assert!(done.no_return.is_none() && done.grants.is_empty());
    }
}

#[test]
fn the_floor_is_kept_while_a_member_is_missing() {
    let mut group = started("20.6.1");
    // Nothing has begun, and one of three is gone: with a second one out only one would be left.
    group.up.remove(&member("n3"));
    group.clock += 60_000;
    go(&mut group, 10);
    assert_eq!(out(&group), BTreeSet::new());
    let facts = group.facts();
    let whys = why(&group.state, &facts);
    let hold = whys.iter().find(|w| w.code == "capacity-floor").unwrap_or_else(|| panic!("{whys:#?}"));
    assert!(hold.text.contains("missing: n3") && hold.text.contains("the floor is 2"), "{}", hold.text);
    // It is back, and everything goes on by itself.
    group.up.insert(member("n3"));
    go(&mut group, 80);
    let facts = group.facts();
    assert!(group.state.rollout.is_none(), "{:?}", why(&group.state, &facts));
}

/// Aborted at every point, the member that is out is put back at the old version, and nobody else is touched.
#[test]
fn an_abort_puts_back_the_member_that_is_out() {
    for to in ["20.6.1", "20.6.2"] {
        for turns in 0..40 {
            for fail in [false, true] {
                let mut group = started(to);
                go(&mut group, turns);
                if group.state.rollout.is_none() {
                    continue;
                }
                group.lead();
                if group.state.rollout.is_none() {
                    continue;
                }
                let given = group.assignments();
                if let Some(assignment) = given.first().filter(|_| fail) {
                    group.outcome(&assignment.attempt, bad(None));
                }
                let reply = group
                    .commit(Some(&person("ola", Role::Operator)), Command::Abort { reason: "enough".into() });
                assert!(!matches!(reply, Reply::Rejected(_)), "{reply:?}");
                // What was under way ends after the abort.
                for assignment in given.iter().filter(|_| !fail) {
                    let wanted = lockkeeper_core::rollout::Assignment { wanted: true, ..assignment.clone() };
                    group.finish(&wanted);
                }
                let mut stopped = Vec::new();
                for _ in 0..40 {
                    group.lead();
                    for assignment in group.assignments() {
                        let step = &assignment.step;
                        if step.action.kind() == ActionKind::StopService {
                            stopped.push(step.target.clone());
                        }
                        group.finish(&assignment);
                    }
                }
                assert!(stopped.len() <= 1, "{to} after {turns} turns: {stopped:?}");
                let facts = group.facts();
                let whys = why(&group.state, &facts);
                let done = group.state.history.back();
                let done = done.unwrap_or_else(|| panic!("{to} after {turns} turns: {whys:#?}"));
                assert!(matches!(done.status, Status::Aborted { .. }), "{:?}", done.status);
                assert!(done.owed.values().all(|owed| !owed.state.is_open()), "owed_settled");
            }
        }
    }
}
