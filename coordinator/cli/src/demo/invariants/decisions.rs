//! Invariants of decisions: that only what was approved was done, that all is given back, and that all agents agree.

use super::database::{token, upgrades};
use crate::demo::evidence::Evidence;
use std::collections::BTreeMap;

/// The old release is on every member as it was.
pub fn old_kept(evidence: &Evidence) -> Vec<String> {
    let changed = evidence.old_releases.iter().filter(|(_, (before, after))| before != after);
    changed.map(|(member, _)| format!("release {} of {member} was changed", evidence.plan.from)).collect()
}

/// At an end nothing is owed, and the balancer has every server as it was. A halt leaves all as it is, on purpose.
pub fn owed_settled(evidence: &Evidence) -> Vec<String> {
    if !["completed", "aborted", "restored"].contains(&evidence.rollout.state.as_str()) {
        return Vec::new();
    }
    let owed = evidence.rollout.owed.iter().filter(|owed| owed.state != "restored");
    let mut found: Vec<String> = owed.map(|owed| format!("{} is {}", owed.key, owed.state)).collect();
    let over = evidence.figures.client.to;
    let mut states: BTreeMap<_, (u8, u8)> = BTreeMap::new();
    for state in evidence.servers.iter().filter(|state| state.at <= over) {
        states.entry(&state.server).or_insert((state.admin_bits, state.admin_bits)).1 = state.admin_bits;
    }
    let differ = states.iter().filter(|(_, (before, after))| before != after);
    found.extend(
        differ.map(|(server, (before, after))| format!("{server}: admin {before} before, {after} after")),
    );
    found
}

/// The rollout is of the plan that somebody else than its starter approved, and did nothing else.
pub fn only_approved(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    if evidence.rollout.plan != evidence.plan.hash.0 {
        found.push(format!("plan {} was executed, {} approved", evidence.rollout.plan, evidence.plan.hash));
    }
    if !evidence.approvers.iter().any(|who| *who != evidence.rollout.by) {
        found.push(format!("started by {}, approved by {:?}", evidence.rollout.by, evidence.approvers));
    }
    let planned = |id: u32| evidence.plan.every_step().any(|step| step.id.0 == id);
    let others = evidence.rollout.steps.iter().filter(|step| !planned(step.id));
    found.extend(others.map(|step| format!("step {} ({}) is not in the plan", step.id, step.action)));
    found
}

/// No step of the way back was taken.
pub fn no_silent_way_back(evidence: &Evidence) -> Vec<String> {
    let taken = |state: &str| ["assigned", "done", "failed"].contains(&state);
    let back = evidence.rollout.steps.iter().filter(|step| step.undo && taken(&step.state));
    back.map(|step| format!("step {} ({} {}) of the way back was taken", step.id, step.action, step.target))
        .collect()
}

/// Agents that applied the same prefix of the log have the same state.
pub fn same_log_same_state(evidence: &Evidence) -> Vec<String> {
    let mut by_index: BTreeMap<u64, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for (member, store) in &evidence.stores {
        for (index, digest) in &store.digests {
            by_index.entry(*index).or_default().entry(digest).or_default().push(member.as_str());
        }
    }
    let everybody = evidence.stores.len();
    let compared =
        by_index.values().filter(|of| of.values().map(Vec::len).sum::<usize>() == everybody).count();
    let mut found = Vec::new();
    if compared == 0 {
        found.push("no log index is known to all agents".to_owned());
    }
    let differ = by_index.iter().filter(|(_, digests)| digests.len() > 1);
    found.extend(differ.map(|(index, digests)| {
        let camps: Vec<String> = digests.values().map(|members| members.join(" ")).collect();
        format!("at index {index} the states of {} differ", camps.join(" and "))
    }));
    found
}

/// A reported success rests on positive proof of everything.
pub fn success_is_proven(evidence: &Evidence) -> Vec<String> {
    let rollout = &evidence.rollout;
    if rollout.state != "completed" {
        return Vec::new();
    }
    let mut found = Vec::new();
    for step in rollout.steps.iter().filter(|step| !step.undo) {
        if step.state != "done" {
            found.push(format!("step {} ({} {}) is {}", step.id, step.action, step.target, step.state));
        } else if step.text.trim().is_empty() {
            found.push(format!("step {} ({} {}) has no evidence", step.id, step.action, step.target));
        }
    }
    match upgrades(&evidence.live.audit).as_slice() {
        [(begin, _)] => {
            let by = begin.token.as_deref().and_then(token);
            let granted = |g: &&lockkeeper_core::view::GrantView| {
                g.member == begin.member && by.is_some() && token(&g.token) == by
            };
            if !rollout.grant.values().any(|grant| granted(&grant)) {
                found
                    .push(format!("{} upgraded under {:?}, which nobody granted", begin.member, begin.token));
            }
        }
        others => found.push(format!("{} upgrades succeeded on the live database", others.len())),
    }
    if evidence.live.schema != 2 {
        found.push(format!("the schema is {}", evidence.live.schema));
    }
    found
}
