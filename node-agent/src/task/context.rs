//! What all attempts of one agent share: the ports, the journal and the group's ear.

use super::limits::{RETRY_FIRST, RETRY_MAX};
use crate::{
    clock::Clock,
    host::{Blocked, Host, Work},
    journal::{Entry, Journal, JournalError, Key, Record},
};
use lockkeeper_core::{
    ids::{MemberName, RequestId},
    plan::{Action, ActionKind, Targets},
    rollout::{Assignment, Command, Marks, Reply, StepPhase, assignments_for},
    time::Millis,
};
use lockkeeper_proto::port::{Group, GroupError, Proposal, View};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Shared by all attempts.
pub struct Context {
    /// This agent.
    pub me: MemberName,
    /// The group.
    pub group: Arc<dyn Group>,
    /// The outside.
    pub host: Arc<dyn Host>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Actions the local policy allows.
    pub allowed: BTreeSet<ActionKind>,
    journal: Mutex<Journal>,
}

impl Context {
    /// Puts the parts together.
    pub const fn new(
        me: MemberName,
        group: Arc<dyn Group>,
        host: Arc<dyn Host>,
        clock: Arc<dyn Clock>,
        allowed: BTreeSet<ActionKind>,
        journal: Journal,
    ) -> Self {
        Self { me, group, host, clock, allowed, journal: Mutex::new(journal) }
    }

    /// The journal. Held for one record at a time and never while waiting.
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        // Whoever panicked while holding it was between two records: a failed write closes the journal by itself.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one record durably.
    pub fn record(&self, record: &Record) -> Result<(), JournalError> {
        self.journal().append(record)
    }

    /// What the journal holds of an attempt.
    pub fn entry(&self, key: &Key) -> Option<Entry> {
        self.journal().ledger().entry(key).cloned()
    }

    /// Commits a command for this agent, once.
    pub async fn propose(&self, id: RequestId, trace: &str, command: Command) -> Result<Reply, GroupError> {
        self.group.propose(Proposal { id, actor: None, trace: trace.to_owned(), command }).await
    }

    /// Commits a command for this agent; repeats until the group answers.
    pub async fn insist(&self, id: &RequestId, trace: &str, command: &Command) -> Reply {
        let mut pause = RETRY_FIRST;
        loop {
            match self.propose(id.clone(), trace, command.clone()).await {
                Ok(reply) => return reply,
                // A bug or a mixed group: it may heal, and whoever looks at the log should see it.
                Err(error @ GroupError::Refused(_)) => {
                    tracing::warn!(%error, request = %id, "will say it again")
                }
                Err(error) => {
                    tracing::debug!(%error, request = %id, "the group did not answer, will say it again")
                }
            }
            self.back_off(&mut pause).await;
        }
    }

    /// A linearizable view; repeats until the group answers. Also answers when the question was asked that was
    /// answered.
    pub async fn ask(&self) -> (lockkeeper_core::time::BootTime, Arc<View>) {
        let mut pause = RETRY_FIRST;
        loop {
            // Before the question: the answer is true at some moment after it.
            let asked = self.clock.boot();
            match self.group.read().await {
                Ok(view) => return (asked, view),
                Err(error) => tracing::debug!(%error, "the group did not answer, will ask again"),
            }
            self.back_off(&mut pause).await;
        }
    }

    async fn back_off(&self, pause: &mut Millis) {
        self.clock.sleep(*pause).await;
        *pause = Millis(pause.0.saturating_mul(2).min(RETRY_MAX.0));
    }

    /// The assignment with this key in `view`, if this agent has it.
    pub fn assignment(&self, view: &View, key: &Key) -> Option<Assignment> {
        assignments_for(&view.state, &self.me).into_iter().find(|a| Key::from(&a.attempt) == *key)
    }

    /// What the group believes this attempt to be blocked by, perhaps since an earlier life.
    pub fn told(&self, key: &Key) -> Option<Blocked> {
        let view = self.group.follow().borrow().clone();
        let rollout = view.state.rollout.as_ref().filter(|rollout| rollout.id == key.rollout)?;
        let record = rollout.record(key.step).filter(|record| record.attempt == key.attempt)?;
        match &record.phase {
            StepPhase::Assigned { blocked: Some(report), .. } => Some(Blocked {
                code: report.code.clone(),
                text: report.text.clone(),
                remedy: report.remedy.clone(),
            }),
            StepPhase::Assigned { blocked: None, .. }
            | StepPhase::Pending
            | StepPhase::Done { .. }
            | StepPhase::Failed { .. }
            | StepPhase::NotNeeded => None,
        }
    }

    /// What the host needs to know of an assignment.
    pub fn work(&self, assignment: &Assignment, targets: &Arc<Targets>, marks: &Arc<Marks>) -> Work {
        Work {
            cluster: assignment.plan.bound.cluster_id.clone(),
            me: self.me.clone(),
            rollout: assignment.attempt.rollout,
            step: assignment.attempt.step,
            attempt: assignment.attempt.attempt,
            token: assignment.attempt.token,
            action: assignment.step.action.clone(),
            targets: targets.clone(),
            inputs: inputs(assignment),
            captured: assignment.captured.clone(),
            grants: assignment.grants.clone(),
            owes: assignment.step.owes.clone(),
            marks: marks.clone(),
        }
    }
}

/// Outputs of earlier steps, and the query that tells each database's schema: closing a grant reads by it what the
/// attempt left, and the action of closing does not carry it.
fn inputs(assignment: &Assignment) -> BTreeMap<String, String> {
    let mut inputs = assignment.inputs.clone();
    for step in &assignment.plan.steps {
        if let Action::UpgradeDatabase(upgrade) = &step.action {
            inputs.insert(format!("schema.{}.query", upgrade.database), upgrade.schema.query.clone());
        }
    }
    inputs
}
