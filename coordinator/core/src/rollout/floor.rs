//! The capacity floor of a rolling plan: a member is taken out only while enough others are in the balancer.
//!
//! The serial run keeps a second member from being taken out; here those count as out, too, whose agents are silent and
//! who are owed their place. Time and silence only ever make it wait.

use super::{next::Facts, state::Rollout, word::Word};
use crate::{
    ids::MemberName,
    plan::{ActionKind, Step, Target, Way},
};

/// Why a member is not taken out of its balancer now: too few would be left, or nobody could bring it through and back
/// in. None if it may be.
pub(super) fn broken_by(rollout: &Rollout, facts: &Facts, step: &Step) -> Option<(Word, String)> {
    let floor = usize::try_from(rollout.plan.policy.capacity_floor?).unwrap_or(usize::MAX);
    let Target::Balancer(balancer, member) = &step.target else { return None };
    // On the way back the member that is drained is the one that is out already.
    if step.action.kind() != ActionKind::Drain || rollout.way_of(step.id) != Way::Forward {
        return None;
    }
    if !facts.is_alive(member, rollout) {
        let silence = facts.silence(member);
        return Some((
            Word::MemberAway,
            format!("{member} has not been heard of for {silence}, it stays where it is"),
        ));
    }
    let servers = &rollout.plan.targets.balancers.get(balancer)?.servers;
    let (away, present): (Vec<&MemberName>, Vec<&MemberName>) =
        servers.keys().filter(|other| *other != member).partition(|other| {
            let drained = |key: &&crate::plan::OwedKey| key.0 == format!("{balancer}/{other}");
            !facts.is_alive(other, rollout) || rollout.owed_open().any(|(key, _)| drained(&key))
        });
    (present.len() < floor).then(|| {
        let away = away.iter().map(|member| member.as_str()).collect::<Vec<_>>().join(" ");
        let left = present.len();
        let text = format!(
            "without {member} only {left} would be left in {balancer}, the floor is {floor}; missing: {away}"
        );
        (Word::CapacityFloor, text)
    })
}
