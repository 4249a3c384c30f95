//! The cluster file, approvals, and the start of a rollout.

use super::At;
use crate::{
    cluster::{ClusterSpec, Voters},
    identity::Right,
    ids::{Digest, PlanHash, RolloutId},
    plan::Plan,
    plant::{self, Plant},
    rollout::{
        limits,
        rejection::Rejection,
        state::{Approval, Config, Rollout, State, Status, StepPhase, StepRecord},
    },
};
use std::{collections::BTreeMap, sync::Arc};

pub(super) fn set_cluster(
    state: &mut State,
    at: &At<'_>,
    text: &str,
    profile: &str,
    spec: &ClusterSpec,
) -> Result<(), Rejection> {
    at.actor(Right::Administer)?;
    let digest = Digest::of(text.as_bytes());
    if state.config.as_ref().is_some_and(|c| c.digest == digest && c.profile == profile) {
        return Ok(());
    }
    // A list in the file is the whole truth about votes; `auto` leaves those a person added.
    if matches!(spec.voters, Voters::List(_)) {
        state.trust.votes.clear();
    }
    let version = state.config.as_ref().map_or(1, |c| c.version + 1);
    state.config = Some(Arc::new(Config {
        version,
        digest,
        text: text.to_owned(),
        profile: profile.to_owned(),
        spec: spec.clone(),
        at: at.time,
    }));
    Ok(())
}

pub(super) fn approve(state: &mut State, at: &At<'_>, plan: &PlanHash, reference: &str) -> Result<(), Rejection> {
    let actor = at.actor(Right::Approve)?;
    if !state.approvals.contains_key(plan) && state.approvals.len() >= limits::APPROVED_PLANS_MAX {
        return Err(Rejection::Limit(format!("{} approved plans that were not applied", limits::APPROVED_PLANS_MAX)));
    }
    let approvals = state.approvals.entry(plan.clone()).or_default();
    // Signing twice is the same as once; it never counts as two people.
    if !approvals.iter().any(|a| a.actor.name == actor.name) {
        approvals.push(Approval { actor: actor.clone(), reference: reference.to_owned(), at: at.time });
    }
    Ok(())
}

pub(super) fn start(state: &mut State, at: &At<'_>, plan: &Plan) -> Result<RolloutId, Rejection> {
    let actor = at.actor(Right::Operate)?;
    if let Some(running) = &state.rollout {
        // The same plan applied twice attaches.
        return if running.plan.hash == plan.hash { Ok(running.id) } else { Err(Rejection::RolloutActive(running.id)) };
    }
    let group = state.group.as_ref().ok_or_else(|| Rejection::NotInitialised("the group is not initialised".into()))?;
    check_plan(plan)?;
    check_bound(state, plan)?;
    if !plant::is(Plant::ApplyUnapproved) {
        check_approvals(state, plan, &actor.name)?;
    }
    let fresh = StepRecord { attempt: crate::ids::Attempt(0), phase: StepPhase::Pending };
    let steps = plan.every_step().map(|s| (s.id, fresh.clone())).collect();
    let id = RolloutId(at.index.0);
    let mut rollout = Rollout {
        id,
        generation: group.generation,
        plan: Arc::new(plan.clone()),
        by: actor.clone(),
        started: at.time,
        trace: at.trace.to_owned(),
        status: Status::Running,
        steps,
        executors: BTreeMap::new(),
        successors: BTreeMap::new(),
        grants: BTreeMap::new(),
        owed: BTreeMap::new(),
        outputs: BTreeMap::new(),
        abort: None,
        restore: None,
        no_return: None,
        failures: 0,
        events: Vec::new(),
    };
    rollout.note(at.index, at.time, None, format!("started by {}: {} -> {}", actor.name, plan.from, plan.to));
    state.approvals.remove(&plan.hash);
    state.rollout = Some(rollout);
    Ok(id)
}

/// What every later rule relies on: the hash is right, ids are dense, and edges point to earlier steps.
fn check_plan(plan: &Plan) -> Result<(), Rejection> {
    if crate::plan::hash(plan) != plan.hash {
        return Err(Rejection::BadPlan("its content does not have its hash".into()));
    }
    let (forward, back) = (plan.steps.len(), plan.steps.len() + plan.undo.len());
    for (at, step) in plan.every_step().enumerate() {
        let here = usize::try_from(step.id.0).ok();
        if here != Some(at + 1) {
            return Err(Rejection::BadPlan(format!("step {} stands at place {}", step.id, at + 1)));
        }
        // A step waits for earlier ones of its own way only.
        let first = if at < forward {
            1
        } else if at < back {
            forward + 1
        } else {
            back + 1
        };
        let good = |after: &crate::ids::StepId| {
            let n = usize::try_from(after.0).unwrap_or(usize::MAX);
            n >= first && n <= at
        };
        if let Some(bad) = step.after.iter().chain(&step.after_all).find(|after| !good(after)) {
            return Err(Rejection::BadPlan(format!("step {} cannot come after step {bad}", step.id)));
        }
    }
    Ok(())
}

fn check_bound(state: &State, plan: &Plan) -> Result<(), Rejection> {
    let stale = |text: String| Err(Rejection::StalePlan(text));
    let bound = &plan.bound;
    if state.group.as_ref().map(|g| &g.cluster) != Some(&bound.cluster_id) {
        return stale("it was made for another cluster".into());
    }
    if state.history.iter().any(|r| r.plan.hash == plan.hash) {
        return stale("it was carried out already".into());
    }
    let Some(config) = &state.config else { return stale("no cluster file is in force".into()) };
    if config.version != bound.cluster_version || config.digest.0 != bound.cluster_digest {
        return stale(format!("cluster file version {} is in force, it rests on {}", config.version, bound.cluster_version));
    }
    for (member, facts) in &bound.members {
        match state.nodes.get(member) {
            None => return stale(format!("{member} is not enrolled")),
            Some(node) if node.incarnation != facts.incarnation => {
                return stale(format!("{member} was enrolled anew (incarnation {})", node.incarnation));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn check_approvals(state: &State, plan: &Plan, starter: &str) -> Result<(), Rejection> {
    let signed = state.approvals.get(&plan.hash).map(Vec::as_slice).unwrap_or_default();
    let four_eyes = plan.policy.four_eyes;
    // Whoever is root on a node is nobody in particular, so a rule that asks for two persons does not count them.
    // A signature does not outlive the trust in who gave it.
    let revoked =
        |name: &str| state.trust.operators.iter().any(|(n, o)| n.as_str() == name && o.revoked.is_some());
    let counts = |name: &str| !(four_eyes && name.starts_with("uid:")) && !revoked(name);
    let found = u32::try_from(signed.iter().filter(|a| counts(&a.actor.name)).count()).unwrap_or(u32::MAX);
    if found < plan.policy.approvals {
        return Err(Rejection::NotApproved { found, needed: plan.policy.approvals });
    }
    if four_eyes && (signed.iter().any(|a| a.actor.name == starter) || !counts(starter)) {
        return Err(Rejection::FourEyes(starter.to_owned()));
    }
    Ok(())
}
