//! `locks`: who holds what in the active rollout.

use super::{Sighting, Stamp, grant};
use crate::{ids::MemberName, rollout::State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `locks --json`: who holds what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocksView {
    /// Where this comes from.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Grants and executors of the active rollout.
    pub locks: Vec<LockView>,
}

/// One lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockView {
    /// `grant`, `executor` or `rollout`.
    pub kind: String,
    /// On what.
    pub target: String,
    /// Who.
    pub holder: String,
    /// Token, where it has one.
    pub token: String,
    /// State.
    pub state: String,
    /// Since when, log time.
    pub since: u64,
    /// Whether the holder was heard of lately; none if the source does not know.
    pub alive: Option<bool>,
}

/// Who holds what in the active rollout.
pub fn locks(state: &State, stamp: Stamp, sightings: &BTreeMap<MemberName, Sighting>) -> LocksView {
    let mut locks = Vec::new();
    if let Some(rollout) = &state.rollout {
        let lost_after = rollout.plan.policy.lost_after.0;
        let alive = |m: &MemberName| sightings.get(m).and_then(|s| s.silent_ms).map(|ms| ms < lost_after);
        locks.push(LockView {
            kind: "rollout".into(),
            target: "cluster".into(),
            holder: rollout.by.name.clone(),
            token: rollout.id.to_string(),
            state: rollout.status.word().into(),
            since: rollout.started.0,
            alive: None,
        });
        for (database, g) in &rollout.grants {
            let view = grant(g);
            locks.push(LockView {
                kind: "grant".into(),
                target: database.to_string(),
                holder: view.member,
                token: view.token,
                state: view.state,
                since: view.since,
                alive: alive(&g.member),
            });
        }
        for (target, member) in &rollout.executors {
            locks.push(LockView {
                kind: "executor".into(),
                target: target.to_string(),
                holder: member.to_string(),
                token: String::new(),
                state: "held".into(),
                since: rollout.started.0,
                alive: alive(member),
            });
        }
    }
    LocksView { stamp, locks }
}
