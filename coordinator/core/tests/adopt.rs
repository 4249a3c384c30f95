//! Adoption: plans for clusters that somebody began to upgrade by hand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::{
    SAMPLE, cluster,
    drive::{Group, bad},
    generate, member, observed, plan_with, version,
};
use lockkeeper_core::{
    cluster::ClusterSpec,
    fault::FaultCode,
    ids::{DatabaseName, StepId},
    lint::lint,
    plan::{Action, ActionKind, Glyphs, Observed, Plan, PlanReport, Target, bound_differences},
    rollout::state::Status,
};
use proptest::prelude::*;

/// The sample cluster with the database and these members at the new version.
fn half(new: &[&str], schema: &str) -> (ClusterSpec, Observed) {
    let spec = cluster(SAMPLE);
    let mut seen = observed(&spec, "20.6.1", schema);
    for name in new {
        seen.members.get_mut(&member(name)).unwrap().version = Some(version("26.5.0"));
    }
    (spec, seen)
}

fn adopted(new: &[&str]) -> (Plan, PlanReport) {
    let (spec, seen) = half(new, "26");
    plan_with(&spec, &seen, "26.5.0", true).unwrap_or_else(|r| panic!("{r}"))
}

fn way(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|s| format!("{} {}", s.action.kind(), s.target)).collect()
}

#[test]
fn who_is_new_is_proven_and_who_is_old_follows() {
    let (plan, _) = adopted(&["n1"]);
    assert_eq!(
        way(&plan),
        [
            "judge-schema main",
            "prove n1",
            "stage-release n2",
            "stage-release n3",
            "drain front/n2",
            "drain front/n3",
            "stop-service n2",
            "stop-service n3",
            "judge-schema main",
            "admit front/n1",
            "switch-release n2",
            "switch-release n3",
            "start-service n2",
            "prove n2",
            "start-service n3",
            "prove n3",
            "admit front/n2",
            "admit front/n3",
        ]
    );
    assert!(plan.undo.is_empty() && plan.restore.is_empty());
    assert!(plan.policy.upgraders.is_empty(), "nobody is elected");
    assert_eq!(plan.from, version("20.6.1"));
    assert_eq!(lint(&plan).errors(), 0, "{}", lint(&plan));
}

/// Where nobody fits the schema yet, the door is shut at no cost: nobody would be served anyway.
#[test]
fn with_the_database_alone_done_the_door_is_shut_until_all_are_switched() {
    let (plan, _) = adopted(&[]);
    let way = way(&plan);
    let at = |what: &str| way.iter().position(|s| s == what).unwrap_or_else(|| panic!("{what} in {way:?}"));
    assert!(at("stop-service n3") < at("prove-no-writers main"));
    assert!(at("prove-no-writers main") < at("shut-door main"));
    assert!(at("shut-door main") < at("switch-release n1"));
    assert!(at("switch-release n3") < at("open-door main"));
    assert!(at("open-door main") < at("start-service n1"));
    let back: Vec<_> = plan.undo.iter().map(|s| s.action.kind()).collect();
    assert_eq!(back, [ActionKind::OpenDoor], "the way back starts no old release");
    assert_eq!(lint(&plan).errors(), 0, "{}", lint(&plan));
}

#[test]
fn a_cluster_that_is_all_there_is_proven_and_admitted() {
    let (plan, report) = adopted(&["n1", "n2", "n3"]);
    assert_eq!(
        way(&plan),
        [
            "judge-schema main",
            "prove n1",
            "prove n2",
            "prove n3",
            "admit front/n1",
            "admit front/n2",
            "admit front/n3",
        ]
    );
    assert_eq!(lint(&plan).errors(), 0, "{}", lint(&plan));
    assert!(report.text(Glyphs::Ascii).contains("no hop"));
}

#[test]
fn without_adopt_a_half_upgraded_cluster_is_refused_and_told_the_way() {
    for (new, code) in [(&["n1"][..], FaultCode::MixedVersions), (&[], FaultCode::SchemaFinished)] {
        let (spec, seen) = half(new, "26");
        let report = plan_with(&spec, &seen, "26.5.0", false).err().unwrap();
        assert!(report.has(code), "{report}");
        assert!(report.text().contains("lockkeeper plan --to 26.5.0 --adopt"), "{report}");
    }
}

#[test]
fn what_is_not_finished_is_not_adopted() {
    for (new, schema, advice) in [
        (&["n1"][..], "24", "finish the upgrade of main"),
        (&["n1"], "23", "finish the upgrade of main"),
        (&[], "24", "without --adopt"),
    ] {
        let (spec, seen) = half(new, schema);
        let report = plan_with(&spec, &seen, "26.5.0", true).err().unwrap();
        assert!(report.has(FaultCode::AdoptTouched), "{report}");
        assert!(report.text().contains(advice), "{report}");
    }
    let spec = cluster(&SAMPLE.replace(", after = \"26\"", ""));
    let (_, seen) = half(&["n1"], "26");
    let report = plan_with(&spec, &seen, "26.5.0", true).err().unwrap();
    assert!(report.has(FaultCode::AdoptUnjudged), "{report}");
}

#[test]
fn a_third_version_and_a_higher_one_are_refused() {
    let (spec, mut seen) = half(&["n1"], "26");
    seen.members.get_mut(&member("n2")).unwrap().version = Some(version("21.0.0"));
    let report = plan_with(&spec, &seen, "26.5.0", true).err().unwrap();
    assert!(report.has(FaultCode::MixedVersions), "{report}");
    let (spec, mut seen) = half(&["n1"], "26");
    for name in ["n2", "n3"] {
        seen.members.get_mut(&member(name)).unwrap().version = Some(version("27.0.0"));
    }
    let report = plan_with(&spec, &seen, "26.5.0", true).err().unwrap();
    assert!(report.has(FaultCode::Downgrade), "{report}");
}

/// The schema is a bound fact, the caches of a release in use are none.
#[test]
fn the_finished_schema_is_bound() {
    let (spec, mut seen) = half(&["n1"], "26");
    let digest = |text: &str| Some(lockkeeper_core::ids::Digest::of(text.as_bytes()));
    seen.members.get_mut(&member("n1")).unwrap().release = digest("with caches");
    seen.members.get_mut(&member("n2")).unwrap().release = digest("as installed");
    let (plan, _) = plan_with(&spec, &seen, "26.5.0", true).unwrap_or_else(|r| panic!("{r}"));
    seen.members.get_mut(&member("n1")).unwrap().release = digest("more caches");
    assert_eq!(bound_differences(&plan.bound, &seen), []);
    seen.databases.get_mut(&DatabaseName::new("main").unwrap()).unwrap().schema = "25".into();
    assert_eq!(bound_differences(&plan.bound, &seen).len(), 1);
}

/// Played to the end: nothing is elected or granted, what was taken out is given back, and who was new owes nothing.
#[test]
fn an_adopted_rollout_ends_completed() {
    let mut group = Group::new(SAMPLE);
    let (plan, _) = adopted(&["n1"]);
    let plan = group.bound_here(plan);
    group.approve_and_start(&plan);
    for _ in 0..200 {
        group.lead();
        for assignment in group.assignments() {
            group.finish(&assignment);
        }
        if group.state.rollout.is_none() {
            break;
        }
        group.clock += 100;
    }
    let done = group.state.history.back().expect("it ended");
    assert!(matches!(done.status, Status::Completed { .. }), "{:?}", done.status);
    assert!(done.grants.is_empty() && done.no_return.is_none());
    let owed: Vec<&str> = done.owed.keys().map(|key| key.0.as_str()).collect();
    assert_eq!(owed, ["front/n2", "front/n3", "n2/service", "n3/service"]);
}

/// An abort leaves the old ones out: they wait for a person to answer for them, and nothing is started.
#[test]
fn an_abort_starts_no_old_release() {
    let mut group = Group::new(SAMPLE);
    let plan = group.bound_here(adopted(&["n1"]).0);
    group.approve_and_start(&plan);
    for _ in 0..200 {
        group.lead();
        for assignment in group.assignments() {
            if assignment.step.action.kind() == ActionKind::SwitchRelease {
                group.outcome(&assignment.attempt, bad(None));
            } else {
                group.finish(&assignment);
            }
        }
        group.clock += 100;
    }
    let ola = common::drive::person("ola", lockkeeper_core::identity::Role::Operator);
    group.must(Some(&ola), lockkeeper_core::rollout::Command::Abort { reason: "not tonight".into() });
    for _ in 0..20 {
        assert!(group.assignments().is_empty(), "nothing is done on the way back");
        group.lead();
    }
    assert!(group.state.rollout.is_some(), "it is owed still");
    let facts = group.facts();
    let told = lockkeeper_core::rollout::why(&group.state, &facts);
    let told: Vec<&str> =
        told.iter().filter(|w| w.code == "still-owed").map(|w| w.subject.as_str()).collect();
    assert_eq!(
        told,
        ["front/n2", "front/n3", "n2/service", "n3/service"],
        "somebody is told whose business it is"
    );
    for key in ["front/n2", "front/n3", "n2/service", "n3/service"] {
        let key = lockkeeper_core::plan::OwedKey(key.into());
        let accept = lockkeeper_core::rollout::Command::AcceptOwed { key, reason: "by hand tomorrow".into() };
        group.must(Some(&ola), accept);
    }
    group.lead();
    assert!(matches!(group.state.history.back().unwrap().status, Status::Aborted { .. }));
}

/// Who was out before is not ours: not owed, not put back by an abort, let in because it is proven; and whoever puts it back
/// in the meantime makes the plan stale.
#[test]
fn servers_found_out_are_not_owed_and_are_named() {
    let (spec, mut seen) = half(&["n1"], "26");
    let front = lockkeeper_core::ids::BalancerName::new("front").unwrap();
    let states = [("n1", "maint"), ("n2", "drain"), ("n3", "ready")];
    let states = states.map(|(name, state)| (member(name), state.to_owned()));
    seen.balancers.insert(front.clone(), states.into_iter().collect());
    let (mut plan, report) = plan_with(&spec, &seen, "26.5.0", true).unwrap_or_else(|r| panic!("{r}"));
    assert_eq!(lint(&plan).errors(), 0, "{}", lint(&plan));
    assert!(report.text(Glyphs::Ascii).contains("neither owed nor undone: n1 maint, n2 drain"));
    let owed: Vec<&str> = report.owed.iter().map(|key| key.0.as_str()).collect();
    assert_eq!(owed, ["front/n3", "n2/service", "n3/service"]);
    let admits = plan.steps.iter().filter(|s| s.action.kind() == ActionKind::Admit);
    assert_eq!(admits.filter(|s| s.settles.is_none()).count(), 2);
    assert_eq!(bound_differences(&plan.bound, &seen), []);
    seen.balancers.get_mut(&front).unwrap().insert(member("n2"), "ready".into());
    assert_eq!(bound_differences(&plan.bound, &seen).len(), 1);
    // Without the finding nothing may stay unowed, and what is found may not be owed.
    plan.bound.out.clear();
    assert!(lint(&plan).has(FaultCode::LawOwedForward));
    plan.bound.out.insert(front, std::iter::once((member("n3"), "drain".to_owned())).collect());
    assert!(lint(&plan).has(FaultCode::LawAdoptedNoUpgrade));
}

/// The facts are compared until a release is switched; then the plan itself changes them.
#[test]
fn changed_facts_hold_an_adoption_until_the_first_switch() {
    let mut group = Group::new(SAMPLE);
    let plan = group.bound_here(adopted(&["n1"]).0);
    group.approve_and_start(&plan);
    let mut facts = group.facts();
    facts.bound_differs = Some("n2 has version 26.5.0".into());
    assert_eq!(lockkeeper_core::rollout::next(&group.state, &facts), []);
    assert!(!group.lead().is_empty());
}

fn without(plan: &Plan, at: usize) -> Plan {
    let mut plan = plan.clone();
    let gone = StepId(u32::try_from(at + 1).unwrap());
    let waits: Vec<StepId> = plan.every_step().find(|s| s.id == gone).map(|s| s.after.clone()).unwrap();
    let barrier = plan.every_step().find(|s| s.id == gone).unwrap().after_all;
    for steps in [&mut plan.steps, &mut plan.undo] {
        steps.retain(|s| s.id != gone);
        for step in steps.iter_mut() {
            if step.after.contains(&gone) {
                step.after.extend(waits.iter().copied());
                step.after_all = step.after_all.max(barrier);
            }
            step.after.retain(|a| *a != gone);
            let place = |id: StepId| if id > gone { StepId(id.0 - 1) } else { id };
            step.after = step.after.iter().map(|a| place(*a)).collect();
            step.after.sort();
            step.after.dedup();
            step.after_all = step.after_all.map(|all| if all >= gone { StepId(all.0 - 1) } else { all });
            step.id = place(step.id);
        }
    }
    plan
}

#[test]
fn each_law_of_an_adoption_catches_its_own_damage() {
    type Damage = (FaultCode, &'static [&'static str], fn(&mut Plan));
    fn first(plan: &mut Plan, kind: ActionKind) -> &mut lockkeeper_core::plan::Step {
        plan.steps.iter_mut().find(|s| s.action.kind() == kind).unwrap()
    }
    let cases: &[Damage] = &[
        (FaultCode::LawAdoptedNoUpgrade, &["n1"], |p| p.steps[0].irreversible = true),
        (FaultCode::LawAdoptedNoUpgrade, &["n1"], |p| {
            p.policy.upgraders.insert(DatabaseName::new("main").unwrap(), vec![member("n1")]);
        }),
        (FaultCode::LawAdoptedNoUpgrade, &[], |p| {
            let Action::ShutDoor(act) = first(p, ActionKind::ShutDoor).action.clone() else { panic!() };
            first(p, ActionKind::ShutDoor).action = Action::Backup(act);
        }),
        (FaultCode::LawAdoptedJudged, &["n1"], |p| {
            p.bound.databases.values_mut().for_each(|d| d.schema = "25".into());
        }),
        (FaultCode::LawAdoptedJudged, &["n1"], |p| {
            p.adopt.as_mut().unwrap().finished.values_mut().for_each(|j| j.after = "25".into());
        }),
        (FaultCode::LawAdoptedJudged, &["n1"], |p| p.adopt.as_mut().unwrap().finished.clear()),
        (FaultCode::LawAdoptedJudged, &["n1"], |p| *p = without(p, 0)),
        (FaultCode::LawAdoptedJudged, &["n1"], |p| *p = without(p, 8)),
        (FaultCode::LawAdoptedOldOut, &["n1"], |p| {
            let step = first(p, ActionKind::SwitchRelease);
            (step.after, step.after_all) = (vec![StepId(1)], None);
        }),
        (FaultCode::LawAdoptedOldOut, &["n1"], |p| {
            let from = p.from.clone();
            let Action::StartService(start) = &mut first(p, ActionKind::StartService).action else {
                panic!()
            };
            start.version = from;
        }),
        (FaultCode::LawAdoptedOldOut, &[], |p| p.undo.clear()),
        (FaultCode::LawAdoptedOldOut, &[], |p| {
            let start = first(p, ActionKind::StartService).clone();
            let id = StepId(p.undo.last().unwrap().id.0 + 1);
            p.undo.push(lockkeeper_core::plan::Step { id, after: vec![], after_all: None, ..start });
        }),
        (FaultCode::LawAdoptedOldOut, &[], |p| {
            let step = first(p, ActionKind::OpenDoor);
            (step.after, step.after_all) = (vec![StepId(1)], None);
        }),
        (FaultCode::LawAdoptedWhole, &["n1"], |p| *p = without(p, 1)),
        (FaultCode::LawAdoptedWhole, &["n1"], |p| *p = without(p, 7)),
        (FaultCode::LawAdoptedWhole, &["n1"], |p| *p = without(p, 9)),
        (FaultCode::LawAdoptedWhole, &["n1"], |p| {
            first(p, ActionKind::Drain).target =
                Target::Balancer(lockkeeper_core::ids::BalancerName::new("front").unwrap(), member("n1"));
        }),
        (FaultCode::LawSerialStart, &["n1"], |p| first(p, ActionKind::StartService).serial = None),
    ];
    for (at, (law, new, damage)) in cases.iter().enumerate() {
        let (mut plan, _) = adopted(new);
        damage(&mut plan);
        let report = lint(&plan);
        assert!(report.has(*law), "damage {at}: {law} is silent:\n{report}");
    }
    // Neither mark passes for the other: an ordinary plan cannot dress as an adoption, nor the other way round.
    let (mut bare, _) = adopted(&["n1"]);
    bare.adopt = None;
    assert!(lint(&bare).has(FaultCode::LawOneUpgrade));
    let (spec, seen) = half(&[], "23");
    let (mut dressed, _) = plan_with(&spec, &seen, "26.5.0", false).unwrap_or_else(|r| panic!("{r}"));
    dressed.adopt = adopted(&[]).0.adopt;
    assert!(lint(&dressed).has(FaultCode::LawAdoptedNoUpgrade));
}

/// How far somebody came by hand.
#[derive(Debug, Clone)]
struct Half {
    shape: generate::Shape,
    /// By member: whether it has the new version.
    new: Vec<bool>,
    /// By database: what the schema reads.
    schemas: Vec<u8>,
}

fn half_upgraded() -> impl Strategy<Value = Half> {
    let parts = (
        generate::shape(1..=12),
        prop::collection::vec(any::<bool>(), 12),
        prop::collection::vec(1_u8..=2, 2),
    );
    parts.prop_map(|(shape, new, schemas)| Half { shape, new, schemas })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    /// However far somebody came: a plan with a finished schema never holds an upgrade or a grant, with or without
    /// `--adopt`, and no old release runs once a new one is started or admitted. All others are refused.
    #[test]
    fn no_half_upgraded_cluster_is_upgraded_twice(half in half_upgraded(), adopt in any::<bool>()) {
        let text = half.shape.text().replace("schema.query = \"select v from s\"\n", "schema = { query = \"select v from s\", after = \"2\" }\n");
        let spec = cluster(&text);
        let mut seen = observed(&spec, "1.0", "1");
        for (name, new) in spec.members.keys().zip(&half.new) {
            seen.members.get_mut(name).unwrap().version = Some(version(if *new { "2.0" } else { "1.0" }));
        }
        for (name, schema) in spec.databases.keys().zip(&half.schemas) {
            seen.databases.get_mut(name).unwrap().schema = schema.to_string();
        }
        let finished = |name: &DatabaseName| seen.databases[name].schema == "2";
        let all_finished = spec.databases.keys().all(finished);
        let new = |name| seen.members[name].version == Some(version("2.0"));
        let plan = match plan_with(&spec, &seen, "2.0", adopt) {
            Ok((plan, _)) => plan,
            Err(report) => {
                prop_assert!(!(adopt && all_finished), "an adoption was refused:\n{report}");
                return Ok(());
            }
        };
        prop_assert_eq!(lint(&plan).errors(), 0, "{}", lint(&plan));
        for step in plan.every_step() {
            if let (true, Target::Database(name)) = (step.grant.is_some() || step.irreversible, &step.target) {
                prop_assert!(!finished(name), "a grant on the finished {name}");
            }
        }
        if !adopt {
            prop_assert!(spec.members.keys().all(|m| !new(m)) && !spec.databases.keys().any(finished));
            return Ok(());
        }
        prop_assert!(all_finished);
        // Played in the order of numbers: what runs, and what it meets.
        let mut old_runs: std::collections::BTreeSet<_> = spec.members.keys().filter(|m| !new(m)).cloned().collect();
        for step in &plan.steps {
            match &step.action {
                Action::StopService(stop) => { old_runs.remove(&stop.member); }
                Action::StartService(start) => {
                    prop_assert_eq!(&start.version, &version("2.0"));
                    prop_assert!(old_runs.is_empty(), "{:?} still run", old_runs);
                }
                Action::Admit(_) | Action::SwitchRelease(_) => prop_assert!(old_runs.is_empty(), "{:?} still run", old_runs),
                _ => {}
            }
        }
        prop_assert!(old_runs.is_empty());
        prop_assert!(plan.undo.iter().chain(&plan.restore).all(|s| s.action.kind() != ActionKind::StartService));
    }
}
