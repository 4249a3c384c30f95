//! The executor: takes up this agent's assignments, one at a time on each target, and carries each to its end.
//!
//! Knows assignments, the journal and the `Host` port. Does not know what an action is, and decides nothing the plan
//! left open. What it does after a crash is what it does always: it looks at assignments and journal and goes on.

pub mod attempt;
pub mod context;
pub mod limits;
pub mod machine;
mod orphan;
pub mod trace;

pub use attempt::TaskError;
pub use context::Context;

use crate::journal::Key;
use attempt::Attempt;
use lockkeeper_core::{
    ids::{BalancerName, DatabaseName, LogIndex, MemberName},
    plan::Target,
    rollout::{Assignment, assignments_for},
};
use lockkeeper_proto::port::View;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::{sync::watch, task::JoinSet};
use tracing::Instrument;

/// What is worked on one at a time: a database as a whole, one member's server in a balancer, a member's host. Servers
/// of one balancer are independent of each other: three drains wait for their sessions side by side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Database(DatabaseName),
    Server(BalancerName, MemberName),
    Host(MemberName),
}

impl Lane {
    fn of(target: &Target) -> Self {
        match target {
            Target::Database(database) => Lane::Database(database.clone()),
            Target::Balancer(balancer, member) => Lane::Server(balancer.clone(), member.clone()),
            Target::Member(member) => Lane::Host(member.clone()),
        }
    }
}

/// What can be taken up.
enum Due {
    Assigned(Box<Assignment>),
    Orphan,
}

/// The attempts being carried out.
struct Executor {
    context: Arc<Context>,
    running: JoinSet<(Key, Lane, Result<(), TaskError>)>,
    lanes: BTreeMap<Lane, Key>,
    /// Carried to their end in this life: a view from before is not a reason to begin again.
    over: BTreeSet<Key>,
}

/// Runs until `stop` becomes true (then attempts are left where they are; units go on and are adopted by the next
/// life) or the journal fails.
pub async fn run(context: Arc<Context>, mut stop: watch::Receiver<bool>) -> Result<(), TaskError> {
    let mut follow = context.group.follow();
    let mut executor =
        Executor { context, running: JoinSet::new(), lanes: BTreeMap::new(), over: BTreeSet::new() };
    let result = loop {
        if *stop.borrow() {
            break Ok(());
        }
        let view = follow.borrow_and_update().clone();
        executor.take_up(&view);
        tokio::select! {
            changed = follow.changed() => if changed.is_err() { break Ok(()) },
            Some(ended) = executor.running.join_next(), if !executor.running.is_empty() => {
                match ended {
                    Ok((key, lane, Ok(()))) => executor.ended(key, &lane),
                    Ok((_, _, Err(error))) => break Err(error),
                    Err(error) => break Err(TaskError::Panicked(error)),
                }
            }
            changed = stop.changed() => if changed.is_err() { break Ok(()) },
        }
    };
    executor.running.shutdown().await;
    result
}

impl Executor {
    fn take_up(&mut self, view: &View) {
        for (key, (lane, due)) in self.due(view) {
            if self.running.len() >= limits::AT_ONCE {
                return;
            }
            if !self.lanes.contains_key(&lane) {
                self.lanes.insert(lane.clone(), key);
                self.begin(key, lane, due, view.applied);
            }
        }
    }

    /// What can be taken up, in the order in which the rights were given; of each lane only the first will be.
    fn due(&self, view: &View) -> BTreeMap<Key, (Lane, Due)> {
        let mut due = BTreeMap::new();
        if orphan::has_heard(view.applied) {
            let journal = self.context.journal();
            for (key, entry) in journal.ledger().open() {
                due.insert(*key, (Lane::of(&entry.target), Due::Orphan));
            }
        }
        for assignment in assignments_for(&view.state, &self.context.me) {
            let key = Key::from(&assignment.attempt);
            let reported = self.context.entry(&key).is_some_and(|entry| entry.reported);
            if !reported {
                let lane = Lane::of(&assignment.step.target);
                due.insert(key, (lane, Due::Assigned(Box::new(assignment))));
            }
        }
        due.retain(|key, _| !self.over.contains(key));
        due
    }

    fn begin(&mut self, key: Key, lane: Lane, due: Due, seen: LogIndex) {
        let context = self.context.clone();
        match due {
            Due::Assigned(assignment) => {
                let span = trace::attempt(&context.me, &assignment);
                let attempt = span.in_scope(|| Attempt::new(context, *assignment, seen));
                self.running.spawn(async move { (key, lane, attempt.run().await) }.instrument(span));
            }
            Due::Orphan => {
                let span = tracing::info_span!("orphan", %key);
                self.running
                    .spawn(async move { (key, lane, orphan::settle(context, key).await) }.instrument(span));
            }
        }
    }

    fn ended(&mut self, key: Key, lane: &Lane) {
        self.lanes.remove(lane);
        self.over.insert(key);
    }
}
