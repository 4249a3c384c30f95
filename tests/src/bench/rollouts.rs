//! What coordination costs: commits by themselves, and whole rollouts of steps that are done at once.

use super::{
    Samples, planning,
    trio::{Trio, person},
};
use anyhow::{Result, bail, ensure};
use lockkeeper_core::{
    identity::Role,
    ids::{PlanHash, RolloutId, StepId},
    rollout::{Command, Rollout, State, Status, StepPhase},
};
use lockkeeper_proto::port::{Group as _, View};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::timeout};

/// Some hundred steps of some milliseconds; a debug build on a slow disk needs ten times that.
const ROLLOUT_WITHIN: Duration = Duration::from_secs(120);

/// `times` commands that change nothing, one after the other, with a pause before each.
pub async fn commits(trio: &mut Trio, times: usize, pause: Duration) -> Result<Samples> {
    let nothing = trio.nothing();
    let mut samples = Samples::default();
    for _ in 0..times {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let begun = Instant::now();
        trio.must(None, nothing.clone()).await?;
        samples.push(begun.elapsed());
    }
    Ok(samples)
}

/// What was seen of a step by whoever follows the leader's state.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    assigned: Option<Instant>,
    done: Option<Instant>,
}

/// Steps as they come by.
#[derive(Debug, Default)]
struct Watched(BTreeMap<(RolloutId, StepId), Seen>);

/// From assignment committed to outcome committed, by step.
#[derive(Debug, Default)]
pub struct Overhead {
    /// Every step that was seen at both ends.
    pub steps: Samples,
    /// Steps whose two states were overtaken by later ones before they were seen.
    pub missed: usize,
    /// Whole rollouts.
    pub rollouts: Samples,
}

/// Carries out `count` rollouts.
pub async fn overhead(trio: &mut Trio, text: &str, count: u32) -> Result<Overhead> {
    let spec = planning::read(text)?;
    let mut overhead = Overhead::default();
    for number in 0..count {
        let (from, to) = (format!("26.{number}.0"), format!("26.{}.0", number + 1));
        let plan = planning::planned(&trio.cluster, text, &spec, &from, &to)?;
        let hash = plan.hash.clone();
        let views = trio.voters[0].coordinator.group.follow();
        let watching = tokio::spawn(timeout(ROLLOUT_WITHIN, watch_over(views, hash)));
        let begun = Instant::now();
        trio.must(Some(&person("ola", Role::Operator)), Command::Apply { plan: Box::new(plan) }).await?;
        let Ok(watched) = watching.await? else {
            let view = trio.voters[0].coordinator.group.follow().borrow().clone();
            bail!("the rollout did not end in time; it waits at {:?}", waiting(&view.state));
        };
        let watched = watched?;
        overhead.rollouts.push(begun.elapsed());
        for seen in watched.0.values() {
            match (seen.assigned, seen.done) {
                (Some(assigned), Some(done)) => overhead.steps.push(done.duration_since(assigned)),
                (_, _) => overhead.missed += 1,
            }
        }
    }
    Ok(overhead)
}

/// Follows one rollout to its end.
async fn watch_over(mut views: watch::Receiver<Arc<View>>, plan: PlanHash) -> Result<Watched> {
    let mut watched = Watched::default();
    loop {
        let view = views.borrow_and_update().clone();
        let now = Instant::now();
        if let Some(rollout) = rollout(&view.state, &plan) {
            watched.look(rollout, now);
            if rollout.status.is_final() {
                ensure!(
                    matches!(rollout.status, Status::Completed { .. }),
                    "it ended {}",
                    rollout.status.word()
                );
                return Ok(watched);
            }
            ensure!(!matches!(rollout.status, Status::Halted { .. }), "it halted: {:?}", rollout.status);
        }
        views.changed().await?;
    }
}

/// The steps that are begun and not done.
fn waiting(state: &State) -> Vec<(StepId, &StepPhase)> {
    let steps = state.rollout.iter().flat_map(|rollout| &rollout.steps);
    let begun = |phase: &StepPhase| !phase.is_settled() && *phase != StepPhase::Pending;
    steps.filter(|(_, record)| begun(&record.phase)).map(|(step, record)| (*step, &record.phase)).collect()
}

fn rollout<'a>(state: &'a State, plan: &PlanHash) -> Option<&'a Rollout> {
    let finished = state.history.iter().map(AsRef::as_ref);
    state.rollout.iter().chain(finished).find(|rollout| rollout.plan.hash == *plan)
}

impl Watched {
    fn look(&mut self, rollout: &Rollout, now: Instant) {
        for (step, record) in &rollout.steps {
            let seen = match &record.phase {
                StepPhase::Pending | StepPhase::NotNeeded | StepPhase::Failed { .. } => continue,
                StepPhase::Assigned { .. } | StepPhase::Done { .. } => {
                    self.0.entry((rollout.id, *step)).or_default()
                }
            };
            match &record.phase {
                StepPhase::Assigned { .. } => drop(seen.assigned.get_or_insert(now)),
                StepPhase::Done { .. } => drop(seen.done.get_or_insert(now)),
                StepPhase::Pending | StepPhase::NotNeeded | StepPhase::Failed { .. } => {}
            }
        }
    }
}
