//! The agent is killed at every point where it touches anything, and its journal is cut at every byte of the record
//! that was being written; then it lives again and the rollout must end as if nothing had happened.
//!
//! Prints `runs N, differences 0, double effects 0` for each role. The bugs planted at the end are seen by the same oracle.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail and print")]

mod support;

use lockkeeper_core::rollout::{State, Status};
use std::collections::BTreeSet;
use support::{
    group::Log,
    host::World,
    life::{End, Outside, Plot, live},
    plan::Role,
};

/// What must be equal at the end, whatever happened in between.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Final {
    end: End,
    status: String,
    unsettled: Vec<u32>,
    settings: BTreeSet<String>,
    upgraded: u32,
    open_attempts: usize,
    rejected: u32,
    /// Codes of failed attempts, without the one that a lost start of a database upgrade rightly has.
    failures: BTreeSet<String>,
}

fn judge(outside: &Outside, end: End) -> Final {
    let journal = lockkeeper_agent::journal::Journal::open(
        Box::new(lockkeeper_agent::journal::MemoryDisk::holding(
            [&outside.disk[..], &outside.unsynced].concat(),
        )),
        0,
    );
    let state: &State = &outside.log.state;
    let rollout = state.rollout.as_ref().or_else(|| state.history.back().map(AsRef::as_ref)).unwrap();
    Final {
        end,
        status: match &rollout.status {
            Status::Completed { .. } => "completed".into(),
            other => format!("{other:?}"),
        },
        unsettled: rollout.plan.steps.iter().filter(|s| !rollout.is_settled(s.id)).map(|s| s.id.0).collect(),
        settings: outside.world.settings.values().cloned().collect(),
        upgraded: outside.world.upgraded,
        open_attempts: journal.map_or(usize::MAX, |journal| journal.ledger().open().count()),
        rejected: outside.log.rejected,
        failures: outside.log.failures.iter().filter(|code| *code != "LK6101").cloned().collect(),
    }
}

#[derive(Debug, Default)]
struct Count {
    runs: u64,
    points: u64,
    differences: Vec<String>,
    doubles: Vec<String>,
}

impl Count {
    fn end(&mut self, what: &str, outside: &Outside, end: End, wanted: Option<&Final>) {
        self.runs += 1;
        let found = judge(outside, end);
        // An outcome or intent said again after its answer was lost may come too late; that is no difference.
        let same =
            wanted.is_none_or(|wanted| Final { rejected: wanted.rejected, ..found.clone() } == *wanted);
        if !same {
            self.differences.push(format!("{what}: {found:#?}"));
        }
        self.doubles.extend(outside.world.doubles.iter().map(|double| format!("{what}: {double}")));
    }
}

/// Dies once at every point, and once more at some points of the second life.
fn all_cuts(role: Role, lying: bool, every: u64) -> Count {
    let mut count = Count::default();
    let plot = |at| Plot { at, lying, ..Plot::default() };
    let fresh = Outside { log: Log::begun(role), ..Outside::default() };
    let (clean, end, points) = live(&fresh, &plot(0));
    let wanted = judge(&clean, end);
    if !lying {
        assert_eq!(wanted.status, "completed", "{wanted:#?}");
        assert_eq!(wanted.settings, BTreeSet::from([World::ORIGINAL.to_owned()]));
        assert_eq!(
            (wanted.upgraded, wanted.open_attempts, wanted.rejected),
            (u32::from(role == Role::Upgrader), 0, 0)
        );
    }
    count.points = points;
    count.end("clean", &clean, wanted.end.clone(), Some(&wanted));
    for at in (1..=points).step_by(usize::try_from(every).unwrap()) {
        let (dead, end, _) = live(&fresh, &plot(at));
        let End::Died(point) = end else { panic!("point {at} was not reached: {end:?}") };
        let mut heirs = vec![(format!("{at} {point}, process killed"), dead.process_killed())];
        let unsynced = if lying { 0 } else { dead.unsynced.len() };
        heirs.extend((0..=unsynced).map(|kept| {
            (format!("{at} {point}, power lost, {kept} of {unsynced} bytes kept"), dead.power_lost(kept))
        }));
        for (n, (what, heir)) in heirs.into_iter().enumerate() {
            let (after, end, more) = live(&heir, &plot(0));
            count.end(&what, &after, end, Some(&wanted));
            // A second death, at a point that differs from run to run.
            if n < 2 && more > 0 {
                let second = (at * 7 + u64::try_from(n).unwrap()) % more + 1;
                let (dead, end, _) = live(&heir, &plot(second));
                assert!(matches!(end, End::Died(_)), "{end:?}");
                let heir = if n == 0 { dead.process_killed() } else { dead.power_lost(0) };
                let (after, end, _) = live(&heir, &plot(0));
                count.end(&format!("{what}, again at {second}"), &after, end, Some(&wanted));
            }
        }
    }
    count
}

fn report(name: &str, count: &Count) -> String {
    let Count { runs, points, differences, doubles } = count;
    let (differences, doubles) = (differences.len(), doubles.len());
    format!(
        "{name}: runs {runs}, differences {differences}, double effects {doubles} (crash points {points})"
    )
}

fn must_be_clean(name: &str, role: Role) {
    let count = all_cuts(role, false, 1);
    println!("{}", report(name, &count));
    assert!(count.doubles.is_empty(), "{:#?}", count.doubles);
    assert!(
        count.differences.is_empty(),
        "{} differences, the first:\n{}",
        count.differences.len(),
        count.differences[0]
    );
    assert!(count.runs > 1000, "only {} runs", count.runs);
}

#[test]
fn cut_everywhere_as_upgrader() {
    must_be_clean("upgrader", Role::Upgrader);
}

#[test]
fn cut_everywhere_as_executor() {
    must_be_clean("executor", Role::Executor);
}

#[test]
fn a_disk_that_does_not_sync_is_caught() {
    let count = all_cuts(Role::Upgrader, true, 3);
    println!("{}", report("planted: a disk that lies", &count));
    assert!(!count.doubles.is_empty(), "a lost start must show as a second one");
}
