//! People: an administrator who approves and an operator who works the rollout, through the operator API of any agent.
//!
//! They do what the schedule orders while faults last, and what `status --why` tells them afterwards. They know nothing
//! that the API does not say.

mod advice;
mod counter;
mod desk;

use crate::{
    cluster::Cluster,
    sim::{Hello, SimClock},
};
use desk::Desk;
use lockkeeper_core::{
    identity::Role,
    ids::{ActorName, PlanHash, RolloutId},
    plan::Plan,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use advice::Wait;
pub use counter::Counter;

/// Something the operator is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Stop at the next boundary.
    Pause,
    /// Go on.
    Resume,
    /// Go back.
    Abort,
    /// Try a step again.
    Retry(u32),
    /// Start the same plan a second time.
    ApplyAgain,
}

/// What came of something a person did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Virtual ms.
    pub at: u64,
    /// What.
    pub what: String,
    /// What the API said.
    pub answer: String,
    /// Whether it took effect.
    pub applied: bool,
}

/// How a rollout ended for the people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Everybody is at the target.
    Completed,
    /// Everything was given back.
    Aborted,
    /// The old version serves on the restored set.
    Restored,
    /// A person must do what is not in this rollout's power; with the code.
    NeedsPerson(String),
}

#[derive(Debug, Default)]
struct Inner {
    plan_text: Option<String>,
    plan: Option<Arc<Plan>>,
    approved: bool,
    rollouts: BTreeMap<RolloutId, PlanHash>,
    orders: VecDeque<Order>,
    settling: bool,
    eager: bool,
    hasty: bool,
    outcome: Option<Outcome>,
    waits: Vec<Wait>,
    deeds: Vec<Deed>,
    lost: Option<String>,
}

/// What people know and do. Clones are the same people.
#[derive(Debug, Clone, Default)]
pub struct People(Arc<Mutex<Inner>>);

impl People {
    /// Tells the operator to do something.
    pub fn order(&self, order: Order) {
        self.lock().orders.push_back(order);
    }

    /// Faults are over: do what `why` says until the rollout is over.
    pub fn settle(&self) {
        self.lock().settling = true;
    }

    /// The operator does what `why` says also while faults last.
    pub fn be_eager(&self) {
        self.lock().eager = true;
    }

    /// The operator tries to start the plan before it is approved; the approver takes her time.
    pub fn be_hasty(&self) {
        self.lock().hasty = true;
    }

    /// How it ended, as far as people know.
    pub fn outcome(&self) -> Option<Outcome> {
        self.lock().outcome.clone()
    }

    /// The plan that was approved, and the rollouts that were started from it.
    pub fn approved(&self) -> Option<(Arc<Plan>, BTreeMap<RolloutId, PlanHash>)> {
        let inner = self.lock();
        inner.plan.clone().filter(|_| inner.approved).map(|plan| (plan, inner.rollouts.clone()))
    }

    /// What was done so far.
    pub fn deeds(&self) -> Vec<Deed> {
        self.lock().deeds.clone()
    }

    /// What was done from number `from` on.
    pub fn deeds_since(&self, from: usize) -> Vec<Deed> {
        self.lock().deeds.get(from..).unwrap_or_default().to_vec()
    }

    /// What was last said to wait.
    pub fn waits(&self) -> Vec<Wait> {
        self.lock().waits.clone()
    }

    /// Whether a rollout was begun, as far as people know.
    pub fn begun(&self) -> bool {
        !self.lock().rollouts.is_empty()
    }

    /// Why people cannot go on at all.
    pub fn lost(&self) -> Option<String> {
        self.lock().lost.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Person {
    /// Administrator and approver.
    Ada,
    /// Operator.
    Ola,
}

impl Person {
    /// Everybody.
    pub const ALL: [Person; 2] = [Person::Ada, Person::Ola];

    /// The name, also of the machine.
    pub const fn name(self) -> &'static str {
        match self {
            Person::Ada => "ada",
            Person::Ola => "ola",
        }
    }

    /// What this person may do.
    pub const fn role(self) -> Role {
        match self {
            Person::Ada => Role::Admin,
            Person::Ola => Role::Operator,
        }
    }

    /// What the certificate of this person would say.
    #[expect(clippy::unwrap_used, reason = "the names are literals that are valid")]
    pub fn hello(self, cluster: &Cluster) -> Hello {
        Hello::operator(&cluster.id, &ActorName::new(self.name()).unwrap(), self.role())
    }

    /// A person's day, with a way to each agent.
    pub async fn live(
        self,
        people: People,
        cluster: Arc<Cluster>,
        counters: impl FnOnce() -> Vec<Counter>,
        clock: SimClock,
    ) {
        let mut desk = Desk::new(self, people, counters(), clock);
        match self {
            Person::Ada => desk.administer(&cluster).await,
            Person::Ola => desk.operate().await,
        }
        std::future::pending().await
    }
}
