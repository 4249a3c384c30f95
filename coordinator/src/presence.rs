//! An agent's sign of life: once a second to whoever leads, with what it sees of its host.

use crate::{
    alarm::Alarm,
    limits,
    local_group::LocalGroup,
    sight::{Beat, Sightings},
};
use lockkeeper_core::{
    ids::{Incarnation, MemberName},
    time::{BootTime, Millis},
};
use lockkeeper_proto::{
    client::group::{GroupBeat, GroupClient},
    port::{Clock, Group as _, Instance},
    transport::{Dialer, ExpectedPeer, code_of},
};
use std::sync::Arc;
use tokio::sync::watch;
use tracing::debug;

/// What the agent sees of its host, as it is sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostReport {
    /// JSON of the host facts; empty before the first look.
    pub facts_json: String,
    /// Its digest.
    pub digest: String,
    /// When it was observed, on this node's boot clock.
    pub at: BootTime,
}

/// What the loop needs.
pub struct Presence {
    /// This node.
    pub me: MemberName,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its build.
    pub agent_version: String,
    /// Its group.
    pub group: Arc<LocalGroup>,
    /// Where a leader keeps what it hears, also of itself, and others what it tells them.
    pub sightings: Arc<Sightings>,
    /// Ways to other agents.
    pub dialer: Arc<dyn Dialer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What the agent sees.
    pub report: watch::Receiver<HostReport>,
    /// Which running of this agent.
    pub instance: Instance,
    /// Collects the leader's word that another agent has this name.
    pub alarm: Arc<Alarm>,
}

impl Presence {
    /// Runs until the group stops.
    pub async fn run(mut self) {
        let mut views = self.group.follow();
        let mut known = String::new();
        let mut leader: Option<(MemberName, GroupClient)> = None;
        loop {
            let now = views.borrow_and_update().leader.clone();
            let report = self.report.borrow_and_update().clone();
            match now.clone() {
                Some(name) if name == self.me => {
                    leader = None;
                    let beat = self.beat(&report, "");
                    known = self.sightings.heard(&beat, self.clock.boot(), self.clock.wall_ms());
                }
                Some(name) => {
                    if leader.as_ref().is_none_or(|(l, _)| *l != name) {
                        known.clear();
                        leader = self.client(&name).map(|client| (name, client));
                    }
                    if let Some((_, client)) = &leader {
                        known = self.send(client, &report, &known).await;
                    }
                }
                None => leader = None,
            }
            tokio::select! {
                () = self.clock.sleep(limits::BEAT_EVERY) => {}
                changed = self.report.changed() => if changed.is_err() { return },
                // Only a change of leader matters here, and a new one should hear of us at once. Compared with what was
                // seen above, so that a state that lasts (nobody leads) never counts as a change.
                changed = views.wait_for(|v| v.leader != now) => if changed.is_err() { return },
            }
        }
    }

    fn client(&self, leader: &MemberName) -> Option<GroupClient> {
        let view = self.group.follow().borrow().clone();
        let address = view.state.nodes.get(leader).map(|n| n.address.clone())?;
        let channel = self.dialer.channel(&address, ExpectedPeer::Member(leader.clone()));
        Some(GroupClient::new(channel, limits::MESSAGE_MAX).speaking_as(&self.instance))
    }

    fn beat(&self, report: &HostReport, known: &str) -> Beat {
        let same = report.digest == known;
        Beat {
            member: self.me.clone(),
            agent_version: self.agent_version.clone(),
            facts_json: if same { String::new() } else { report.facts_json.clone() },
            facts_digest: report.digest.clone(),
            facts_age: self.clock.boot().since(report.at),
            wall_ms: self.clock.wall_ms(),
        }
    }

    async fn send(&self, client: &GroupClient, report: &HostReport, known: &str) -> String {
        let beat = self.beat(report, known);
        let wire = GroupBeat {
            member: beat.member.to_string(),
            incarnation: self.incarnation.0,
            agent_version: beat.agent_version,
            facts_json: beat.facts_json,
            facts_digest: beat.facts_digest,
            facts_age_ms: beat.facts_age.0,
            wall_ms: beat.wall_ms,
        };
        let limit: Millis = limits::FORWARD_DEADLINE;
        match tokio::time::timeout(limit.into(), client.beat(wire)).await {
            Ok(Ok(answer)) => {
                if let Some(sightings) = answer.sightings {
                    self.sightings.learn(sightings, self.clock.boot());
                }
                answer.facts_digest
            }
            Ok(Err(status)) => {
                if code_of(&status) == Some("LK3311") {
                    self.alarm.refused(status.message());
                }
                debug!(%status, "the leader did not take the sign of life");
                String::new()
            }
            Err(_) => String::new(),
        }
    }
}
