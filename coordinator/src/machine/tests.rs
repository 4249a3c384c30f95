//! The audit beside the state: it travels with snapshots, and one that does not fit is not shown.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use super::*;
use lockkeeper_core::{
    ids::RequestId,
    rollout::{Command, Envelope},
    time::LogTime,
};

fn filled(commands: u64) -> StateMachine {
    let (mut machine, _seen) = StateMachine::new();
    for index in 1..=commands {
        let command = Command::Pause { reason: format!("reason {index}") };
        let id = RequestId(format!("r{index}"));
        let envelope = Envelope { id, time: LogTime(index), actor: None, trace: String::new(), command };
        machine.apply(LogIndex(index), &stored::encode_envelope(&envelope).unwrap());
        machine.applied(LogIndex(index));
    }
    machine
}

#[test]
fn whoever_takes_a_snapshot_over_has_the_entries_too() {
    let old = filled(20);
    let (mut new, seen) = StateMachine::new();
    new.restore(&old.snapshot()()).unwrap();
    new.applied(LogIndex(20));
    assert_eq!(new.trail().read(), old.trail().read());
    assert_eq!(new.trail().read().entries().len(), 20);
    new.trail().read().verify(&seen.borrow().audit).unwrap();
}

#[test]
fn entries_of_a_snapshot_that_do_not_fit_its_state_are_not_shown() {
    let bytes = filled(20).snapshot()();
    let changed = String::from_utf8(bytes).unwrap().replace("reason 7\"", "reason 8\"");
    let (mut new, seen) = StateMachine::new();
    new.restore(changed.as_bytes()).unwrap();
    new.applied(LogIndex(20));
    let trail = new.trail().read();
    assert_eq!((trail.entries().len(), trail.after()), (0, &seen.borrow().audit));
    assert_eq!(trail.after().count, 20);
}
