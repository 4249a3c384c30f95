//! Tells how long a host was at an action, where the host itself does not say: the time spent in its calls, added up.
//!
//! What passes between the calls is coordination (journal, confirmation, log), and is not counted. An agent that was
//! started again knows only of the calls of its own life, so the action then looks shorter and coordination longer.

use crate::clock;
use async_trait::async_trait;
use lockkeeper_agent::host::{Done, FactsQuery, Failure, Host, HostFacts, Postcheck, Precheck, Unit, Work};
use lockkeeper_core::ids::{Attempt, RolloutId, StepId, Token};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Attempts whose time is kept. One that never ends well is forgotten when as many others have come; a rollout of 50
/// members has no more at once on one host.
const KEPT_MAX: usize = 256;

/// A host that is timed.
pub struct Timed<H> {
    host: H,
    spent: Mutex<BTreeMap<Key, u64>>,
}

type Key = (RolloutId, StepId, Attempt, Token);

impl<H: Host> Timed<H> {
    /// Times `host`.
    pub fn new(host: H) -> Self {
        Self { host, spent: Mutex::default() }
    }

    /// A panic while it was held left it whole: each change is one insertion.
    fn spent(&self) -> MutexGuard<'_, BTreeMap<Key, u64>> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn timing<T>(&self, work: &Work, call: impl Future<Output = T>) -> T {
        let begun = clock::boot();
        let answer = call.await;
        let took = clock::boot().since(begun).0;
        let mut spent = self.spent();
        *spent.entry(key(work)).or_default() += took;
        if spent.len() > KEPT_MAX {
            spent.pop_first();
        }
        answer
    }

    fn told(&self, work: &Work, done: Done) -> Done {
        let spent = self.spent().remove(&key(work)).unwrap_or_default();
        let now = clock::wall_ms();
        Done { action_ms: done.action_ms.or(Some((now.saturating_sub(spent), now))), ..done }
    }
}

fn key(work: &Work) -> Key {
    (work.rollout, work.step, work.attempt, work.token)
}

#[async_trait]
impl<H: Host> Host for Timed<H> {
    async fn precheck(&self, work: &Work) -> Precheck {
        match self.timing(work, self.host.precheck(work)).await {
            Precheck::AlreadyDone(done) => Precheck::AlreadyDone(self.told(work, done)),
            other @ (Precheck::Running(_)
            | Precheck::Ready { .. }
            | Precheck::Mismatch { .. }
            | Precheck::Unknown(_)
            | Precheck::Blocked(_)
            | Precheck::Refused(_)) => other,
        }
    }

    async fn perform(&self, work: &Work, started: &(dyn Fn(Unit) + Send + Sync)) -> Result<(), Failure> {
        self.timing(work, self.host.perform(work, started)).await
    }

    async fn adopt(&self, work: &Work, unit: &Unit) -> Result<(), Failure> {
        self.timing(work, self.host.adopt(work, unit)).await
    }

    async fn kill(&self, work: &Work, unit: &Unit) -> Result<(), Failure> {
        self.host.kill(work, unit).await
    }

    async fn postcheck(&self, work: &Work) -> Postcheck {
        match self.timing(work, self.host.postcheck(work)).await {
            Postcheck::Proven(done) => Postcheck::Proven(self.told(work, done)),
            other @ (Postcheck::NotYet(_) | Postcheck::Refuted(_)) => other,
        }
    }

    async fn facts(&self, query: &FactsQuery) -> HostFacts {
        self.host.facts(query).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockkeeper_core::{
        ids::{ClusterId, DatabaseName, MemberName},
        plan::{Action, Targets, action::DatabaseAction},
    };
    use std::{sync::Arc, time::Duration};
    use tokio::time::sleep;

    /// Takes 20 ms for every call; says its own time if it has one.
    struct Slow(Option<(u64, u64)>);

    const CALL: Duration = Duration::from_millis(20);

    #[async_trait]
    impl Host for Slow {
        async fn precheck(&self, _: &Work) -> Precheck {
            sleep(CALL).await;
            Precheck::Ready { captured: String::new() }
        }

        async fn perform(&self, _: &Work, _: &(dyn Fn(Unit) + Send + Sync)) -> Result<(), Failure> {
            sleep(CALL).await;
            Ok(())
        }

        async fn adopt(&self, _: &Work, _: &Unit) -> Result<(), Failure> {
            Ok(())
        }

        async fn kill(&self, _: &Work, _: &Unit) -> Result<(), Failure> {
            Ok(())
        }

        async fn postcheck(&self, _: &Work) -> Postcheck {
            sleep(CALL).await;
            Postcheck::Proven(Done { action_ms: self.0, ..Done::default() })
        }

        async fn facts(&self, _: &FactsQuery) -> HostFacts {
            HostFacts::default()
        }
    }

    fn work() -> Work {
        let database = DatabaseName::new("main").unwrap();
        Work {
            cluster: ClusterId("c".to_owned()),
            me: MemberName::new("n1").unwrap(),
            rollout: RolloutId(1),
            step: StepId(1),
            attempt: Attempt(1),
            token: Token::default(),
            action: Action::ShutDoor(DatabaseAction { database, set: "s".to_owned() }),
            targets: Arc::new(Targets {
                balancers: BTreeMap::new(),
                databases: BTreeMap::new(),
                members: BTreeMap::new(),
            }),
            inputs: BTreeMap::new(),
            captured: None,
            grants: BTreeMap::new(),
            owes: None,
            marks: Arc::default(),
        }
    }

    async fn whole(host: &Timed<Slow>, between: Duration) -> (u64, u64) {
        let work = work();
        host.precheck(&work).await;
        sleep(between).await;
        host.perform(&work, &|_| {}).await.unwrap();
        sleep(between).await;
        match host.postcheck(&work).await {
            Postcheck::Proven(done) => done.action_ms.unwrap(),
            other @ (Postcheck::NotYet(_) | Postcheck::Refuted(_)) => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn calls_add_up_and_what_is_between_them_does_not() {
        let host = Timed::new(Slow(None));
        let between = Duration::from_secs(1);
        for _ in 0..2 {
            // The second time begins anew: what was told is forgotten.
            let (from, to) = whole(&host, between).await;
            assert!((57..1_000).contains(&(to - from)), "{}", to - from);
        }
        assert!(host.spent().is_empty());
    }

    #[tokio::test]
    async fn a_host_that_knows_its_time_is_believed() {
        let host = Timed::new(Slow(Some((5, 7))));
        assert_eq!(whole(&host, Duration::ZERO).await, (5, 7));
    }
}
