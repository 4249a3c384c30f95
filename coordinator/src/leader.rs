//! The leader loop: gather what is observed, ask the core what comes next, propose it.
//!
//! Decides nothing: `core::rollout::next` does, and `apply` checks it again. It runs on every voter and does
//! something on the leader alone. First boot, fail-over and the ordinary tick are the same function.

use crate::{consensus::Leadership, flight::Flight, limits, local_group::LocalGroup, planning, sight::Sightings, voters};
use futures::future::join_all;
use lockkeeper_core::{
    ids::{Attempt, MemberName, RequestId, StepId},
    rollout::{Command, Facts, Reply, State, StepPhase, next},
    time::BootTime,
};
use lockkeeper_proto::port::{Clock, Group, Proposal};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::watch;
use tracing::{debug, info, warn};

/// What the loop needs.
pub struct Leader {
    /// This node.
    pub me: MemberName,
    /// Its group.
    pub group: Arc<LocalGroup>,
    /// Signs of life of the agents.
    pub sightings: Arc<Sightings>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where decisions are noted.
    pub flight: Flight,
}

/// What a leader remembers while it leads; a new one starts with nothing, so every deadline is restarted in full.
#[derive(Debug, Clone, Default)]
pub struct Reign {
    since: BootTime,
    assigned: BTreeMap<(StepId, Attempt), BootTime>,
    refused: Vec<(Command, BootTime)>,
}

impl Leader {
    /// Runs until the group stops. The current facts are shown on the channel, for `status --why`.
    pub async fn run(self, shown: watch::Sender<Option<Facts>>) {
        let mut views = self.group.follow();
        let mut leadership = self.group.consensus().leadership();
        let mut reign: Option<Reign> = None;
        loop {
            let now = leadership.borrow_and_update().clone();
            if now.leading {
                let reign = match &mut reign {
                    Some(reign) => reign,
                    None => match self.begin().await {
                        Some(begun) => reign.insert(begun),
                        None => continue,
                    },
                };
                self.turn(reign, &now, &shown).await;
            } else if reign.take().is_some() {
                info!("no longer leading");
                shown.send_replace(None);
            }
            tokio::select! {
                biased;
                changed = leadership.changed() => if changed.is_err() { return },
                changed = views.changed() => if changed.is_err() { return },
                () = self.clock.sleep(limits::LEADER_TICK) => {}
            }
        }
    }

    /// A new leader looks only after it has applied everything that was committed before it.
    async fn begin(&self) -> Option<Reign> {
        match self.group.read().await {
            Ok(view) => {
                info!(applied = view.applied.0, term = view.term, "leading");
                Some(Reign { since: self.clock.boot(), ..Reign::default() })
            }
            Err(error) => {
                debug!(%error, "not leading yet");
                self.clock.sleep(limits::NO_LEADER_PAUSE).await;
                None
            }
        }
    }

    async fn turn(&self, reign: &mut Reign, leadership: &Leadership, shown: &watch::Sender<Option<Facts>>) {
        let view = self.group.follow().borrow().clone();
        voters::tend(&view.state, leadership, self.group.consensus().as_ref()).await;
        let facts = self.facts(reign, &view.state);
        shown.send_replace(Some(facts.clone()));
        let now = facts.now;
        reign.refused.retain(|(_, at)| now.since(*at) < limits::REPEAT_AFTER);
        let mut commands = next(&view.state, &facts);
        self.flight.note(view.state.applied, &facts, &commands);
        let learners = leadership.learners.iter().map(|(_, name, _)| name.clone());
        commands
            .extend(view.state.next_trust(&leadership.voter_names().into_iter().chain(learners).collect()));
        commands.retain(|c| !reign.refused.iter().any(|(refused, _)| refused == c));
        let answers = join_all(commands.iter().map(|command| self.propose(&view.state, command))).await;
        for (command, kept) in commands.into_iter().zip(answers) {
            if !kept {
                reign.refused.push((command, self.clock.boot()));
            }
        }
    }

    /// Whether the command took effect, or its fate is unknown; a refused one is not repeated at once.
    async fn propose(&self, state: &State, command: &Command) -> bool {
        let trace = state.rollout.as_ref().map(|r| r.trace.clone()).unwrap_or_default();
        let id = RequestId(uuid::Uuid::now_v7().to_string());
        let proposal = Proposal { id, actor: None, trace, command: command.clone() };
        match self.group.propose_here(proposal).await {
            Ok(Reply::Applied { .. }) => true,
            Ok(Reply::Rejected(rejection)) => {
                // Not an error: the state moved on between looking and committing.
                debug!(code = rejection.code(), %rejection, kind = ?command.kind(), "rejected");
                false
            }
            Err(error) => {
                warn!(%error, kind = ?command.kind(), "not committed");
                true
            }
        }
    }

    fn facts(&self, reign: &mut Reign, state: &State) -> Facts {
        let now = self.clock.boot();
        let open = open_assignments(state);
        reign.assigned.retain(|key, _| open.contains(key));
        for key in open {
            reign.assigned.entry(key).or_insert(now);
        }
        Facts {
            now,
            me: self.me.clone(),
            leading_since: reign.since,
            members: self.sightings.sights(),
            assigned: reign.assigned.clone(),
            bound_differs: state.rollout.as_ref().and_then(|r| planning::bound_difference(&r.plan, &self.sightings)),
        }
    }
}

fn open_assignments(state: &State) -> Vec<(StepId, Attempt)> {
    let Some(rollout) = &state.rollout else { return Vec::new() };
    let assigned = rollout.steps.iter().filter(|(_, r)| matches!(r.phase, StepPhase::Assigned { .. }));
    assigned.map(|(id, r)| (*id, r.attempt)).collect()
}
