//! The group a simulated night begins with: what the plan rests on, all of it present and true.

use super::{Agents, Dice, Night, People};
use crate::{
    cluster::{ClusterSpec, Policy, Voters},
    identity::{Actor, Role},
    ids::{Digest, Generation, Incarnation, LogIndex, MemberName, NodeId},
    plan::{ActionKind, Plan},
    record::FaultKind,
    rollout::{
        State,
        state::{Approval, Config, Group, Node},
    },
    time::LogTime,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// None for a plan that names no agent.
pub(super) fn begin(plan: &Plan, kind: FaultKind, seed: u64) -> Option<Night> {
    let base = state(plan);
    let mut dice = Dice::new(seed);
    let members: Vec<&MemberName> = base.nodes.keys().collect();
    let leader = (*members.get(dice.place(members.len()))?).clone();
    let clock = plan.observed.0.max(1);
    Some(Night {
        leader,
        state: base.clone(),
        base,
        clock,
        leading_since: clock,
        heard: BTreeMap::new(),
        first_seen: BTreeMap::new(),
        refused: Vec::new(),
        agents: Agents::new(plan, kind, &mut dice),
        people: People::new(kind),
        dice,
        requests: 0,
        entries: Vec::new(),
        decisions: Vec::new(),
        halt: None,
        outage: (None, None),
        digester: None,
    })
}

/// Every agent the plan could give a step to.
fn agents(plan: &Plan) -> BTreeSet<MemberName> {
    let executors = plan.policy.executors.iter().flat_map(|(_, who)| who);
    let all = plan.bound.members.keys().chain(plan.targets.members.keys()).chain(executors);
    all.chain(plan.policy.upgraders.values().flatten()).cloned().collect()
}

fn state(plan: &Plan) -> State {
    let at = plan.observed;
    let node = |number: usize, member: &MemberName| Node {
        id: NodeId(number as u64 + 1),
        incarnation: plan.bound.members.get(member).map_or(Incarnation(1), |m| m.incarnation),
        address: plan.targets.members.get(member).cloned().unwrap_or_default(),
        fingerprint: Digest::of(b"simulated"),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        feature: 1,
        actions: ActionKind::ALL.into_iter().collect(),
        at,
    };
    let approver = |number: u32| Approval {
        actor: Actor { name: format!("approver-{number}"), role: Role::Approver, via: "simulation".into() },
        reference: String::new(),
        at,
    };
    State {
        applied: LogIndex(1),
        time: at,
        group: Some(Group {
            cluster: plan.bound.cluster_id.clone(),
            name: plan.cluster.clone(),
            generation: Generation(1),
        }),
        config: Some(Arc::new(config(plan, at))),
        nodes: agents(plan).iter().enumerate().map(|(n, m)| (m.clone(), node(n, m))).collect(),
        approvals: BTreeMap::from([(plan.hash.clone(), (1..=plan.policy.approvals).map(approver).collect())]),
        ..State::default()
    }
}

/// What is left of the cluster file in a plan. A rollout compares its version and digest and reads nothing else of it.
fn config(plan: &Plan, at: LogTime) -> Config {
    let policy = Policy {
        capacity_floor: 0,
        max_failures: plan.policy.max_failures,
        on_upgrader_loss: plan.policy.on_upgrader_loss,
        lost_after: plan.policy.lost_after,
        four_eyes: plan.policy.four_eyes,
        approvals: plan.policy.approvals,
    };
    Config {
        version: plan.bound.cluster_version,
        digest: Digest(plan.bound.cluster_digest.clone()),
        text: String::new(),
        profile: String::new(),
        spec: ClusterSpec {
            cluster: plan.cluster.clone(),
            profile: plan.bound.profile.clone(),
            voters: Voters::Auto,
            members: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            policy,
            balancers: plan.targets.balancers.clone(),
            databases: plan.targets.databases.clone(),
            parameters: BTreeMap::new(),
        },
        at,
    }
}
