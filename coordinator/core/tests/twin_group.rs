//! A copy of all members: what its log cannot know of the original's, and what a refusal by a ledger does to a rollout.

mod common;

use common::{
    SAMPLE,
    drive::{Group, person},
};
use lockkeeper_core::{
    identity::Role,
    ids::{DatabaseName, LogIndex, RequestId, Token},
    plan::ActionKind,
    rollout::{
        Assignment, Command, Envelope, Mark, OutcomeResult, Owner, Reply, State, Status, StepPhase, apply,
        command::HaltCause, limits, marks::TWIN_GROUP, why,
    },
};

fn main_database() -> DatabaseName {
    DatabaseName::new("main").unwrap()
}

fn started() -> Group {
    let mut group = Group::new(SAMPLE);
    let plan = group.plan("26.5.0");
    group.approve_and_start(&plan);
    group
}

/// Goes on until an effect of this kind is handed out.
fn until(group: &mut Group, kind: ActionKind) -> Assignment {
    for _ in 0..200 {
        group.lead();
        let all = group.assignments();
        if let Some(found) = all.iter().find(|a| a.step.action.kind() == kind) {
            return found.clone();
        }
        for assignment in all {
            group.finish(&assignment);
        }
    }
    panic!("{kind} is never handed out");
}

fn refuse(group: &mut Group, assignment: &Assignment) {
    let text = "twin-group: the last effect is another group's".to_owned();
    let result = OutcomeResult::Failed { code: TWIN_GROUP.into(), text, verdict: None };
    assert!(matches!(group.outcome(&assignment.attempt, result), Reply::Applied { .. }));
}

#[test]
fn every_effect_on_a_shared_target_has_a_mark_of_its_own() {
    let mut group = started();
    let mut marks: Vec<Mark> = Vec::new();
    for _ in 0..200 {
        if group.state.rollout.is_none() {
            break;
        }
        for (command, reply) in group.lead() {
            let (Command::Assign { step, .. }, Reply::Applied { index, rollout }) = (command, reply) else {
                continue;
            };
            assert!(rollout.is_some());
            let rollout = group.state.rollout.as_ref().unwrap();
            let shared = rollout.step(step).unwrap().target.shared().is_some();
            let token = Token { generation: rollout.generation, index };
            let mine = group.state.marks.newest(&main_database());
            // Several are handed out in a turn, so the newest may be a later one.
            assert!(!shared || mine.is_some_and(|newest| newest.token >= token));
            if let Some(newest) = mine.filter(|newest| newest.token == token) {
                assert!(shared, "{newest} was made by a step of a host of its own");
                marks.push(newest);
            }
        }
        for assignment in group.assignments() {
            group.finish(&assignment);
        }
    }
    assert!(group.state.rollout.is_none(), "it completed");
    assert!(marks.len() > 5, "{marks:?}");
    let nonces: std::collections::BTreeSet<u64> = marks.iter().map(|mark| mark.nonce).collect();
    assert_eq!(nonces.len(), marks.len(), "no two are alike");
    assert!(marks.is_sorted(), "tokens rise: {marks:?}");
    assert!(marks.iter().all(|mark| group.state.marks.knows(mark)));
}

/// Two groups with a common past hand out the same step at the same index, and do not know each other's mark.
#[test]
fn a_copy_does_not_make_the_originals_mark() {
    let mut group = started();
    until(&mut group, ActionKind::Drain);
    let (index, envelope) = group
        .log
        .iter()
        .rfind(|(_, e)| matches!(e.command, Command::Assign { .. }))
        .map(|(index, envelope)| (*index, envelope.clone()))
        .unwrap();
    let live = |id: &str| {
        let mut state = State::default();
        for (at, earlier) in group.log.iter().filter(|(at, _)| *at < index) {
            apply(&mut state, *at, earlier);
        }
        let proposed = Envelope { id: RequestId(id.into()), ..envelope.clone() };
        assert!(matches!(apply(&mut state, index, &proposed), Reply::Applied { .. }));
        state
    };
    let (original, copy, again) = (live("a"), live("b"), live("a"));
    let (theirs, mine) =
        (original.marks.newest(&main_database()).unwrap(), copy.marks.newest(&main_database()).unwrap());
    assert_eq!(theirs.token, mine.token, "the same step at the same place of the log");
    assert_eq!(mine.token.index, index);
    assert!(!copy.marks.knows(&theirs) && !original.marks.knows(&mine));
    assert_eq!(original, again, "the same log gives the same marks on every member");
}

#[test]
fn a_refusal_halts_whatever_the_policy_allows() {
    let mut group = Group::new(SAMPLE);
    let mut plan = group.plan("26.5.0");
    plan.policy.max_failures = 10;
    plan.hash = lockkeeper_core::plan::hash(&plan);
    group.approve_and_start(&plan);
    let drain = until(&mut group, ActionKind::Drain);
    refuse(&mut group, &drain);
    let rollout = group.state.rollout.as_ref().unwrap();
    let cause = HaltCause::TwinGroup { step: drain.step.id };
    assert!(
        matches!(&rollout.status, Status::Halted { cause: found, .. } if *found == cause),
        "{:?}",
        rollout.status
    );

    // Nothing more is handed out, and people are told what only they can know.
    assert!(!group.lead().iter().any(|(command, _)| matches!(command, Command::Assign { .. })));
    let facts = group.facts();
    let all = why(&group.state, &facts);
    let told = all.iter().find(|w| w.code == "twin-group").unwrap_or_else(|| panic!("{all:#?}"));
    assert_eq!(told.owner, Owner::Person);
    assert!(
        told.remedy.contains("c-1") && told.remedy.contains(&format!("lockkeeper retry {}", drain.step.id))
    );

    // Once a person has settled it, the ledger is asked again.
    let retry = Command::Retry { step: drain.step.id };
    group.must(Some(&person("ola", Role::Operator)), retry);
    assert_eq!(until(&mut group, ActionKind::Drain).step.id, drain.step.id);
}

#[test]
fn a_refusal_is_said_in_the_place_of_an_earlier_cause() {
    let mut group = started();
    until(&mut group, ActionKind::UpgradeDatabase);
    let holder = group.state.rollout.as_ref().unwrap().grants[&main_database()].member.clone();
    group.up.remove(&holder);
    group.clock += 60_000;
    group.lead();
    let close = until(&mut group, ActionKind::CloseGrant);
    refuse(&mut group, &close);
    let rollout = group.state.rollout.as_ref().unwrap();
    assert!(matches!(&rollout.status, Status::Halted { cause: HaltCause::TwinGroup { .. }, .. }));
    assert!(matches!(&rollout.record(close.step.id).unwrap().phase, StepPhase::Failed { .. }));
    // The door of production is not worked by a copy, however often its leader looks.
    for _ in 0..5 {
        assert!(group.lead().is_empty());
    }
}

#[test]
fn marks_are_bounded_and_the_newest_stay() {
    let mut marks = lockkeeper_core::rollout::Marks::default();
    let mark = |n: u64| Mark { token: Token { index: LogIndex(n), ..Token::default() }, nonce: n };
    for n in 0..=limits::MARKS_KEPT as u64 {
        marks.add([&main_database()], mark(n));
    }
    assert!(!marks.knows(&mark(0)) && marks.knows(&mark(1)));
    assert_eq!(marks.newest(&main_database()), Some(mark(limits::MARKS_KEPT as u64)));
}
