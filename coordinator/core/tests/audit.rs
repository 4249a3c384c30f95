//! The audit: complete, chained, and no byte of its file can change unnoticed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::{
    drive::{Group, person},
    generate::Shape,
};
use lockkeeper_core::{
    audit::{AuditEntry, AuditHead, Chain, ENTRIES_KEPT, Trail, render, verify},
    identity::Role,
    ids::{ClusterId, LogIndex},
    rollout::{Command, State, apply_audited},
    stored,
    time::LogTime,
};

/// A whole rollout with rejections in between, as a log.
fn night() -> Group {
    let shape =
        Shape { members: 9, witnesses: 1, databases: 1, balancers: 1, postgres: true, process: false };
    let mut group = Group::new(&shape.text());
    let plan = group.plan("26.5.0");
    let viewer = person("vic", Role::Viewer);
    group.commit(Some(&viewer), Command::Resume);
    group.approve_and_start(&plan);
    let operator = person("ola", Role::Operator);
    for turn in 0..200 {
        group.clock += 1_000;
        if turn % 7 == 3 {
            group.must(Some(&operator), Command::Pause { reason: format!("look at it, {turn}") });
            group.commit(Some(&viewer), Command::Abort { reason: "no".into() });
            group.must(Some(&operator), Command::Resume);
        }
        group.lead();
        for assignment in group.assignments() {
            group.finish(&assignment);
        }
        if group.state.rollout.is_none() {
            return group;
        }
    }
    panic!("the rollout did not end: {:?}", group.state.rollout.map(|r| r.status));
}

/// The state and the audit that a voter has after this log.
fn replayed(group: &Group) -> (State, Trail) {
    let (mut state, mut trail) = (State::default(), Trail::default());
    for (index, envelope) in &group.log {
        let (_, entry) = apply_audited(&mut state, *index, envelope);
        trail.push(entry.expect("no request came twice"));
    }
    assert_eq!(state, group.state);
    (state, trail)
}

fn file(trail: &Trail) -> String {
    render(&ClusterId("c-1".into()), "n1", trail)
}

#[test]
fn every_command_has_one_entry_with_who_what_when_why_and_the_answer() {
    let group = night();
    let (state, trail) = replayed(&group);
    trail.verify(&state.audit).unwrap();
    assert_eq!(trail.entries().len(), group.log.len());
    assert_eq!(trail.after(), &AuditHead::default());
    let entries: Vec<_> = trail.entries().collect();
    assert!(entries.iter().zip(&group.log).all(|(e, (index, envelope))| {
        e.index == *index && e.who == envelope.actor && e.time == envelope.time
    }));
    let find = |what: &str, answer: &str| entries.iter().find(|e| e.what == what && e.answer == answer);
    let pause = find("pause", "applied").unwrap();
    assert_eq!((pause.why.as_str(), pause.who.as_ref().unwrap().name.as_str()), ("look at it, 3", "ola"));
    let refused = find("abort", "LK3027").unwrap();
    assert!(refused.text.contains("vic"), "{}", refused.text);
    assert!(find("elect", "applied").unwrap().about.contains("db1"));
    assert_eq!(find("approve", "applied").unwrap().why, "CHG-1");
    // The same request again is answered and is not a second entry.
    let (index, envelope) =
        group.log.last().map(|(i, _)| (LogIndex(i.0 + 1), group.log[8].1.clone())).unwrap();
    let again = lockkeeper_core::rollout::Envelope { actor: Some(person("ada", Role::Admin)), ..envelope };
    let mut state = state;
    let known = state.requests.back().unwrap().0.clone();
    let again = lockkeeper_core::rollout::Envelope { id: known, ..again };
    let before = state.audit.clone();
    assert!(apply_audited(&mut state, index, &again).1.is_none());
    assert_eq!(state.audit, before);
}

#[test]
fn a_file_round_trips_and_says_what_it_holds() {
    let (state, trail) = replayed(&night());
    let text = file(&trail);
    let found = verify(text.as_bytes()).unwrap();
    assert_eq!(found.head, state.audit);
    assert_eq!(found.entries, state.audit.count);
    assert!(
        found.entries >= 200,
        "only {} entries: the rollout is too small for the tests below",
        found.entries
    );
    assert_eq!((found.cluster.0.as_str(), found.source.as_str()), ("c-1", "n1"));
}

/// Every byte of every line, changed in two ways: the fault is found, and it is found on its line.
#[test]
fn any_changed_byte_is_detected_and_located() {
    let (_, trail) = replayed(&night());
    let text = file(&trail).into_bytes();
    let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
    let (mut flipped, mut whole) = (0_u64, 0_u64);
    let mut chain = Chain::after(AuditHead::default());
    for (at, line) in lines.iter().enumerate() {
        let begin: usize = lines[..at].iter().map(|l| l.len()).sum();
        let is_entry = at > 0 && at + 1 < lines.len();
        for byte in 0..line.len() {
            for mask in [1_u8 << (byte % 8), 0xff].into_iter().take(if byte % 9 == 0 { 2 } else { 1 }) {
                let mut changed = line.to_vec();
                changed[byte] ^= mask;
                flipped += 1;
                // What ends or splits a line, and the lines that are no entries, need the whole file.
                let splits = changed[byte] == b'\n' || line[byte] == b'\n';
                if !is_entry || splits {
                    let mut all = text.clone();
                    all[begin + byte] = changed[byte];
                    let fault = verify(&all).expect_err("a changed byte");
                    assert_eq!(fault.line, at + 1, "byte {byte} of line {}: {fault}", at + 1);
                    whole += 1;
                    continue;
                }
                // The lines before it are right and were followed already.
                let bytes = &changed[..changed.len() - 1];
                let fits = serde_json::from_slice::<AuditEntry>(bytes)
                    .is_ok_and(|e| e.line().as_bytes() == bytes && chain.clone().push(&e).is_ok());
                assert!(
                    !fits,
                    "byte {byte} of line {} was changed to {:?} unnoticed",
                    at + 1,
                    changed[byte] as char
                );
            }
        }
        if is_entry {
            chain.push(&serde_json::from_slice(line).unwrap()).unwrap();
        }
    }
    println!(
        "{} lines, {} bytes: {flipped} changed bytes detected and located, {whole} of them by the whole file",
        lines.len(),
        text.len()
    );
    assert!(flipped as usize > text.len());
}

#[test]
fn dropped_doubled_and_swapped_entries_are_detected_and_located() {
    let (_, trail) = replayed(&night());
    let text = file(&trail);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let entries = 1..lines.len() - 1;
    let (mut dropped, mut doubled, mut swapped, mut cut) = (0, 0, 0, 0);
    for at in entries.clone() {
        let mut less = lines.clone();
        less.remove(at);
        let fault = verify(less.concat().as_bytes()).unwrap_err();
        assert_eq!(fault.line, at + 1, "{fault}");
        dropped += 1;
        let mut more = lines.clone();
        more.insert(at, lines[at]);
        assert_eq!(verify(more.concat().as_bytes()).unwrap_err().line, at + 2);
        doubled += 1;
        for other in [at + 1, at + 17] {
            if other < lines.len() - 1 {
                let mut moved = lines.clone();
                moved.swap(at, other);
                assert_eq!(verify(moved.concat().as_bytes()).unwrap_err().line, at + 1);
                swapped += 1;
            }
        }
        assert!(verify(lines[..at].concat().as_bytes()).is_err());
        cut += 1;
    }
    // Cut in the middle of every line.
    for at in 0..lines.len() {
        let end: usize = lines[..=at].iter().map(|l| l.len()).sum();
        assert!(verify(&text.as_bytes()[..end - 1 - lines[at].len() / 2]).is_err());
        cut += 1;
    }
    assert!(verify(b"").is_err());
    println!(
        "{dropped} entries dropped, {doubled} doubled, {swapped} pairs swapped, {cut} cuts: all detected"
    );
}

/// Somebody who can compute digests rewrites everything behind the change. The file is whole then, and only its head
/// gives it away, so the head is what a second place has to keep.
#[test]
fn a_chain_that_was_written_anew_has_another_head() {
    let (state, trail) = replayed(&night());
    let mut forged = Trail::default();
    for (at, entry) in trail.entries().enumerate() {
        let mut entry = entry.as_ref().clone();
        if at == 40 {
            entry.about = "something else".into();
        }
        entry.digest = entry.digest_after(&forged.head().digest);
        forged.push(entry);
    }
    let found = verify(file(&forged).as_bytes()).unwrap();
    assert_eq!(found.head.count, state.audit.count);
    assert_ne!(found.head, state.audit);
    assert!(forged.verify(&state.audit).is_err());
    assert_ne!(forged.digest_at(100), trail.digest_at(100));
    assert_eq!(forged.digest_at(40), trail.digest_at(40));
}

#[test]
fn the_trail_is_bounded_and_says_where_it_begins() {
    let mut state = State::default();
    let mut trail = Trail::default();
    let extra = 100;
    for index in 1..=(ENTRIES_KEPT + extra) as u64 {
        let envelope = lockkeeper_core::rollout::Envelope {
            id: lockkeeper_core::ids::RequestId(format!("r{index}")),
            time: LogTime(index),
            actor: None,
            trace: String::new(),
            command: Command::Resume,
        };
        trail.push(apply_audited(&mut state, LogIndex(index), &envelope).1.unwrap());
    }
    assert_eq!(trail.entries().len(), ENTRIES_KEPT);
    assert_eq!(trail.after().count, extra as u64);
    trail.verify(&state.audit).unwrap();
    let found = verify(file(&trail).as_bytes()).unwrap();
    assert_eq!((found.after.count, found.head.count), (extra as u64, (ENTRIES_KEPT + extra) as u64));
    // A snapshot carries both, and a joiner's chain begins where the snapshot's does.
    let (there, theirs) = stored::decode_snapshot(&stored::encode_snapshot(&state, &trail)).unwrap();
    assert_eq!((there, theirs), (state, trail));
}
