//! The views behind `status`, `members`, `owed`, `locks`, `history`, `audit` and `cluster show`, with whose knowledge they are.

use super::Api;
use crate::{doctor, planning};
use lockkeeper_core::{
    rollout::{Facts, State},
    time::LogTime,
    view::{self, OwedView, Stamp, StatusView},
};
use lockkeeper_proto::port::{GroupError, Group as _, View};
use serde::Serialize;
use std::sync::Arc;

/// `owed --json`.
#[derive(Debug, Serialize)]
struct OwedList {
    #[serde(flatten)]
    stamp: Stamp,
    owed: Vec<OwedView>,
}

/// `members --json`.
#[derive(Debug, Serialize)]
struct MemberList {
    #[serde(flatten)]
    stamp: Stamp,
    members: Vec<view::MemberView>,
}

/// `cluster show --json`.
#[derive(Debug, Serialize)]
struct ClusterShown {
    #[serde(flatten)]
    stamp: Stamp,
    version: u64,
    digest: String,
    text: String,
    profile_text: String,
}

impl Api {
    /// The view to answer from: what is here, or what the leader confirms.
    pub(super) async fn view(&self, linearizable: bool) -> Result<Arc<View>, GroupError> {
        if linearizable { self.group.read().await } else { Ok(self.group.follow().borrow().clone()) }
    }

    pub(super) fn stamp(&self, view: &View) -> Stamp {
        Stamp {
            source: self.me.to_string(),
            as_of: self.clock.wall_ms(),
            applied: view.applied,
            leader: view.leader.as_ref().map(ToString::to_string),
            term: view.term,
            stale: !view.quorum,
        }
    }

    fn facts(&self) -> Facts {
        // A follower knows nothing of silences; it says so by counting from now.
        self.facts.borrow().clone().unwrap_or_else(|| Facts {
            now: self.clock.boot(),
            me: self.me.clone(),
            leading_since: self.clock.boot(),
            members: std::collections::BTreeMap::new(),
            assigned: std::collections::BTreeMap::new(),
            bound_differs: None,
        })
    }

    pub(super) fn status(&self, view: &View) -> StatusView {
        let voters = self.group.consensus().leadership().borrow().voter_names();
        let sightings = self.sightings.view(self.clock.boot());
        view::status(&view.state, self.stamp(view), &voters, &sightings, &self.facts())
    }

    pub(super) fn status_json(&self, view: &View) -> String {
        json(&self.status(view))
    }

    pub(super) fn history_json(&self, view: &View) -> String {
        json(&view::history(&view.state, self.stamp(view)))
    }

    pub(super) fn members_json(&self, view: &View) -> String {
        json(&MemberList { stamp: self.stamp(view), members: self.status(view).members })
    }

    pub(super) fn owed_json(&self, view: &View) -> String {
        let shown = shown(&view.state);
        let owed = shown.map(|r| view::rollout_view(r).owed).unwrap_or_default();
        json(&OwedList { stamp: self.stamp(view), owed })
    }

    /// With other tools' locks, as agents see them now.
    pub(super) async fn locks_json(&self, view: &View) -> String {
        let foreign = planning::foreign_locks(self, &view.state).await;
        json(&view::locks(&view.state, self.stamp(view), &self.sightings.view(self.clock.boot()), &foreign))
    }

    /// From what this node knows, with or without a quorum, and from what every agent sees that answers.
    pub(super) async fn doctor_json(&self, view: &View) -> String {
        let voters = self.group.consensus().leadership().borrow().voter_names();
        let begun = LogTime(self.clock.wall_ms());
        let looks = planning::examine(self, &view.state).await;
        let asked = (begun, LogTime(self.clock.wall_ms()));
        let stamp = self.stamp(view);
        json(&doctor::diagnose(doctor::Seen { state: &view.state, stamp, voters: &voters, looks: &looks, asked }))
    }

    pub(super) fn audit_json(&self, view: &View) -> String {
        let trail = self.trail.read();
        json(&view::audit(&view.state, self.stamp(view), &trail))
    }

    pub(super) fn cluster_json(&self, view: &View) -> String {
        let config = view.state.config.as_ref();
        json(&ClusterShown {
            stamp: self.stamp(view),
            version: config.map_or(0, |c| c.version),
            digest: config.map(|c| c.digest.0.clone()).unwrap_or_default(),
            text: config.map(|c| c.text.clone()).unwrap_or_default(),
            profile_text: config.map(|c| c.profile.clone()).unwrap_or_default(),
        })
    }
}

fn shown(state: &State) -> Option<&lockkeeper_core::rollout::Rollout> {
    state.rollout.as_ref().or_else(|| state.history.back().map(AsRef::as_ref))
}

fn json<T: Serialize>(value: &T) -> String {
    // Views are plain data with text keys, which always serialise.
    serde_json::to_string(value).unwrap_or_default()
}
