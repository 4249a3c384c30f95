//! Each invariant holds in the recorded demo and is violated by a change that contradicts it.

use super::{check, healthy};
use crate::demo::evidence::Evidence;
use std::collections::BTreeSet;

/// The names of those that do not hold after `change`.
fn violated(change: impl FnOnce(&mut Evidence)) -> BTreeSet<&'static str> {
    let mut evidence = healthy::evidence();
    change(&mut evidence);
    check(&evidence).violated.into_iter().map(|violation| violation.name).collect()
}

/// The named one is among them; others may be, since one wrong thing can contradict several.
macro_rules! catches {
    ($name:ident, $change:expr) => {
        #[test]
        fn $name() {
            let found = violated($change);
            assert!(found.contains(stringify!($name)), "{found:?}");
        }
    };
}

#[test]
fn everything_held_in_the_recorded_demo() {
    let verdict = check(&healthy::evidence());
    assert_eq!((verdict.checked, verdict.violated), (18, Vec::new()));
}

/// A second migration beside the first, in the application's log alone.
fn second_run(evidence: &mut Evidence) {
    let mut events: Vec<_> = evidence.apps.values().flatten().cloned().collect();
    events.retain(|event| event.event.starts_with("upgrade-"));
    for event in &mut events {
        event.pid += 1;
        event.at += 1;
    }
    let other =
        evidence.apps.iter_mut().find(|(_, of)| !of.iter().any(|e| e.event.starts_with("upgrade-"))).unwrap();
    other.1.extend(events);
}

fn upgrade_begin(evidence: &Evidence) -> usize {
    evidence.live.audit.iter().position(|row| row.what == "upgrade-begin").unwrap()
}

catches!(one_upgrader, second_run);
catches!(destructive_once, second_run);
catches!(token_monotone, |e| {
    let begin = upgrade_begin(e);
    e.live.audit[begin].token = Some("9-9".to_owned());
});
catches!(schema_forward, |e| {
    let old = e.plan.from.to_string();
    e.live.audit.last_mut().unwrap().version = old;
});
catches!(door_shut, |e| {
    let begin = upgrade_begin(e);
    let mut row = e.live.audit[begin - 1].clone();
    row.id = e.live.audit[begin].id + 1;
    e.live.audit[begin + 1].id += 1;
    e.live.audit.insert(begin + 1, row);
});
catches!(backup_before, |e| e.backup.as_mut().unwrap().last_row -= 1);
catches!(version_match, |e| e.live.corruption.push("n1: served on a wrong schema".to_owned()));
catches!(drained_before_stop, |e| e.servers.retain(|state| state.admin_bits != 1));
catches!(proven_before_admit, |e| {
    for events in e.apps.values_mut() {
        events.retain(|event| event.event != "ready" || event.version == "1.0");
    }
});
catches!(serial_start, |e| {
    for event in
        e.apps.values_mut().flatten().filter(|event| event.event == "ready" && event.version == "2.0")
    {
        event.at += 60_000;
    }
});
catches!(one_executor, |e| {
    let mut drains = e.rollout.steps.iter_mut().filter(|step| step.action == "drain");
    let (first, second) = (drains.next().unwrap(), drains.next().unwrap());
    second.member = Some("n9".to_owned());
    second.action_ms = first.action_ms.map(|(from, to)| (from, to + 1));
    first.action_ms = second.action_ms;
});
catches!(nobody_forgotten, |e| {
    let (_, events) = e.apps.iter_mut().next().unwrap();
    events.retain(|event| event.version == "1.0");
});
catches!(old_kept, |e| {
    for (_, after) in e.old_releases.values_mut() {
        after.push('!');
    }
});
catches!(owed_settled, |e| e.rollout.owed[0].state = "owed".to_owned());
catches!(only_approved, |e| e.approvers = BTreeSet::from([e.rollout.by.clone()]));
catches!(no_silent_way_back, |e| {
    let undo = e.rollout.steps.iter_mut().find(|step| step.undo).unwrap();
    undo.state = "done".to_owned();
});
catches!(same_log_same_state, |e| {
    let (_, store) = e.stores.iter_mut().next().unwrap();
    store.digests.insert(16, "another state".to_owned());
});
catches!(success_is_proven, |e| e.rollout.steps[3].text.clear());

#[test]
fn a_server_left_out_of_the_balancer_is_owed_whatever_the_group_says() {
    let found = violated(|e| {
        let mut state = e.servers.last().unwrap().clone();
        (state.admin_bits, state.op) = (1, 0);
        e.servers.push(state);
    });
    assert!(found.contains("owed_settled") && found.contains("nobody_forgotten"), "{found:?}");
}

#[test]
fn a_halt_leaves_all_as_it_is_and_that_violates_nothing() {
    let found = violated(|e| {
        e.rollout.state = "halted".to_owned();
        e.rollout.owed[0].state = "owed".to_owned();
        let mut state = e.servers.last().unwrap().clone();
        (state.admin_bits, state.op) = (1, 0);
        e.servers.push(state);
    });
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn an_application_that_runs_behind_a_shut_door_is_found() {
    let found = violated(|e| {
        // The one that was never told to stop.
        let (_, events) = e.apps.iter_mut().next().unwrap();
        events.retain(|event| event.event != "stopped" || event.version == "2.0");
    });
    assert!(found.contains("door_shut"), "{found:?}");
}

#[test]
fn stores_without_a_common_index_prove_nothing() {
    let found = violated(|e| {
        for (offset, store) in (0..).zip(e.stores.values_mut()) {
            store.digests = std::iter::once((offset, "state".to_owned())).collect();
        }
    });
    assert_eq!(found, BTreeSet::from(["same_log_same_state"]));
}

#[test]
fn an_upgrade_under_a_token_nobody_granted_is_no_proven_success() {
    let found = violated(|e| {
        for grant in e.rollout.grant.values_mut() {
            grant.token = "(1, 1)".to_owned();
        }
    });
    assert_eq!(found, BTreeSet::from(["success_is_proven"]));
}
