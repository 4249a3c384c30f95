//! Carries one attempt to its end: does what the machine says and tells it what came of it.
//!
//! Nothing is decided here except how long to wait. Dropping the future at any point is safe: records are written
//! without waiting in between, and the host promises the same for its effects.

use super::{
    context::Context,
    limits::{DEADLINE_TICK, KILL_DEADLINE, LOOK_EVERY, PROVE_EVERY, START_DEADLINE},
    machine::{self, Event, Known, Stage},
    trace,
};
use crate::{
    code::AgentCode,
    host::{Blocked, Done, Failure, Postcheck, Precheck, Unit, Work},
    journal::{Disorder, Ending, JournalError, Key, Record},
    plant::{self, Plant},
};
use lockkeeper_core::{
    ids::{Digest, LogIndex, RequestId},
    plan::Targets,
    rollout::{Assignment, Command, Marks, OutcomeResult, Reply, command::BlockedReport, marks::TWIN_GROUP},
    time::{BootTime, Millis},
};
use lockkeeper_proto::port::View;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

/// Why the executor, and with it the agent, must stop.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The agent may not act without its memory.
    #[error("the journal of attempts")]
    Journal(#[from] JournalError),
    /// A bug in the driver.
    #[error("LK6010: the executor contradicts itself")]
    Impossible(#[from] machine::Impossible),
    /// An attempt ended in a panic, so what it did is only known to the journal: the next life looks.
    #[error("LK6010: an attempt ended in a panic")]
    Panicked(#[source] tokio::task::JoinError),
}

/// One attempt being carried out.
pub struct Attempt {
    context: Arc<Context>,
    key: Key,
    targets: Arc<Targets>,
    trace: String,
    begun: BootTime,
    seen: LogIndex,
    assignment: Mutex<Assignment>,
    marks: Mutex<Arc<Marks>>,
    known: Mutex<Known>,
    soft_told: AtomicBool,
    tellings: AtomicU32,
}

impl Attempt {
    /// Takes an assignment up where the journal left it. `seen` is the log index of the view it was in.
    pub fn new(context: Arc<Context>, assignment: Assignment, seen: LogIndex) -> Self {
        let key = Key::from(&assignment.attempt);
        let entry = context.entry(&key);
        let known = Known {
            repeatable: machine::is_repeatable(assignment.step.action.kind())
                || plant::is(Plant::RepeatUpgrade),
            owes: assignment.step.owes.is_some(),
            captured: entry.as_ref().and_then(|e| e.captured.clone()),
            started: entry.as_ref().is_some_and(|e| e.started),
            unit: entry.and_then(|e| e.unit),
            told: context.told(&key),
        };
        Self {
            key,
            targets: Arc::new(assignment.plan.targets.clone()),
            trace: trace::traceparent(&tracing::Span::current()),
            begun: context.clock.boot(),
            seen,
            assignment: Mutex::new(assignment),
            marks: Mutex::new(context.group.follow().borrow().state.marks.clone()),
            known: Mutex::new(known),
            soft_told: AtomicBool::new(false),
            tellings: AtomicU32::new(0),
            context,
        }
    }

    /// Runs to the end.
    pub async fn run(&self) -> Result<(), TaskError> {
        let mut stage = machine::first(self.context.entry(&self.key).as_ref());
        while stage != Stage::Over {
            let event = if stage.waits() {
                // The interruption first: past its deadline nothing may begin, not even by chance.
                tokio::select! {
                    biased;
                    event = self.interruption(&stage) => Ok(event),
                    event = self.carry_out(&stage) => event,
                }
            } else {
                self.carry_out(&stage).await
            }?;
            tracing::debug!(stage = stage.word(), event = event.word(), "attempt goes on");
            stage = stage.next(event, &self.known())?;
        }
        Ok(())
    }

    async fn carry_out(&self, stage: &Stage) -> Result<Event, TaskError> {
        let (context, key) = (&self.context, self.key);
        Ok(match stage {
            Stage::Begin => self.begin()?,
            Stage::Look => {
                let view = context.group.follow().borrow().clone();
                self.refresh(context.assignment(&view, &key), &view);
                Event::Saw(self.look().await)
            }
            Stage::Tell(blocked) => self.tell(blocked.as_ref()).await,
            Stage::Rest => self.pause(LOOK_EVERY).await,
            Stage::Settle => self.pause(PROVE_EVERY).await,
            Stage::Capture(text) => {
                context.record(&Record::Captured { key, text: text.clone() })?;
                self.known().captured = Some(text.clone());
                Event::Journalled
            }
            Stage::Owe(captured) => self.owe(captured).await,
            Stage::Confirm => self.confirm().await,
            Stage::Start { asked } => self.start(*asked)?,
            Stage::Act => Event::Performed(self.act().await),
            Stage::Adopt(unit) => {
                if self.known().unit.as_ref() != Some(unit) {
                    context.record(&Record::UnitStarted { key, unit: unit.clone() })?;
                }
                self.set_unit(unit);
                Event::Performed(context.host.adopt(&self.work(), unit).await)
            }
            Stage::Prove => match context.host.postcheck(&self.work()).await {
                Postcheck::NotYet(_) if plant::is(Plant::BelieveSilence) => {
                    Event::Proof(Postcheck::Proven(Done::default()))
                }
                answer => Event::Proof(answer),
            },
            Stage::Kill(unit) => Event::Killed(self.kill(unit).await),
            Stage::End(ending) => {
                context.record(&Record::End { key, ending: ending.clone() })?;
                Event::Journalled
            }
            Stage::Report(ending) => self.report("outcome", outcome(ending)).await,
            Stage::Refuse(failure) => self.report("refused", failed(failure)).await,
            Stage::Close => {
                context.record(&Record::Reported { key })?;
                Event::Journalled
            }
            // The loop ends before.
            Stage::Over => Event::Acknowledged,
        })
    }

    fn begin(&self) -> Result<Event, TaskError> {
        let step = self.assignment().step.clone();
        let kind = step.action.kind();
        if !self.context.allowed.contains(&kind) {
            let text = format_args!("this agent's policy does not allow {kind}");
            return Ok(Event::Refused(AgentCode::ActionNotAllowed.failure(text)));
        }
        // Plain data with text keys always serialises; the digest only tells one action from another.
        let action = Digest::of(&serde_json::to_vec(&step.action).unwrap_or_default());
        self.admitted(&Record::Begin { key: self.key, target: step.target, kind, action })
    }

    fn start(&self, asked: BootTime) -> Result<Event, TaskError> {
        let late = || self.context.clock.boot().since(asked) > START_DEADLINE;
        if late() {
            return Ok(Event::Late);
        }
        if plant::is(Plant::SkipStart) {
            self.known().started = true;
            return Ok(Event::Journalled);
        }
        let event = self.admitted(&Record::Start { key: self.key })?;
        self.known().started = self.context.entry(&self.key).is_some_and(|entry| entry.started);
        // The sync may have taken long, or the machine was paused in it.
        Ok(if event == Event::Journalled && late() { Event::Late } else { event })
    }

    /// Writes a record that needs a right, or says that the right has passed.
    fn admitted(&self, record: &Record) -> Result<Event, TaskError> {
        let mut journal = self.context.journal();
        match journal.ledger().judge(record) {
            Ok(()) => {
                journal.append(record)?;
                Ok(Event::Journalled)
            }
            Err(Disorder::Stale(stale)) => Ok(Event::Refused(AgentCode::TokenRefused.failure(stale))),
            Err(other) => Ok(Event::Refused(AgentCode::TokenRefused.failure(other))),
        }
    }

    async fn tell(&self, blocked: Option<&Blocked>) -> Event {
        let report = blocked.map(|b| BlockedReport {
            code: b.code.clone(),
            text: b.text.clone(),
            remedy: b.remedy.clone(),
        });
        let n = self.tellings.fetch_add(1, Ordering::Relaxed);
        let id = self.request(&format!("blocked-{}-{n}", self.begun.0));
        let command =
            Command::ReportBlocked { attempt: self.key.reference(&self.context.me), blocked: report };
        let answer = self.context.propose(id, &self.trace, command).await;
        if answer.is_ok() {
            self.known().told = blocked.cloned();
        }
        Event::Told(answer.is_ok())
    }

    async fn owe(&self, captured: &str) -> Event {
        let attempt = self.key.reference(&self.context.me);
        let command = Command::OwedIntent { attempt, captured: captured.to_owned() };
        match self.context.insist(&self.request("owe"), &self.trace, &command).await {
            Reply::Applied { .. } => Event::Owed,
            Reply::Rejected(rejection) => {
                tracing::info!(%rejection, "the intent was not taken");
                Event::NotCurrent
            }
        }
    }

    async fn confirm(&self) -> Event {
        if plant::is(Plant::SkipConfirm) {
            return Event::Current { asked: self.context.clock.boot() };
        }
        let (asked, view) = self.context.ask().await;
        match self.context.assignment(&view, &self.key) {
            Some(assignment) if assignment.wanted => {
                self.refresh(Some(assignment), &view);
                Event::Current { asked }
            }
            Some(_) | None => Event::NotCurrent,
        }
    }

    fn unit_started(&self, unit: Unit) {
        self.set_unit(&unit);
        // A failed write closes the journal, so the next record of this attempt stops the agent.
        if let Err(error) = self.context.record(&Record::UnitStarted { key: self.key, unit }) {
            tracing::error!(%error, code = error.code(), "the unit could not be journalled");
        }
    }

    fn set_unit(&self, unit: &Unit) {
        let mut known = self.known();
        known.unit = Some(unit.clone());
        // A unit is there, so the effect has begun, whatever else is remembered.
        known.started = true;
    }

    async fn kill(&self, unit: &Unit) -> Result<(), Failure> {
        let work = self.work();
        tokio::select! {
            result = self.context.host.kill(&work, unit) => result,
            () = self.context.clock.sleep(KILL_DEADLINE) => {
                Err(AgentCode::UnitNotGone.failure(format_args!("still there after {KILL_DEADLINE}")))
            }
        }
    }

    async fn report(&self, word: &str, result: OutcomeResult) -> Event {
        match &result {
            OutcomeResult::Done { .. } => tracing::info!("attempt done"),
            OutcomeResult::Failed { code, text, .. } => tracing::error!(%code, %text, "attempt failed"),
            OutcomeResult::Dropped => tracing::info!("attempt given back unstarted"),
        }
        let command = Command::Outcome { attempt: self.key.reference(&self.context.me), result };
        match self.context.insist(&self.request(word), &self.trace, &command).await {
            Reply::Applied { .. } => {}
            Reply::Rejected(rejection) => tracing::info!(%rejection, "the outcome came too late to matter"),
        }
        Event::Acknowledged
    }

    async fn pause(&self, duration: Millis) -> Event {
        self.context.clock.sleep(duration).await;
        Event::Rested
    }

    /// The hard deadline, or word that what has not started is no longer wanted.
    async fn interruption(&self, stage: &Stage) -> Event {
        let started = self.known().started || matches!(stage, Stage::Adopt(_));
        tokio::select! {
            biased;
            () = self.expiry() => Event::Expired,
            () = self.unwanted(), if !started => Event::Unwanted,
        }
    }

    async fn expiry(&self) {
        let deadline = self.assignment().step.deadline;
        loop {
            let spent = self.context.clock.boot().since(self.begun);
            if spent >= deadline.hard {
                return;
            }
            if spent >= deadline.soft && !self.soft_told.swap(true, Ordering::Relaxed) {
                tracing::warn!(code = "LK6111", soft = %deadline.soft, hard = %deadline.hard, "attempt takes longer than planned");
            }
            let soft = if spent < deadline.soft { deadline.soft.0 - spent.0 } else { u64::MAX };
            let left = (deadline.hard.0 - spent.0).min(soft).min(DEADLINE_TICK.0);
            self.context.clock.sleep(Millis(left)).await;
        }
    }

    async fn unwanted(&self) {
        let mut follow = self.context.group.follow();
        loop {
            let view = follow.borrow_and_update().clone();
            // A view from before the assignment says nothing about it.
            let wanted = self.context.assignment(&view, &self.key).is_some_and(|a| a.wanted);
            if view.applied >= self.seen && !wanted {
                return;
            }
            if follow.changed().await.is_err() {
                // The group stops, and with it this agent; nothing more will be heard.
                return std::future::pending().await;
            }
        }
    }

    fn request(&self, word: &str) -> RequestId {
        let Key { token, rollout, step, attempt } = self.key;
        let (generation, index) = (token.generation, token.index.0);
        RequestId(format!("{}/{word}/{generation}.{index}/{rollout}.{step}.{attempt}", self.context.me))
    }

    async fn look(&self) -> Precheck {
        match self.context.host.precheck(&self.work()).await {
            Precheck::Refused(failure) if failure.code == TWIN_GROUP => {
                self.hear().await;
                self.context.host.precheck(&self.work()).await
            }
            seen => seen,
        }
    }

    async fn act(&self) -> Result<(), Failure> {
        match self.context.host.perform(&self.work(), &|unit| self.unit_started(unit)).await {
            // Nothing was done, and the right to do it was just confirmed again.
            Err(failure) if failure.code == TWIN_GROUP && self.hear().await => {
                self.context.host.perform(&self.work(), &|unit| self.unit_started(unit)).await
            }
            result => result,
        }
    }

    /// Learns the group's marks up to now, and answers whether this attempt may still start. A mark that is known
    /// afterwards was made by a colleague who was ahead; one that is not was made by another group.
    async fn hear(&self) -> bool {
        loop {
            let (asked, view) = self.context.ask().await;
            let latest = self.context.assignment(&view, &self.key);
            let wanted = latest.as_ref().is_some_and(|assignment| assignment.wanted);
            self.refresh(latest, &view);
            if !wanted || self.context.clock.boot().since(asked) <= START_DEADLINE {
                return wanted;
            }
        }
    }

    fn refresh(&self, latest: Option<Assignment>, view: &View) {
        if let Some(latest) = latest {
            *self.assignment() = latest;
        }
        *self.marks.lock().unwrap_or_else(PoisonError::into_inner) = view.state.marks.clone();
    }

    fn work(&self) -> Work {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.context.work(&self.assignment(), &self.targets, &marks)
    }

    fn assignment(&self) -> MutexGuard<'_, Assignment> {
        self.assignment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn outcome(ending: &Ending) -> OutcomeResult {
    match ending {
        Ending::Done(done) => OutcomeResult::Done {
            evidence: done.evidence.clone(),
            outputs: done.outputs.clone(),
            read_back: done.read_back.clone(),
            action_ms: done.action_ms,
        },
        Ending::Failed { failure, verdict } => OutcomeResult::Failed {
            code: failure.code.clone(),
            text: failure.text.clone(),
            verdict: *verdict,
        },
        Ending::Dropped => OutcomeResult::Dropped,
    }
}

fn failed(failure: &Failure) -> OutcomeResult {
    OutcomeResult::Failed { code: failure.code.clone(), text: failure.text.clone(), verdict: None }
}
