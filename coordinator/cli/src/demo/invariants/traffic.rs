//! Invariants of members and traffic: who was in the balancer when, and who ran when.

use super::database::upgrades;
use crate::demo::{
    cluster_file::SETTLE_MS,
    evidence::{AppEvent, Evidence, ServerState},
};
use lockkeeper_core::ids::MemberName;
use std::collections::BTreeMap;

fn of<'a>(
    evidence: &'a Evidence,
    member: &'a MemberName,
) -> impl DoubleEndedIterator<Item = &'a ServerState> {
    evidence.servers.iter().filter(move |state| state.server == *member)
}

/// The end of the users' run; what happens later is the demo's own ending.
fn over(evidence: &Evidence) -> u64 {
    evidence.figures.client.to
}

/// A member was told to stop only when the balancer sent it nothing any more and waited for no answer of it.
pub fn drained_before_stop(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    for (member, events) in &evidence.apps {
        let stops = events.iter().filter(|event| event.event == "stopping" && event.at <= over(evidence));
        for stop in stops {
            match of(evidence, member).rfind(|state| state.at <= stop.at) {
                Some(state) if state.admin_bits == 1 => {}
                Some(state) => found.push(format!(
                    "{member} was stopped while the balancer had it as admin {} op {}",
                    state.admin_bits, state.op
                )),
                None => found.push(format!("{member} was stopped, but the balancer never had it")),
            }
            let open = evidence.passed.iter().filter(|request| {
                request.server.as_ref() == Some(member) && request.start < stop.at && stop.at < request.end
            });
            let open = open.count();
            if open > 0 {
                found.push(format!("{member} was stopped with {open} requests under way"));
            }
        }
    }
    found
}

/// A member was let in only in the new version, ready since its last start, and settled.
pub fn proven_before_admit(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    let new = evidence.plan.to.as_str();
    let Some((_, upgraded)) = upgrades(&evidence.live.audit).into_iter().next() else { return found };
    for (member, events) in &evidence.apps {
        let mut was_in = true;
        for state in of(evidence, member) {
            let admitted = state.takes_new() && !was_in;
            was_in = state.takes_new();
            if !admitted || state.at > over(evidence) {
                continue;
            }
            if state.at < upgraded.at {
                found.push(format!("{member} was let in before the upgrade had ended"));
            }
            let last = events.iter().rev().find(|event| {
                event.at <= state.at
                    && ["start", "ready", "stopping", "stopped"].contains(&event.event.as_str())
            });
            match last {
                Some(event) if event.event == "ready" && event.version == new => {
                    let settled = state.at - event.at;
                    if settled < SETTLE_MS {
                        found.push(format!("{member} was let in {settled} ms after it was ready"));
                    }
                }
                Some(event) => found.push(format!(
                    "{member} was let in when its last word was {} {}",
                    event.version, event.event
                )),
                None => found.push(format!("{member} was let in before it said a word")),
            }
        }
    }
    found
}

/// In the new version at most one member is between its start and the end of its proof.
pub fn serial_start(evidence: &Evidence) -> Vec<String> {
    let mut starts: Vec<(u64, Option<u64>, &MemberName)> = Vec::new();
    for (member, events) in &evidence.apps {
        let new = |event: &&AppEvent| event.event == "start" && event.version == evidence.plan.to.as_str();
        for start in events.iter().filter(new) {
            let ready = |event: &&AppEvent| event.event == "ready" && event.pid == start.pid;
            starts.push((start.at, events.iter().find(ready).map(|event| event.at + SETTLE_MS), member));
        }
    }
    starts.sort();
    let mut found = Vec::new();
    for pair in starts.windows(2) {
        if let [(_, settled, first), (at, _, second)] = pair
            && settled.is_none_or(|settled| settled > *at)
        {
            found.push(format!("{second} started before {first} was ready and settled"));
        }
    }
    found
}

/// No two agents acted on one shared target at a time.
pub fn one_executor(evidence: &Evidence) -> Vec<String> {
    type Act<'a> = (u64, u64, &'a str, u32);
    let mut acts: BTreeMap<&str, Vec<Act<'_>>> = BTreeMap::new();
    for step in &evidence.rollout.steps {
        let shared = match (step.action.as_str(), step.target.split_once('/')) {
            ("upgrade-database" | "mint-credential", _) => continue,
            (_, Some((balancer, _))) => balancer,
            (_, None) if evidence.plan.targets.databases.keys().any(|d| d.as_str() == step.target) => {
                &step.target
            }
            (_, None) => continue,
        };
        if let (Some((from, to)), Some(member)) = (step.action_ms, &step.member) {
            acts.entry(shared).or_default().push((from, to, member, step.id));
        }
    }
    let mut found = Vec::new();
    for (target, mut acts) in acts {
        acts.sort_unstable();
        for pair in acts.windows(2) {
            if let [(_, to, first, a), (from, _, second, b)] = pair
                && first != second
                && from < to
            {
                found.push(format!("{target}: {first} (step {a}) and {second} (step {b}) at a time"));
            }
        }
    }
    found
}

/// At an end every member is in the version it shall be, ready and in the balancer.
pub fn nobody_forgotten(evidence: &Evidence) -> Vec<String> {
    let version = match evidence.rollout.state.as_str() {
        "completed" => evidence.plan.to.as_str(),
        "aborted" | "restored" => evidence.plan.from.as_str(),
        _no_end => return Vec::new(),
    };
    let mut found = Vec::new();
    for member in evidence.plan.bound.members.keys() {
        let events = evidence.apps.get(member).map(Vec::as_slice).unwrap_or_default();
        let last = events.iter().rev().find(|event| {
            event.at <= over(evidence)
                && ["start", "ready", "stopping", "stopped"].contains(&event.event.as_str())
        });
        match last {
            Some(event) if event.event == "ready" && event.version == version => {}
            Some(event) => {
                found.push(format!("the last word of {member} was {} {}", event.version, event.event))
            }
            None => found.push(format!("{member} never said a word")),
        }
        if !of(evidence, member).rfind(|state| state.at <= over(evidence)).is_some_and(ServerState::takes_new)
        {
            found.push(format!("{member} is not in the balancer"));
        }
    }
    found
}
