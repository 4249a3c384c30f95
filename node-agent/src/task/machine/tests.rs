use super::*;
use std::{collections::BTreeMap, fmt::Write};

fn unit() -> Unit {
    Unit { name: "u1".into(), pid: 7, started: 9, boot: "b".into() }
}

fn failure() -> Failure {
    Failure { code: "LK5002".into(), text: "exit 1".into() }
}

fn blocked(text: &str) -> Blocked {
    Blocked { code: "LK5501".into(), text: text.into(), remedy: "end it".into() }
}

fn done() -> Done {
    Done { evidence: "seen".into(), ..Done::default() }
}

fn stages() -> Vec<Stage> {
    vec![
        Stage::Begin,
        Stage::Look,
        Stage::Tell(Some(blocked("a"))),
        Stage::Tell(None),
        Stage::Rest,
        Stage::Capture("old".into()),
        Stage::Owe("old".into()),
        Stage::Confirm,
        Stage::Start { asked: BootTime(5) },
        Stage::Act,
        Stage::Adopt(unit()),
        Stage::Prove,
        Stage::Settle,
        Stage::Kill(unit()),
        Stage::End(Ending::Done(done())),
        Stage::Report(Ending::Done(done())),
        Stage::Close,
        Stage::Refuse(failure()),
        Stage::Over,
    ]
}

fn events() -> Vec<Event> {
    vec![
        Event::Journalled,
        Event::Refused(failure()),
        Event::Saw(Precheck::AlreadyDone(done())),
        Event::Saw(Precheck::Running(unit())),
        Event::Saw(Precheck::Ready { captured: "new".into() }),
        Event::Saw(Precheck::Ready { captured: String::new() }),
        Event::Saw(Precheck::Mismatch { expected: "a".into(), found: "b".into() }),
        Event::Saw(Precheck::Unknown("no answer".into())),
        Event::Saw(Precheck::Blocked(blocked("a"))),
        Event::Saw(Precheck::Refused(failure())),
        Event::Told(true),
        Event::Told(false),
        Event::Rested,
        Event::Owed,
        Event::Current { asked: BootTime(5) },
        Event::NotCurrent,
        Event::Late,
        Event::Performed(Ok(())),
        Event::Performed(Err(failure())),
        Event::Proof(Postcheck::Proven(done())),
        Event::Proof(Postcheck::NotYet("starting".into())),
        Event::Proof(Postcheck::Refuted(failure())),
        Event::Killed(Ok(())),
        Event::Killed(Err(failure())),
        Event::Acknowledged,
        Event::Expired,
        Event::Unwanted,
    ]
}

const FLAGS: [&str; 6] = ["repeatable", "owes", "captured", "started", "unit", "told"];

/// Every combination of what can be known, with its bits in the order of [`FLAGS`].
fn knowledge() -> Vec<(usize, Known)> {
    (0..1 << FLAGS.len())
        .map(|bits| {
            let is = |n: usize| bits & (1 << n) != 0;
            let known = Known {
                repeatable: is(0),
                owes: is(1),
                captured: is(2).then(|| "old".into()),
                started: is(3),
                unit: is(4).then(unit),
                told: is(5).then(|| blocked("a")),
            };
            (bits, known)
        })
        .collect()
}

fn shown(stage: &Stage) -> String {
    match stage {
        Stage::End(Ending::Done(_)) => "end done".into(),
        Stage::End(Ending::Failed { failure, .. }) => format!("end failed {}", failure.code),
        Stage::End(Ending::Dropped) => "end dropped".into(),
        other => other.word().into(),
    }
}

/// The whole machine as text: a changed edge shows in review. Conditions name only what matters to the edge.
fn table() -> String {
    let mut text = String::new();
    for stage in stages() {
        for event in events() {
            let results: BTreeMap<usize, String> = knowledge()
                .into_iter()
                .filter_map(|(bits, known)| {
                    Some((bits, shown(&stage.clone().next(event.clone(), &known).ok()?)))
                })
                .collect();
            if results.is_empty() {
                continue;
            }
            assert_eq!(results.len(), 1 << FLAGS.len(), "an edge is possible or not, whatever is known");
            let matters: Vec<usize> = (0..FLAGS.len())
                .filter(|n| results.iter().any(|(bits, r)| results[&(bits ^ (1 << n))] != *r))
                .collect();
            let mut rows = BTreeMap::new();
            for (bits, result) in results {
                let when: Vec<String> = matters
                    .iter()
                    .map(|n| format!("{}{}", if bits & (1 << n) == 0 { "!" } else { "" }, FLAGS[*n]))
                    .collect();
                rows.insert(when.join(" "), result);
            }
            for (when, result) in rows {
                let line = format!("{:<14}{:<14}{:<22}{when}", stage.word(), event.word(), result);
                writeln!(text, "{}", line.trim_end()).unwrap();
            }
        }
    }
    text
}

#[test]
fn the_table_prints_itself() {
    let table = table();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/src/task/machine/table.txt");
    if std::env::var_os("LOCKKEEPER_BLESS").is_some() {
        std::fs::write(golden, &table).unwrap();
    }
    assert_eq!(
        table,
        std::fs::read_to_string(golden).unwrap(),
        "bless with LOCKKEEPER_BLESS=1, then read the diff"
    );
}

/// All edges, with what is known.
fn edges() -> Vec<(Stage, Event, Known, Stage)> {
    let mut edges = Vec::new();
    for (_, known) in knowledge() {
        for stage in stages() {
            for event in events() {
                if let Ok(next) = stage.clone().next(event.clone(), &known) {
                    edges.push((stage.clone(), event, known.clone(), next));
                }
            }
        }
    }
    edges
}

#[test]
fn only_a_journalled_start_leads_to_the_effect() {
    for (stage, event, _, next) in edges() {
        if next == Stage::Act && stage != Stage::Act {
            assert!(matches!((stage, event), (Stage::Start { .. }, Event::Journalled)));
        }
    }
}

#[test]
fn only_a_confirmed_attempt_starts() {
    for (stage, event, _, next) in edges() {
        if matches!(next, Stage::Start { .. }) {
            assert!(matches!((stage, event), (Stage::Confirm, Event::Current { .. })));
        }
    }
}

#[test]
fn what_changes_a_setting_owes_it_before() {
    // From the look to the confirmation there is no way around capture and intent.
    for (stage, event, known, next) in edges() {
        if known.owes && next == Stage::Confirm && stage != Stage::Confirm {
            let from = matches!(stage, Stage::Owe(_)) || matches!(stage, Stage::Start { .. });
            assert!(from, "{} {}", stage.word(), event.word());
        }
        if let (Stage::Look, Stage::Owe(value)) = (&stage, &next) {
            assert_eq!(value, "old", "the first captured value is the original");
        }
    }
}

#[test]
fn a_database_upgrade_that_may_have_started_never_starts_again() {
    for (stage, event, known, next) in edges() {
        if known.started && !known.repeatable && stage == Stage::Look {
            let on = matches!(next, Stage::Capture(_) | Stage::Owe(_) | Stage::Confirm | Stage::Tell(None));
            assert!(!on, "{} {} -> {}", stage.word(), event.word(), next.word());
        }
    }
}

#[test]
fn what_started_is_never_called_dropped() {
    for (stage, event, known, next) in edges() {
        let called = known.started && next == Stage::End(Ending::Dropped);
        assert!(!called, "{} {}", stage.word(), event.word());
    }
}

#[test]
fn done_needs_positive_proof() {
    for (stage, event, _, next) in edges() {
        if matches!(next, Stage::End(Ending::Done(_))) {
            let proof =
                matches!(event, Event::Saw(Precheck::AlreadyDone(_)) | Event::Proof(Postcheck::Proven(_)));
            assert!(proof, "{} {}", stage.word(), event.word());
        }
    }
}

#[test]
fn past_its_deadline_a_known_unit_is_ended_and_proven_gone() {
    for (stage, event, known, next) in edges() {
        if event == Event::Expired && known.unit.is_some() {
            assert!(matches!(next, Stage::Kill(_)), "{}", stage.word());
        }
    }
}

#[test]
fn every_stage_can_be_left_and_every_way_leads_out() {
    // From every stage some sequence of events reaches the end, whatever is known.
    for (_, known) in knowledge() {
        let mut good = vec![Stage::Over.word()];
        loop {
            let before = good.len();
            for stage in stages() {
                let leads = events().into_iter().any(|event| {
                    stage.clone().next(event, &known).is_ok_and(|next| good.contains(&next.word()))
                });
                if leads && !good.contains(&stage.word()) {
                    good.push(stage.word());
                }
            }
            if good.len() == before {
                break;
            }
        }
        assert_eq!(good.len(), stages().len(), "{good:?}");
    }
}

#[test]
fn what_the_state_would_not_take_is_not_sent() {
    let many = Done { outputs: (0..17).map(|n| (n.to_string(), String::new())).collect(), ..Done::default() };
    assert!(matches!(bounded(many), Ending::Failed { .. }));
    let long = Done { outputs: [("a".to_owned(), "x".repeat(TEXT_MAX + 1))].into(), ..Done::default() };
    assert!(matches!(bounded(long), Ending::Failed { .. }));
    let wordy = Done { evidence: "é".repeat(TEXT_MAX), ..Done::default() };
    assert!(matches!(bounded(wordy), Ending::Done(done) if done.evidence.len() == TEXT_MAX));
    let huge = Precheck::Ready { captured: "x".repeat(TEXT_MAX + 1) };
    let next = Stage::Look.next(Event::Saw(huge), &Known::default()).unwrap();
    assert_eq!(shown(&next), "end failed LK6109");
}
