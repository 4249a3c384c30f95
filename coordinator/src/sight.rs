//! What the leader remembers of agents' signs of life. In memory only: a new leader starts to count anew.
//!
//! The others keep what the leader told them, for views alone: nothing is ever decided on hearsay.

use crate::limits;
use lockkeeper_core::{
    ids::MemberName,
    observe::HostFacts,
    rollout::MemberSight,
    time::{BootTime, Millis},
    view::Sighting,
};
use std::{collections::BTreeMap, sync::Mutex};

/// What one agent said of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat {
    /// Who.
    pub member: MemberName,
    /// Its build.
    pub agent_version: String,
    /// JSON of its host facts; empty when unchanged.
    pub facts_json: String,
    /// Their digest.
    pub facts_digest: String,
    /// How old they were when sent.
    pub facts_age: Millis,
    /// Its wall clock, unix ms.
    pub wall_ms: u64,
}

/// The latest of each agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// When, on this node's boot clock.
    pub at: BootTime,
    /// JSON of its host facts.
    pub facts_json: String,
    /// Their digest.
    pub facts_digest: String,
    /// The application's version in them.
    pub app_version: Option<String>,
    /// When they were observed, on this node's boot clock.
    pub facts_at: BootTime,
    /// Its wall clock minus ours, in milliseconds.
    pub skew_ms: i64,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Sightings(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Heard by this node itself.
    seen: BTreeMap<MemberName, Seen>,
    /// What the leader said, and when, on this node's boot clock.
    told: (BootTime, BTreeMap<MemberName, Sighting>),
}

impl Sightings {
    /// Takes a sign of life in; answers the digest of the facts now held.
    pub fn heard(&self, beat: &Beat, now: BootTime, wall_ms: u64) -> String {
        let mut known = self.lock();
        let seen = known.seen.entry(beat.member.clone()).or_default();
        seen.at = now;
        seen.skew_ms = i64::try_from(beat.wall_ms).unwrap_or(0).saturating_sub(i64::try_from(wall_ms).unwrap_or(0));
        if !beat.facts_json.is_empty() {
            seen.facts_json.clone_from(&beat.facts_json);
            seen.facts_digest.clone_from(&beat.facts_digest);
            seen.app_version = version(&beat.facts_json);
        }
        if seen.facts_digest == beat.facts_digest {
            seen.facts_at = BootTime(now.0.saturating_sub(beat.facts_age.0));
        }
        seen.facts_digest.clone()
    }

    /// The latest of one agent.
    pub fn of(&self, member: &MemberName) -> Option<Seen> {
        self.lock().seen.get(member).cloned()
    }

    /// For the leader's decisions.
    pub fn sights(&self) -> BTreeMap<MemberName, MemberSight> {
        let known = self.lock();
        known.seen.iter().map(|(m, s)| (m.clone(), MemberSight { last_seen: Some(s.at) })).collect()
    }

    /// Keeps what the leader says it has heard.
    pub fn learn(&self, told: BTreeMap<MemberName, Sighting>, now: BootTime) {
        self.lock().told = (now, told);
    }

    /// What this node, leading, tells the others; empty in a group that is too large for it.
    pub fn told(&self, now: BootTime) -> String {
        let known = self.lock();
        if known.seen.len() > limits::SIGHTINGS_TOLD_MAX {
            return String::new();
        }
        let heard: BTreeMap<&MemberName, Sighting> =
            known.seen.iter().map(|(m, s)| (m, s.sighting(now))).collect();
        // Plain data with text keys; nothing said is better than a refused sign of life.
        serde_json::to_string(&heard).unwrap_or_default()
    }

    /// For views: what was heard last, by this node or, told by it, by the leader. Both silences go on growing, so that
    /// an old word looks old.
    pub fn view(&self, now: BootTime) -> BTreeMap<MemberName, Sighting> {
        let known = self.lock();
        let (at, told) = &known.told;
        let mut all: BTreeMap<MemberName, Sighting> = told.clone();
        for sighting in all.values_mut() {
            sighting.silent_ms = sighting.silent_ms.map(|silent| silent.saturating_add(now.since(*at).0));
        }
        for (member, seen) in &known.seen {
            let own = seen.sighting(now);
            let newer =
                all.get(member).and_then(|t| t.silent_ms).is_none_or(|told| own.silent_ms <= Some(told));
            if newer {
                all.insert(member.clone(), own);
            }
        }
        all
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // The map is whole after every statement, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Seen {
    fn sighting(&self, now: BootTime) -> Sighting {
        Sighting { silent_ms: Some(now.since(self.at).0), app_version: self.app_version.clone() }
    }
}

fn version(facts_json: &str) -> Option<String> {
    serde_json::from_str::<HostFacts>(facts_json).ok()?.version?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(facts_json: &str) -> Beat {
        Beat {
            member: member("n1"),
            agent_version: "0.1.0".into(),
            facts_json: facts_json.into(),
            facts_digest: "d".into(),
            facts_age: Millis(0),
            wall_ms: 0,
        }
    }

    fn member(name: &str) -> MemberName {
        MemberName::new(name).unwrap_or_else(|e| panic!("{e}"))
    }

    /// A follower shows what the leader told it, older by the second; what it heard itself later wins, and decisions
    /// know nothing of it.
    #[test]
    fn what_the_leader_told_is_shown_and_grows_old() {
        let (leader, follower) = (Sightings::default(), Sightings::default());
        let facts =
            serde_json::to_string(&HostFacts { version: Some(Ok("26.5.0".into())), ..HostFacts::default() });
        leader.heard(&beat(&facts.unwrap_or_default()), BootTime(1_000), 0);
        let told = serde_json::from_str(&leader.told(BootTime(1_500))).unwrap_or_else(|e| panic!("{e}"));
        follower.learn(told, BootTime(70_000));
        let seen = |now| follower.view(BootTime(now)).get(&member("n1")).cloned().unwrap_or_default();
        assert_eq!(seen(70_000), Sighting { silent_ms: Some(500), app_version: Some("26.5.0".into()) });
        assert_eq!(seen(73_000).silent_ms, Some(3_500));
        assert!(follower.sights().is_empty(), "nothing is decided on hearsay");
        follower.heard(&beat(""), BootTime(72_900), 0);
        assert_eq!(seen(73_000).silent_ms, Some(100));
    }

    #[test]
    fn a_leader_of_very_many_tells_nobody() {
        let leader = Sightings::default();
        for n in 0..=limits::SIGHTINGS_TOLD_MAX {
            assert!(!leader.told(BootTime(1)).is_empty());
            leader.heard(&Beat { member: member(&format!("n{n}")), ..beat("") }, BootTime(0), 0);
        }
        assert_eq!(leader.told(BootTime(1)), "");
    }
}
