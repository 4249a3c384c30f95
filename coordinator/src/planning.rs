//! What plans rest on: signs of life and host facts put into the planner's words.

use crate::sight::Sightings;
use lockkeeper_core::plan::Plan;

/// How what is observed now differs from what the plan is bound to, if it does. What was not observed lately is not
/// a difference: the steps' own checks look at it again.
pub fn bound_difference(plan: &Plan, sightings: &Sightings) -> Option<String> {
    plan.bound.members.iter().find_map(|(member, bound)| {
        let facts: serde_json::Value = serde_json::from_str(&sightings.of(member)?.facts_json).ok()?;
        let found = facts.pointer("/version/Ok")?.as_str()?;
        (found != bound.version.as_str()).then(|| format!("{member} has version {found}, not {}", bound.version))
    })
}
