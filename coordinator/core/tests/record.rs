//! The flight recorder: 1,000 simulated rollouts replay to the bit, and what is not as recorded is found.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::generate::Shape;
use lockkeeper_core::{
    ids::Digest,
    plan::Plan,
    record::{Difference, Ending, FaultKind, Night, Script, parse, play, render, simulate},
    rollout::Command,
};
use std::collections::BTreeMap;

fn plan_of(shape: &Shape) -> Plan {
    let spec = common::cluster(&shape.text());
    common::plan(&spec, &common::observed(&spec, "20.6.1", "23"), "26.5.0")
        .unwrap_or_else(|r| panic!("{r}"))
        .0
}

fn small() -> Plan {
    plan_of(&Shape { members: 2, witnesses: 1, databases: 1, balancers: 0, postgres: true, process: false })
}

fn sample() -> Plan {
    let spec = common::cluster(common::SAMPLE);
    common::plan(&spec, &common::observed(&spec, "20.6.1", "23"), "26.5.0")
        .unwrap_or_else(|r| panic!("{r}"))
        .0
}

#[test]
fn a_thousand_recorded_nights_replay_identically() {
    let (plans, began) = ([small(), sample()], std::time::Instant::now());
    let (mut nights, mut entries, mut decisions) = (0, 0, 0);
    let mut endings: BTreeMap<(FaultKind, Ending), u64> = BTreeMap::new();
    'all: for seed in 1.. {
        for kind in FaultKind::ALL {
            // Every twentieth with the sample's plan, which is three times as long.
            let plan = &plans[usize::from(nights % 20 == 7)];
            let (outcome, script) = Night::run(plan, kind, seed).unwrap();
            assert_ne!(outcome.ending, Ending::Stuck, "{kind} {seed}");
            // Every tenth through the file as well; it is the same script then.
            let script = if nights % 10 == 0 {
                let read = parse(&render(&script).unwrap()).unwrap_or_else(|e| panic!("{kind} {seed}: {e}"));
                assert_eq!(read, script);
                read
            } else {
                script
            };
            let played = play(&script).unwrap_or_else(|e| panic!("{kind} {seed}: {e}"));
            assert_eq!(played.entries, script.entries.len() as u64);
            assert_eq!(played.audited, played.entries);
            nights += 1;
            entries += played.entries;
            decisions += played.decisions;
            *endings.entry((kind, outcome.ending)).or_insert(0) += 1;
            if nights == 1_000 {
                break 'all;
            }
        }
    }
    println!("{nights} nights identical: {entries} commands, {decisions} decisions, {:?}", began.elapsed());
    for ((kind, ending), times) in &endings {
        println!("  {kind:<14} {ending:?}: {times}");
    }
    let some = |kind, ending| endings.get(&(kind, ending)).copied().unwrap_or(0);
    assert_eq!(some(FaultKind::None, Ending::Completed), 91);
    assert!(some(FaultKind::Abort, Ending::Aborted) > 20);
    assert!(some(FaultKind::Abort, Ending::Completed) > 5, "aborts past the point of no return are refused");
    assert!(some(FaultKind::UpgradeFailed, Ending::Completed) > 10);
    assert!(some(FaultKind::UpgradeFailed, Ending::NeedsPerson) > 10, "a touched database needs its restore");
    assert!(some(FaultKind::MemberLost, Ending::Completed) > 50);
}

#[test]
fn the_same_seed_gives_the_same_night_and_another_one_another() {
    let plan = small();
    let run = |seed| Night::run(&plan, FaultKind::StepFailed, seed).unwrap();
    assert_eq!(run(7), run(7));
    assert!((1..20).any(|seed| run(seed).0.struck != run(seed + 1).0.struck));
    assert_eq!(Night::outcome(&plan, FaultKind::StepFailed, 7).unwrap(), run(7).0);
}

/// One thing is changed in a recorded night; playing must name the place.
#[test]
fn the_first_difference_is_located() {
    let (_, script) = Night::run(&small(), FaultKind::StepFailed, 3).unwrap();
    let at = script.entries.len() / 2;
    let index = script.entries[at].index;
    let changed = |change: &dyn Fn(&mut Script)| {
        let mut other = script.clone();
        change(&mut other);
        play(&other).unwrap_err()
    };
    let found = changed(&|s| s.entries[at].state = Digest::of(b"another"));
    assert!(matches!(&found, Difference::State { index: i, .. } if *i == index), "{found}");
    let found = changed(&|s| s.entries[at].envelope.time.0 += 1);
    assert!(matches!(&found, Difference::Audit { index: i, .. } if *i == index), "{found}");
    // Without an entry the leader decides otherwise at once, too; that is looked at below.
    let silent = |s: &mut Script| s.decisions.clear();
    let found = changed(&|s| {
        silent(s);
        s.entries.remove(at);
    });
    assert!(matches!(&found, Difference::Audit { index: i, .. } if i.0 == index.0 + 1), "{found}");
    let found = changed(&|s| {
        silent(s);
        s.entries.swap(at, at + 1);
    });
    assert!(matches!(&found, Difference::Audit { index: i, .. } if i.0 == index.0 + 1), "{found}");
    let found = changed(&|s| s.head.live = Some(Digest::of(b"another")));
    assert!(matches!(found, Difference::Live { .. }), "{found}");
    let decided = script
        .decisions
        .iter()
        .position(|d| d.commands.iter().any(|c| matches!(c, Command::Elect { .. })))
        .unwrap();
    let found = changed(&|s| s.decisions[decided].commands.clear());
    assert!(
        matches!(&found, Difference::Decision { after, .. } if *after == script.decisions[decided].after),
        "{found}"
    );
    // What the leader saw is part of the decision.
    let lost = script.decisions[decided].facts.members.keys().next().unwrap().clone();
    let found = changed(&|s| {
        for decision in &mut s.decisions {
            decision.facts.members.retain(|m, _| *m == lost);
            decision.facts.leading_since.0 = 0;
        }
    });
    assert!(matches!(found, Difference::Decision { .. }), "{found}");
}

#[test]
fn a_changed_or_cut_off_file_is_refused() {
    let (_, script) = Night::run(&small(), FaultKind::None, 1).unwrap();
    let text = render(&script).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut refused = 0;
    for at in 0..lines.len() {
        let mut less = lines.clone();
        less.remove(at);
        assert!(parse(&less.concat()).is_err(), "line {} removed", at + 1);
        let middle: usize = lines[..at].iter().map(|l| l.len()).sum::<usize>() + lines[at].len() / 2;
        let mut bytes = text.clone().into_bytes();
        bytes[middle] = if bytes[middle] == b'0' { b'1' } else { b'0' };
        assert!(String::from_utf8(bytes).is_ok_and(|t| parse(&t).is_err()), "line {} changed", at + 1);
        refused += 2;
    }
    assert!(parse("").is_err());
    println!("{refused} changes of {} lines refused", lines.len());
}

#[test]
fn simulating_a_plan_tells_what_each_trouble_comes_to() {
    let table = simulate(&sample(), 6);
    println!("{}", serde_json::to_string_pretty(&table).unwrap());
    assert_eq!(table.stuck(), 0);
    let row = |kind| table.rows.iter().find(|r| r.fault == kind).unwrap();
    assert_eq!(row(FaultKind::None).endings, BTreeMap::from([(Ending::Completed, 6)]));
    assert_eq!((row(FaultKind::None).halted, row(FaultKind::None).owed), (0, 0));
    for kind in [FaultKind::LeaderChange, FaultKind::Reordered, FaultKind::Blocked, FaultKind::Pause] {
        assert_eq!(row(kind).endings.get(&Ending::Completed), Some(&6), "{kind}");
    }
    let failed = row(FaultKind::StepFailed);
    assert!(failed.halts.iter().any(|(h, _)| h.remedy.contains("lockkeeper retry")), "{:?}", failed.halts);
    assert!(row(FaultKind::UpgraderLost).halts.iter().all(|(h, _)| h.code == "upgrader-lost"));
    assert!(row(FaultKind::UpgraderLost).outage > row(FaultKind::None).outage);
}
