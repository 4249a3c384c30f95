//! The linter against the planner, and against damaged plans: whatever is taken from a plan, some law notices.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::{SAMPLE, cluster, generate::shape, observed, plan};
use lockkeeper_core::{
    fault::FaultCode,
    ids::StepId,
    lint::lint,
    plan::{Action, ActionKind, Plan, Step, Who},
};
use proptest::prelude::*;

fn made(text: &str) -> Plan {
    let spec = cluster(text);
    plan(&spec, &observed(&spec, "1.0", "1"), "2.0").unwrap_or_else(|r| panic!("{r}")).0
}

fn errors(plan: &Plan) -> String {
    let report = lint(plan);
    if report.errors() == 0 { String::new() } else { report.text() }
}

/// The plan without one step; those behind it move up, those that waited for it wait for what it waited for.
fn without(plan: &Plan, at: usize) -> Plan {
    let mut plan = plan.clone();
    let gone = StepId(u32::try_from(at + 1).unwrap());
    let place = |id: StepId| if id > gone { StepId(id.0 - 1) } else { id };
    let inherited = plan.every_step().find(|s| s.id == gone).map(waits).unwrap_or_default();
    let mend = |steps: Vec<Step>| -> Vec<Step> {
        steps
            .into_iter()
            .filter(|s| s.id != gone)
            .map(|mut s| {
                if s.after.contains(&gone) {
                    s.after.extend(inherited.iter().copied());
                }
                s.after = s.after.iter().filter(|a| **a != gone).map(|a| place(*a)).collect();
                s.after.sort();
                s.after.dedup();
                // A barrier behind the gone step moves up with it; one at its place holds what was before it.
                s.after_all = s.after_all.map(|all| if all >= gone { StepId(all.0 - 1) } else { all });
                s.id = place(s.id);
                s
            })
            .collect()
    };
    plan.steps = mend(plan.steps);
    plan.undo = mend(plan.undo);
    plan.restore = mend(plan.restore);
    plan
}

/// All it waits for, one by one.
fn waits(step: &Step) -> Vec<StepId> {
    (1..=step.after_all.map_or(0, |all| all.0)).map(StepId).chain(step.after.iter().copied()).collect()
}

/// It waits for nothing any more.
fn loose(step: &mut Step) {
    (step.after, step.after_all) = (Vec::new(), None);
}

/// Every way to weaken what one step waits for: an edge gone, the barrier gone, or the barrier one step earlier.
fn weaker(step: &Step) -> Vec<Step> {
    let mut all: Vec<Step> = Vec::new();
    for edge in 0..step.after.len() {
        all.push(step.clone());
        all.last_mut().unwrap().after.remove(edge);
    }
    if let Some(barrier) = step.after_all {
        all.push(Step { after_all: None, ..step.clone() });
        all.push(Step { after_all: Some(StepId(barrier.0 - 1)), ..step.clone() });
    }
    all
}

fn step_mut(plan: &mut Plan, at: usize) -> &mut Step {
    let (forward, back) = (plan.steps.len(), plan.steps.len() + plan.undo.len());
    if at < forward {
        &mut plan.steps[at]
    } else if at < back {
        &mut plan.undo[at - forward]
    } else {
        &mut plan.restore[at - back]
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Law-abiding: whatever the cluster, the planner's plan passes, and planning twice gives the same plan.
    #[test]
    fn the_planner_obeys_every_law(shape in shape(1..=50)) {
        let text = shape.text();
        let plan = made(&text);
        prop_assert_eq!(errors(&plan), "");
        prop_assert_eq!(&plan, &made(&text));
    }

    /// No step is there for nothing.
    #[test]
    fn no_step_can_be_left_out(shape in shape(1..=6), pick in any::<prop::sample::Index>()) {
        let plan = made(&shape.text());
        let at = pick.index(plan.every_step().count());
        let kind = step_mut(&mut plan.clone(), at).action.kind();
        prop_assert!(!errors(&without(&plan, at)).is_empty(), "step {} {kind} was not missed", at + 1);
    }

    /// No edge is there for nothing.
    #[test]
    fn no_edge_can_be_left_out(shape in shape(1..=6), pick in any::<prop::sample::Index>()) {
        let mut plan = made(&shape.text());
        let edges: Vec<(usize, Step)> = plan.every_step().enumerate()
            .flat_map(|(at, s)| weaker(s).into_iter().map(move |weak| (at, weak)))
            .collect();
        let (at, weak) = &edges[pick.index(edges.len())];
        let before = step_mut(&mut plan, *at).after_text();
        *step_mut(&mut plan, *at) = weak.clone();
        prop_assert!(!errors(&plan).is_empty(), "step {} need not wait for {before}", at + 1);
    }

    /// Two steps cannot change places, but for two that may come in any order.
    #[test]
    fn no_two_steps_can_be_swapped(shape in shape(1..=6), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let mut plan = made(&shape.text());
        let (a, b) = (a.index(plan.steps.len()), b.index(plan.steps.len()));
        let kinds = [plan.steps[a].action.kind(), plan.steps[b].action.kind()];
        prop_assume!(kinds[0] != kinds[1]);
        // With the grant closed it is all the same whether the door is opened or the release is switched first.
        prop_assume!(!(kinds.contains(&ActionKind::OpenDoor) && kinds.contains(&ActionKind::SwitchRelease)));
        // Nor does it matter in which order two databases' grants follow each other.
        let grants = [&plan.steps[a].grant, &plan.steps[b].grant];
        prop_assume!(grants.contains(&&None) || grants[0] == grants[1]);
        let place = |s: &Step| (s.id, s.after.clone(), s.after_all);
        let (place_a, place_b) = (place(&plan.steps[a]), place(&plan.steps[b]));
        plan.steps.swap(a, b);
        for (at, place) in [(a, place_a), (b, place_b)] {
            (plan.steps[at].id, plan.steps[at].after, plan.steps[at].after_all) = place;
        }
        prop_assert!(!errors(&plan).is_empty(), "steps {} and {} changed places", a + 1, b + 1);
    }
}

fn sample() -> Plan {
    let spec = cluster(SAMPLE);
    plan(&spec, &observed(&spec, "20.6.1", "23"), "26.5.0").unwrap().0
}

/// The damage is caught by the law that names it.
#[track_caller]
fn caught(plan: &Plan, law: FaultCode) {
    let report = lint(plan);
    assert!(report.has(law), "{law} is silent:\n{report}");
}

fn first(plan: &mut Plan, kind: ActionKind) -> &mut Step {
    plan.steps.iter_mut().find(|s| s.action.kind() == kind).unwrap()
}

/// Every law catches the damage it is there for.
#[test]
fn each_law_catches_its_own_damage() {
    type Damage = (FaultCode, fn(&mut Plan));
    let cases: &[Damage] = &[
        (FaultCode::LawOrder, |p| p.steps[0].id = StepId(7)),
        (FaultCode::LawOrder, |p| p.steps[0].after = vec![StepId(2)]),
        (FaultCode::LawOrder, |p| p.steps[0].after_all = Some(StepId(1))),
        (FaultCode::LawOrder, |p| p.undo[0].after_all = Some(StepId(3))),
        (FaultCode::LawStagedBeforeOutage, |p| loose(first(p, ActionKind::Drain))),
        (FaultCode::LawDrainBeforeStop, |p| loose(first(p, ActionKind::StopService))),
        (FaultCode::LawStopBeforeDatabase, |p| {
            first(p, ActionKind::ProveNoWriters).after_all = Some(StepId(8))
        }),
        (FaultCode::LawBackupBeforeUpgrade, |p| loose(first(p, ActionKind::Backup))),
        (FaultCode::LawDoorBeforeGrant, |p| first(p, ActionKind::MintCredential).after = vec![StepId(12)]),
        (FaultCode::LawGrantWhole, |p| first(p, ActionKind::CloseGrant).grant = None),
        (FaultCode::LawOneUpgrade, |p| first(p, ActionKind::UpgradeDatabase).irreversible = false),
        (FaultCode::LawExecutorNotHolder, |p| first(p, ActionKind::CloseGrant).who = Who::Executor),
        (FaultCode::LawOwedForward, |p| first(p, ActionKind::Admit).settles = None),
        (FaultCode::LawOwedUndo, |p| *p = without(p, p.steps.len() + p.undo.len() - 1)),
        (FaultCode::LawSerialStart, |p| first(p, ActionKind::StartService).serial = None),
        (FaultCode::LawProofBeforeAdmit, |p| first(p, ActionKind::Admit).after = vec![StepId(22)]),
        (FaultCode::LawUndoBeforeNoReturn, |p| first(p, ActionKind::ShutDoor).after = vec![StepId(16)]),
        (FaultCode::LawTwoExecutors, |p| p.policy.executors.clear()),
        (FaultCode::LawOpenBeforeStart, |p| loose(first(p, ActionKind::SwitchRelease))),
        (FaultCode::LawNobodyForgotten, |p| *p = without(p, 6)),
        (FaultCode::LawDeadlines, |p| p.steps[0].deadline.hard.0 = 0),
        (FaultCode::LawRestoreWhole, |p| p.restore.clear()),
        (FaultCode::LawRestoreWhole, |p| {
            let restore =
                p.restore.iter_mut().find(|s| s.action.kind() == ActionKind::RestoreDatabase).unwrap();
            let Action::RestoreDatabase(action) = &mut restore.action else { panic!() };
            action.set.push('x');
        }),
        (FaultCode::LawRestoreOrder, |p| {
            let quiet = p.restore.iter_mut().find(|s| s.action.kind() == ActionKind::ProveNoWriters).unwrap();
            loose(quiet);
        }),
    ];
    for (law, damage) in cases {
        let mut plan = sample();
        damage(&mut plan);
        // An undo of a step behind the point of no return needs that step to really come after it.
        if *law == FaultCode::LawUndoBeforeNoReturn {
            let upgrade = plan.steps.iter().position(|s| s.irreversible).unwrap();
            let shut = plan.steps.iter().position(|s| s.action.kind() == ActionKind::ShutDoor).unwrap();
            let (a, b) = (plan.steps[shut].id, plan.steps[upgrade].id);
            plan.steps.swap(shut, upgrade);
            plan.steps[shut].id = a;
            plan.steps[upgrade].id = b;
            plan.steps[shut].after = vec![StepId(12)];
            plan.steps[upgrade].after = vec![StepId(13)];
        }
        caught(&plan, *law);
    }
}

/// Secrets and password placeholders are found wherever they stand.
#[test]
fn secrets_in_a_plan_are_refused_and_not_shown() {
    let text = serde_json::to_string(&sample()).unwrap();
    for (from, to, law) in [
        ("file:/etc/lockkeeper/secrets/pg", "hunter2", FaultCode::LawNoSecret),
        ("http://10.77.0.11", "http://admin:hunter2@10.77.0.11", FaultCode::LawNoSecret),
        ("{credential.file}", "{credential.password}", FaultCode::LawNoPasswordArgument),
        (
            "{\"kind\":\"file-template\",\"template\":\"/etc/kinto/upgrade.ini\"}",
            "{\"kind\":\"none\"}",
            FaultCode::LawCredentialDelivered,
        ),
    ] {
        assert!(text.contains(from), "{from}");
        let plan: Plan = serde_json::from_str(&text.replace(from, to)).unwrap();
        caught(&plan, law);
        assert!(!lint(&plan).text().contains("hunter2"));
    }
}

/// One agent for a shared target is a warning, not an error.
#[test]
fn one_executor_is_a_warning() {
    let mut plan = sample();
    for (_, members) in &mut plan.policy.executors {
        members.truncate(1);
    }
    let report = lint(&plan);
    assert!(report.has(FaultCode::FewExecutors) && report.warnings() > 0);
}

/// The same as the properties, for every edge and every step of the sample cluster's plan.
#[test]
fn every_edge_and_step_of_the_sample_matters() {
    let plan = sample();
    for at in 0..plan.every_step().count() {
        assert!(!errors(&without(&plan, at)).is_empty(), "step {} is not missed", at + 1);
        for weak in weaker(step_mut(&mut plan.clone(), at)) {
            let mut damaged = plan.clone();
            let before = weak.after_text();
            *step_mut(&mut damaged, at) = weak;
            assert!(!errors(&damaged).is_empty(), "step {} may wait for {before} only", at + 1);
        }
    }
}
