//! What differs between two plans, or between a plan and the world.

use super::{BoundFacts, Observed, Plan, Step};
use crate::fault::{Fault, FaultCode, Report};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Of what.
    pub what: String,
    /// In the first plan, or in the plan; empty if it is not there.
    pub was: String,
    /// In the second plan, or in the world; empty if it is not there.
    pub now: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.was.as_str(), self.now.as_str()) {
            ("", now) => write!(f, "+ {}: {now}", self.what),
            (was, "") => write!(f, "- {}: {was}", self.what),
            (was, now) => write!(f, "~ {}: {was} -> {now}", self.what),
        }
    }
}

fn different(what: impl Into<String>, was: impl Into<String>, now: impl Into<String>) -> Option<Difference> {
    let (was, now) = (was.into(), now.into());
    (was != now).then(|| Difference { what: what.into(), was, now })
}

/// What differs between two plans, steps by what they do and to what, whatever their numbers are.
pub fn diff(first: &Plan, second: &Plan) -> Vec<Difference> {
    let mut all = Vec::new();
    let hops = |plan: &Plan| super::planner::hops_text(&plan.hops);
    all.extend(different("from", first.from.as_str(), second.from.as_str()));
    all.extend(different("to", first.to.as_str(), second.to.as_str()));
    all.extend(different("hops", hops(first), hops(second)));
    all.extend(values("adopt", &first.adopt, &second.adopt));
    all.extend(values("facts", &first.bound, &second.bound));
    all.extend(values("policy", &first.policy, &second.policy));
    all.extend(values("targets", &first.targets, &second.targets));
    all.extend(steps("step", &first.steps, &second.steps));
    all.extend(steps("undo", &first.undo, &second.undo));
    all.extend(steps("restore", &first.restore, &second.restore));
    all
}

/// Compares two values leaf by leaf.
fn values<T: Serialize>(name: &str, first: &T, second: &T) -> Vec<Difference> {
    let leaves = |value: &T| {
        let mut leaves = BTreeMap::new();
        collect(&serde_json::to_value(value).unwrap_or_default(), name.to_owned(), &mut leaves);
        leaves
    };
    let (first, second) = (leaves(first), leaves(second));
    let mut keys: Vec<&String> = first.keys().chain(second.keys()).collect();
    keys.sort();
    keys.dedup();
    let get = |map: &BTreeMap<String, String>, key: &String| map.get(key).cloned().unwrap_or_default();
    keys.into_iter().filter_map(|key| different(key.clone(), get(&first, key), get(&second, key))).collect()
}

fn collect(value: &Value, path: String, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(entries) => {
            for (key, item) in entries {
                collect(item, format!("{path}.{key}"), leaves);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                collect(item, format!("{path}[{at}]"), leaves);
            }
        }
        Value::String(text) => {
            leaves.insert(path, text.clone());
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => {
            leaves.insert(path, value.to_string());
        }
    }
}

fn steps(name: &str, first: &[Step], second: &[Step]) -> Vec<Difference> {
    let (first, second) = (named(first), named(second));
    let mut keys: Vec<&String> = first.keys().chain(second.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut all = Vec::new();
    for key in keys {
        match (first.get(key), second.get(key)) {
            (Some(a), Some(b)) => all.extend(values(&format!("{name} {key}"), &a.1, &b.1)),
            (Some(a), None) => all.extend(different(format!("{name} {key}"), format!("number {}", a.0), "")),
            (None, Some(b)) => all.extend(different(format!("{name} {key}"), "", format!("number {}", b.0))),
            (None, None) => {}
        }
    }
    all
}

/// Steps by what they do and to what; their numbers and edges follow from the others and are left out.
fn named(steps: &[Step]) -> BTreeMap<String, (u32, Value)> {
    let mut named = BTreeMap::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for step in steps {
        let mut value = serde_json::to_value(step).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.remove("id");
            object.remove("after");
        }
        let base = format!("{} {}", step.action.kind(), step.target);
        let count = counts.entry(base.clone()).and_modify(|count| *count += 1).or_insert(1);
        let key = if *count == 1 { base } else { format!("{base} #{count}") };
        named.insert(key, (step.id.0, value));
    }
    named
}

/// What the approval rests on and is different now: identities, versions, staged contents, schemas. Never health,
/// and nothing that was not seen: what nobody could look at is not known to differ.
pub fn bound_differences(bound: &BoundFacts, observed: &Observed) -> Vec<Difference> {
    let mut all = Vec::new();
    for (name, was) in &bound.members {
        let Some(seen) = observed.members.get(name) else { continue };
        let incarnation = |i: crate::ids::Incarnation| i.to_string();
        all.extend(different(
            format!("{name} incarnation"),
            incarnation(was.incarnation),
            incarnation(seen.incarnation),
        ));
        if let Some(version) = &seen.version {
            all.extend(different(format!("{name} version"), was.version.as_str(), version.as_str()));
        }
        // A plan that stages the release itself rests on no earlier content.
        if let Some(release) = seen.release.as_ref().filter(|_| !was.release.is_empty()) {
            all.extend(different(format!("{name} staged release"), was.release.as_str(), release.0.as_str()));
        }
    }
    for (name, was) in &bound.databases {
        let Some(seen) = observed.databases.get(name) else { continue };
        all.extend(different(format!("{name} identity"), was.identity.as_str(), seen.identity.as_str()));
        all.extend(different(format!("{name} schema"), was.schema.as_str(), seen.schema.as_str()));
    }
    for (balancer, servers) in &bound.out {
        for (member, was) in servers {
            let Some(seen) = observed.balancers.get(balancer).and_then(|s| s.get(member)) else { continue };
            all.extend(different(format!("{balancer}/{member}"), was.as_str(), seen.as_str()));
        }
    }
    all
}

/// Refuses a plan the world has moved away from.
pub fn check_fresh(plan: &Plan, observed: &Observed) -> Result<(), Report> {
    let differences = bound_differences(&plan.bound, observed);
    if differences.is_empty() {
        return Ok(());
    }
    let found = differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Err(Report::one(
        Fault::new(
            FaultCode::StalePlan,
            format!("stale plan: {} is not what was approved", plan.hash.short()),
        )
        .found(found)
        .help("plan and approve anew"),
    ))
}
