//! What the leader remembers of agents' signs of life. In memory only: a new leader starts to count anew.

use lockkeeper_core::{
    ids::MemberName,
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
    /// When they were observed, on this node's boot clock.
    pub facts_at: BootTime,
    /// Its wall clock minus ours, in milliseconds.
    pub skew_ms: i64,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Sightings(Mutex<BTreeMap<MemberName, Seen>>);

impl Sightings {
    /// Takes a sign of life in; answers the digest of the facts now held.
    pub fn heard(&self, beat: &Beat, now: BootTime, wall_ms: u64) -> String {
        let mut all = self.lock();
        let seen = all.entry(beat.member.clone()).or_default();
        seen.at = now;
        seen.skew_ms = i64::try_from(beat.wall_ms).unwrap_or(0).saturating_sub(i64::try_from(wall_ms).unwrap_or(0));
        if !beat.facts_json.is_empty() {
            seen.facts_json.clone_from(&beat.facts_json);
            seen.facts_digest.clone_from(&beat.facts_digest);
        }
        if seen.facts_digest == beat.facts_digest {
            seen.facts_at = BootTime(now.0.saturating_sub(beat.facts_age.0));
        }
        seen.facts_digest.clone()
    }

    /// The latest of one agent.
    pub fn of(&self, member: &MemberName) -> Option<Seen> {
        self.lock().get(member).cloned()
    }

    /// For the leader's decisions.
    pub fn sights(&self) -> BTreeMap<MemberName, MemberSight> {
        self.lock().iter().map(|(m, s)| (m.clone(), MemberSight { last_seen: Some(s.at) })).collect()
    }

    /// For views.
    pub fn view(&self, now: BootTime) -> BTreeMap<MemberName, Sighting> {
        let version = |s: &Seen| {
            let facts: serde_json::Value = serde_json::from_str(&s.facts_json).ok()?;
            facts.pointer("/version/Ok").and_then(|v| v.as_str()).map(str::to_owned)
        };
        let sighting = |s: &Seen| Sighting { silent_ms: Some(now.since(s.at).0), app_version: version(s) };
        self.lock().iter().map(|(m, s)| (m.clone(), sighting(s))).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<MemberName, Seen>> {
        // The map is whole after every statement, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
