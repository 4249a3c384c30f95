//! Single stories of the executor: stale rights, late starts, deadlines, local policy, a disk that fails.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use lockkeeper_core::{
    ids::StepId,
    plan::ActionKind,
    rollout::{Command, Status, StepPhase},
};
use support::{
    group::{Behaviour, Log},
    host::World,
    life::{End, Outside, Plot, live},
    plan::Role,
};

fn fresh() -> Outside {
    Outside { log: Log::begun(Role::Upgrader), ..Outside::default() }
}

fn effects(outside: &Outside) -> u32 {
    outside.world.effects.values().sum::<u32>() + outside.world.begun.values().sum::<u32>()
}

/// The agent has worked for one group; then a copy of it from before its latest entries is put in its place.
pub fn a_twin_with_lower_tokens() -> (Outside, Outside) {
    let mut padded = fresh();
    let node = padded.log.state.nodes[&support::group::me()].clone();
    for _ in 0..500 {
        padded.log.commit(Command::Announce {
            member: support::group::me(),
            agent_version: node.agent_version.clone(),
            feature: node.feature,
            actions: node.actions.clone(),
        });
    }
    let (after, end, _) = live(&padded, &Plot::default());
    assert_eq!(end, End::Finished);
    let twin = Outside { log: Log::begun(Role::Upgrader), world: World::default(), ..after.clone() };
    let (twin, _, _) = live(&twin, &Plot::default());
    (after, twin)
}

/// What this agent hears is old: meanwhile the rollout was aborted.
pub fn a_view_that_was_overtaken() -> Outside {
    let mut outside = fresh();
    outside.log.drive(&World::default());
    let group = Behaviour { frozen: true, idle: true, slow_reads: Vec::new() };
    let stale = outside.clone();
    outside.log.commit(Command::Abort { reason: "changed our minds".into() });
    let (after, _, _) = support::life::live_behind(&outside, &stale.log, &Plot { group, ..Plot::default() });
    after
}

#[test]
fn a_lower_token_moves_nothing() {
    let (after, twin) = a_twin_with_lower_tokens();
    assert!(effects(&after) > 5, "the first group did work");
    assert_eq!(effects(&twin), 0, "{:?}", twin.world.effects);
    assert!(twin.log.failures.iter().all(|code| code == "LK6107"), "{:?}", twin.log.failures);
    assert!(!twin.log.failures.is_empty(), "the refusal is told, not swallowed");
}

#[test]
fn a_mark_that_is_not_known_yet_is_asked_for() {
    // A colleague was ahead of this agent's view: what the group says after the refusal knows its mark.
    let mut outside = fresh();
    outside.world.twins = (1, 1);
    let (after, end, _) = live(&outside, &Plot::default());
    assert_eq!((end, after.world.twins), (End::Finished, (0, 0)));
    assert!(after.log.failures.is_empty(), "{:?}", after.log.failures);
    assert!(after.world.doubles.is_empty(), "{:?}", after.world.doubles);
}

#[test]
fn a_mark_that_the_group_does_not_know_either_is_a_twins() {
    for twins in [(2, 0), (0, 2)] {
        let mut outside = fresh();
        outside.world.twins = twins;
        let (after, _, _) = live(&outside, &Plot::default());
        assert_eq!(after.log.failures.first().map(String::as_str), Some("LK5239"), "{twins:?}");
        assert!(after.world.doubles.is_empty(), "{:?}", after.world.doubles);
    }
}

#[test]
fn an_overtaken_view_starts_nothing() {
    let after = a_view_that_was_overtaken();
    assert_eq!(effects(&after), 0, "{:?}", after.world.effects);
}

#[test]
fn a_start_long_after_the_question_asks_again() {
    // Every answer comes later than a start may: the effect waits for the first quick one.
    let group = Behaviour { slow_reads: vec![2_500; 4], ..Behaviour::default() };
    let (after, end, _) = live(&fresh(), &Plot { group, ..Plot::default() });
    assert_eq!(end, End::Finished);
    assert!(after.world.times.first().is_some_and(|first| *first >= 4 * 2_500), "{:?}", after.world.times);
}

#[test]
fn a_blocked_attempt_is_told_once_and_taken_back() {
    let (after, end, _) = live(&fresh(), &Plot::default());
    assert_eq!(end, End::Finished);
    let events = &after.log.state.history.back().unwrap().events;
    let told =
        |what: &str| events.iter().filter(|e| e.step == Some(StepId(1)) && e.text.starts_with(what)).count();
    assert_eq!((told("blocked: LK5301"), told("no longer blocked")), (1, 1), "{events:#?}");
}

#[test]
fn past_its_hard_deadline_a_unit_is_ended_and_the_attempt_failed() {
    let mut outside = fresh();
    outside.world.hangs = true;
    // The sample's upgrade may take a day.
    let (after, _, _) = live(&outside, &Plot { hours: 30, ..Plot::default() });
    assert_eq!(after.log.failures.first().map(String::as_str), Some("LK6102"));
    assert!(after.world.doubles.is_empty(), "{:?}", after.world.doubles);
    assert_eq!(after.log.retries, 1, "a new grant was made after the first attempt was over");
}

#[test]
fn what_the_local_policy_forbids_is_refused_with_a_code() {
    let mut plot = Plot::default();
    plot.allowed.remove(&ActionKind::StageRelease);
    // The group believes the earlier announcement for a moment; the agent does not.
    let (after, _, _) = live(&fresh(), &plot);
    assert!(after.log.failures.iter().all(|code| code == "LK6108"), "{:?}", after.log.failures);
    assert!(!after.log.failures.is_empty());
    assert!(!after.world.effects.keys().any(|(step, _)| *step == StepId(1)));
}

#[test]
fn without_its_memory_the_agent_stops() {
    let (clean, _, _) = live(&fresh(), &Plot::default());
    for syncs in 0..40 {
        let (after, end, _) = live(&fresh(), &Plot { syncs: Some(syncs), ..Plot::default() });
        let End::Stopped(Err(error)) = end else { panic!("after {syncs} syncs: {end:?}") };
        assert!(error.contains("Journal("), "{error}");
        // And the next life, on a disk that is sound again, finishes the work without doing anything twice.
        let (healed, end, _) = live(&after.process_killed(), &Plot::default());
        assert_eq!(end, End::Finished, "after {syncs} syncs");
        assert_eq!(healed.world.upgraded, clean.world.upgraded);
        assert!(healed.world.doubles.is_empty(), "after {syncs} syncs: {:?}", healed.world.doubles);
    }
}

#[test]
fn a_halt_gives_back_what_has_not_started() {
    let mut outside = fresh();
    outside.log.drive(&World::default());
    let rollout = outside.log.state.rollout.as_ref().unwrap().id;
    let cause =
        lockkeeper_core::rollout::command::HaltCause::StepFailed { step: StepId(2), code: "LK5301".into() };
    outside.log.commit(Command::Halt { rollout, cause });
    let group = Behaviour { idle: true, ..Behaviour::default() };
    let (after, _, _) = live(&outside, &Plot { group, ..Plot::default() });
    let rollout = after.log.state.rollout.as_ref().unwrap();
    assert!(matches!(rollout.status, Status::Halted { .. }));
    assert_eq!(rollout.record(StepId(1)).unwrap().phase, StepPhase::Pending, "given back");
    assert_eq!(effects(&after), 0);
}

/// The bugs that the stories above are there for, planted.
#[cfg(feature = "plant")]
mod planted {
    use super::*;
    use lockkeeper_agent::plant::{Plant, plant};

    fn with<T>(bug: Plant, story: impl FnOnce() -> T) -> T {
        plant(Some(bug));
        let result = story();
        plant(None);
        result
    }

    #[test]
    fn without_the_fence_a_twin_works() {
        let (_, twin) = with(Plant::SkipFence, a_twin_with_lower_tokens);
        assert!(effects(&twin) > 0);
    }

    #[test]
    fn without_the_question_an_overtaken_view_starts_something() {
        assert!(effects(&with(Plant::SkipConfirm, a_view_that_was_overtaken)) > 0);
    }

    #[test]
    fn silence_taken_for_proof_leaves_no_evidence() {
        let (after, _, _) = with(Plant::BelieveSilence, || live(&fresh(), &Plot::default()));
        let state = &after.log.state;
        let rollout = state.rollout.as_ref().or_else(|| state.history.back().map(AsRef::as_ref)).unwrap();
        let unproven =
            |phase: &StepPhase| matches!(phase, StepPhase::Done { evidence, .. } if evidence.is_empty());
        assert!(rollout.steps.values().any(|record| unproven(&record.phase)));
    }

    #[test]
    fn a_start_that_is_forgotten_or_repeated_is_a_double_effect() {
        for bug in [Plant::SkipStart, Plant::RepeatUpgrade] {
            let doubles = with(bug, || {
                let (_, _, points) = live(&fresh(), &Plot::default());
                (1..=points)
                    .filter(|at| {
                        let (dead, _, _) = live(&fresh(), &Plot { at: *at, ..Plot::default() });
                        !live(&dead.power_lost(0), &Plot::default()).0.world.doubles.is_empty()
                    })
                    .count()
            });
            assert!(doubles > 0, "{bug:?}");
        }
    }
}
