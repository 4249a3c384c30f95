//! Choosing an agent: the upgrader of a database, and the executor of a shared target. A score is a type.

use super::{next::Facts, state::Rollout};
use crate::{
    ids::{DatabaseName, MemberName},
    plan::SharedTarget,
};
use std::cmp::Reverse;

/// What speaks for a member as upgrader, the most important first. The greatest is chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpgraderScore {
    /// It was not lost with the grant before this one.
    pub not_lost: bool,
    /// It works the database's door; changing that costs a hand-over.
    pub not_executor: bool,
    /// Losing the leader and losing the upgrader should be two accidents, not one.
    pub not_leader: bool,
    /// The plan's order.
    pub order: Reverse<usize>,
}

/// The member that should upgrade `database`; none if no candidate is heard of.
pub fn upgrader(rollout: &Rollout, facts: &Facts, database: &DatabaseName) -> Option<MemberName> {
    let candidates = rollout.plan.policy.upgraders.get(database)?;
    let executor = rollout.executors.get(&SharedTarget::Database(database.clone()));
    let lost = rollout.grants.get(database).filter(|grant| grant.lost).map(|grant| &grant.member);
    candidates
        .iter()
        .enumerate()
        .filter(|(_, m)| facts.is_alive(m, rollout))
        .filter(|(_, m)| rollout.successors.get(database).is_none_or(|named| named == *m))
        .max_by_key(|(at, m)| UpgraderScore {
            not_lost: lost != Some(*m),
            not_executor: executor != Some(*m),
            not_leader: facts.me != **m,
            order: Reverse(*at),
        })
        .map(|(_, m)| m.clone())
}

/// The agent that should work a shared target: the first candidate that is heard of, is not `never`, and is not the
/// only one who could upgrade the database.
pub fn executor(
    rollout: &Rollout,
    facts: &Facts,
    target: &SharedTarget,
    never: Option<&MemberName>,
) -> Option<MemberName> {
    let (_, candidates) = rollout.plan.policy.executors.iter().find(|(t, _)| t == target)?;
    let only_upgrader = match target {
        SharedTarget::Balancer(_) => None,
        SharedTarget::Database(d) => match rollout.plan.policy.upgraders.get(d).map(Vec::as_slice) {
            Some([only]) => Some(only),
            Some(_) | None => None,
        },
    };
    candidates
        .iter()
        .find(|m| facts.is_alive(m, rollout) && Some(*m) != never && Some(*m) != only_upgrader)
        .cloned()
}
