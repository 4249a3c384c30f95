//! Where a person sits: with a way to every agent's operator API.

use super::{
    Counter, Deed, Order, Outcome, People, Person,
    advice::{Advice, Move},
};
use crate::{
    cluster::{Cluster, target},
    sim::{SimClock, clock::EPOCH_MS},
};
use lockkeeper_core::{
    ids::{PlanHash, RolloutId},
    plan::Plan,
    rollout::{Rejection, Reply},
    time::Millis,
};
use lockkeeper_proto::{
    client::operator::{Answer, Control},
    port::Clock as _,
};
use std::sync::Arc;
use tonic::Status;

/// Pause between two looks or tries.
const LOOK_EVERY: Millis = Millis(250);

/// How long an approver takes who is not hurried by the operator.
const LATE_APPROVAL: Millis = Millis(1_500);

/// Times a call is repeated with the same id before a person gives up for now.
const TRIES: u32 = 8;

/// See the module.
pub struct Desk {
    me: Person,
    people: People,
    clients: Vec<Counter>,
    clock: SimClock,
    requests: u64,
    turn: usize,
}

impl Desk {
    /// A person's desk.
    pub const fn new(me: Person, people: People, clients: Vec<Counter>, clock: SimClock) -> Self {
        Self { me, people, clients, clock, requests: 0, turn: 0 }
    }

    async fn rest(&self) {
        self.clock.sleep(LOOK_EVERY).await;
    }

    /// One agent after another.
    fn client(&mut self) -> Option<Counter> {
        self.turn = self.turn.wrapping_add(1);
        let at = self.turn.checked_rem(self.clients.len())?;
        self.clients.get(at).cloned()
    }

    fn request(&mut self) -> String {
        self.requests += 1;
        format!("{}/{}", self.me.name(), self.requests)
    }

    fn note(&self, what: &str, answer: &Result<Answer, Status>) -> bool {
        let (answer, applied) = match answer {
            Ok(Answer::Reply(Reply::Applied { .. })) => ("applied".to_owned(), true),
            Ok(Answer::Reply(Reply::Rejected(rejection))) => {
                (format!("rejected: {}", rejection.code()), false)
            }
            Ok(Answer::Faults(faults)) => (format!("faults: {faults}"), false),
            Err(status) => (format!("no answer: {}", status.message()), false),
        };
        let at = self.clock.wall_ms().saturating_sub(EPOCH_MS);
        let deed = Deed { at, what: format!("{} {what}", self.me.name()), answer, applied };
        self.people.lock().deeds.push(deed);
        applied
    }

    /// Asks one agent after another, with the same id, until one answers.
    async fn change<F, Fut>(&mut self, what: &str, ask: F) -> Result<Answer, Status>
    where
        F: Fn(Counter, String) -> Fut,
        Fut: Future<Output = Result<Answer, Status>>,
    {
        let id = self.request();
        let mut last = Err(Status::unavailable("nobody was asked"));
        for _ in 0..TRIES {
            let Some(client) = self.client() else { break };
            last = ask(client, id.clone()).await;
            if last.is_ok() {
                break;
            }
            self.rest().await;
        }
        self.note(what, &last);
        last
    }

    /// The cluster file is put into force; the plan, when there is one, is approved.
    pub async fn administer(&mut self, cluster: &Cluster) {
        loop {
            let text = cluster.text.clone();
            let set = self
                .change("sets the cluster file", move |client, id| {
                    let text = text.clone();
                    async move { client.cluster_apply(id, text).await }
                })
                .await;
            if matches!(set, Ok(Answer::Reply(Reply::Applied { .. }))) {
                break;
            }
            self.rest().await;
        }
        loop {
            let (plan, hasty) = {
                let inner = self.people.lock();
                (inner.plan_text.clone(), inner.hasty)
            };
            if let Some(plan) = plan {
                if hasty {
                    self.clock.sleep(LATE_APPROVAL).await;
                }
                let approved = self
                    .change("approves", move |client, id| {
                        let plan = plan.clone();
                        async move { client.approve(id, plan).await }
                    })
                    .await;
                if matches!(approved, Ok(Answer::Reply(Reply::Applied { .. }))) {
                    self.people.lock().approved = true;
                    return;
                }
            }
            self.rest().await;
        }
    }

    /// Plans, starts, and then does what is ordered or advised.
    pub async fn operate(&mut self) {
        let text = self.plan().await;
        if self.people.lock().hasty {
            self.apply(&text).await;
        }
        while !self.people.lock().approved {
            self.rest().await;
        }
        while !self.apply(&text).await {
            self.rest().await;
        }
        loop {
            let (order, advised) = {
                let mut inner = self.people.lock();
                let settling = inner.settling;
                (inner.orders.pop_front().filter(|_| !settling), settling || inner.eager)
            };
            match order {
                Some(order) => self.obey(order, &text).await,
                None if advised => {
                    if let Some(outcome) = self.follow_advice().await {
                        self.people.lock().outcome = Some(outcome);
                        return;
                    }
                }
                None => {}
            }
            self.rest().await;
        }
    }

    async fn plan(&mut self) -> String {
        loop {
            self.rest().await;
            let Some(client) = self.client() else { continue };
            let made = client.plan(target().into()).await;
            let Ok(planned) = made else { continue };
            match serde_json::from_str::<Plan>(&planned.plan) {
                Ok(plan) => {
                    let mut inner = self.people.lock();
                    inner.plan = Some(Arc::new(plan));
                    inner.plan_text = Some(planned.plan.clone());
                    return planned.plan;
                }
                // Facts are still coming in, or the cluster file is not in force yet.
                Err(_) => self.people.lock().lost = Some(planned.faults),
            }
        }
    }

    async fn apply(&mut self, text: &str) -> bool {
        let plan = text.to_owned();
        let applied = self
            .change("applies", move |client, id| {
                let plan = plan.clone();
                async move { client.apply(id, plan).await }
            })
            .await;
        let Ok(Answer::Reply(Reply::Applied { rollout: Some(rollout), .. })) = applied else { return false };
        let mut inner = self.people.lock();
        if let Some(hash) = inner.plan.as_ref().map(|plan| plan.hash.clone()) {
            inner.rollouts.insert(rollout, hash);
        }
        true
    }

    async fn obey(&mut self, order: Order, text: &str) {
        match order {
            Order::Pause => drop(self.control(Control::Pause, "pauses").await),
            Order::Resume => drop(self.control(Control::Resume, "resumes").await),
            Order::Abort => drop(self.control(Control::Abort, "aborts").await),
            Order::Retry(step) => drop(self.retry(step).await),
            Order::ApplyAgain => drop(self.apply(text).await),
        }
    }

    async fn control(&mut self, what: Control, word: &str) -> Result<Answer, Status> {
        self.change(word, move |client, id| async move { client.control(id, what).await }).await
    }

    async fn restore(&mut self, loss: Option<u64>) -> Result<Answer, Status> {
        let restore = move |client: Counter, id| async move { client.restore(id, loss).await };
        self.change("restores", restore).await
    }

    async fn retry(&mut self, step: u32) -> Result<Answer, Status> {
        self.change(&format!("retries {step}"), move |client, id| async move { client.retry(id, step).await })
            .await
    }

    async fn take_over(&mut self, database: String) -> Result<Answer, Status> {
        let what = format!("takes {database} over");
        let ask = move |client: Counter, id| {
            let database = database.clone();
            async move { client.takeover(id, database).await }
        };
        self.change(&what, ask).await
    }

    /// Looks once and does the next thing that is asked of a person.
    async fn follow_advice(&mut self) -> Option<Outcome> {
        let client = self.client()?;
        let json = client.status().await.ok()?;
        let advice = Advice::read(&json)?;
        {
            let mut inner = self.people.lock();
            inner.waits.clone_from(&advice.waits);
            if let (Some(id), Some(hash)) = (advice.rollout, advice.plan.clone()) {
                inner.rollouts.insert(RolloutId(id), PlanHash(hash));
            }
        }
        match advice.state.as_deref() {
            Some("completed") => return Some(Outcome::Completed),
            Some("aborted") => return Some(Outcome::Aborted),
            Some("restored") => return Some(Outcome::Restored),
            Some(_) | None => {}
        }
        let answer = match advice.next() {
            Move::Retry(step) => self.retry(step).await,
            Move::Resume => self.control(Control::Resume, "resumes").await,
            Move::Abort => self.control(Control::Abort, "aborts").await,
            Move::Takeover(database) => self.take_over(database).await,
            Move::Restore(loss) => self.restore(loss).await,
            Move::Nothing => return None,
        };
        match answer {
            // No way back is left in this rollout.
            Ok(Answer::Reply(Reply::Rejected(rejection @ Rejection::BadPlan(_)))) => {
                Some(Outcome::NeedsPerson(rejection.code().to_owned()))
            }
            Ok(_) | Err(_) => None,
        }
    }
}
