//! What this host looks like, kept fresh: looked at on a timer, after own steps, and when somebody asks.
//!
//! Knows when to look. What is looked at follows from the cluster file and profile in force; how, is the host's.

use crate::{
    clock::Clock,
    host::{FactsQuery, Host, HostFacts},
};
use async_trait::async_trait;
use lockkeeper_core::{
    ids::{Digest, MemberName},
    profile::ProfileCatalog,
    rollout::{State, StepPhase},
    time::{BootTime, Millis},
};
use lockkeeper_proto::port::{Group, Observer, View};
use std::sync::Arc;
use tokio::sync::watch;

/// How often the host is looked at when nothing happens. A look is a file, a link or a short command.
const LOOK_EVERY: Millis = Millis::from_secs(10);

/// One look, whatever hangs: below the 30 s the asking side waits.
const LOOK_DEADLINE: Millis = Millis::from_secs(25);

/// What was seen, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// What was seen.
    pub facts: HostFacts,
    /// When, on this machine's boot clock; for ages.
    pub at: BootTime,
    /// When, on the wall clock (unix ms); for people.
    pub as_of_ms: u64,
}

impl Sight {
    /// As JSON, which travels to the leader.
    pub fn json(&self) -> String {
        // Plain data with text keys always serialises; an empty text counts as "not looked yet".
        serde_json::to_string(&self.facts).unwrap_or_default()
    }

    /// The digest of [`Sight::json`], so that unchanged facts need not travel.
    pub fn digest(&self) -> Digest {
        Digest::of(self.json().as_bytes())
    }
}

/// Looks at this host for whoever asks.
pub struct HostObserver {
    /// The outside.
    pub host: Arc<dyn Host>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Observer for HostObserver {
    async fn observe(&self, query: &FactsQuery) -> HostFacts {
        tokio::select! {
            facts = self.host.facts(query) => facts,
            () = self.clock.sleep(LOOK_DEADLINE) => late(query),
        }
    }
}

/// What is said of a host that hangs: every value that was asked for, with the reason it is missing.
fn late(query: &FactsQuery) -> HostFacts {
    let why = || Err(format!("this host did not answer within {LOOK_DEADLINE}"));
    HostFacts {
        version: query.version.as_ref().map(|_| why()),
        databases: query
            .databases
            .keys()
            .map(|name| (name.clone(), Err(format!("not seen within {LOOK_DEADLINE}"))))
            .collect(),
        release: (!query.release.is_empty()).then(why),
        proofs: Vec::new(),
        balancers: query
            .balancers
            .keys()
            .map(|name| (name.clone(), Err(format!("not seen within {LOOK_DEADLINE}"))))
            .collect(),
        locks: query
            .databases
            .keys()
            .filter(|_| query.locks)
            .map(|name| (name.clone(), Err(format!("not seen within {LOOK_DEADLINE}"))))
            .collect(),
        machine: None,
    }
}

/// Keeps `sights` fresh until the group or everybody who listens is gone.
pub async fn keep(
    me: MemberName,
    group: Arc<dyn Group>,
    observer: HostObserver,
    sights: watch::Sender<Option<Sight>>,
) {
    let mut follow = group.follow();
    // What to look at follows from the cluster file alone; reading profiles anew at each look would cost more than
    // the look.
    let mut asked = (0, FactsQuery::default());
    loop {
        let view = follow.borrow_and_update().clone();
        let version = config_version(&view.state);
        if asked.0 != version {
            asked = (version, query(&view.state, &me));
        }
        let facts = observer.observe(&asked.1).await;
        let clock = &observer.clock;
        sights.send_replace(Some(Sight { facts, at: clock.boot(), as_of_ms: clock.wall_ms() }));
        let seen = occasion(&view, &me);
        tokio::select! {
            () = clock.sleep(LOOK_EVERY) => {}
            changed = follow.wait_for(|now| occasion(now, &me) != seen) => if changed.is_err() { return },
            () = sights.closed() => return,
        }
    }
}

/// Counts the cluster files from 1; 0 without one.
fn config_version(state: &State) -> u64 {
    state.config.as_ref().map_or(0, |config| config.version)
}

/// What an agent looks at by itself: its application's version. Databases are looked at when somebody plans.
fn query(state: &State, me: &MemberName) -> FactsQuery {
    let Some(config) = &state.config else { return FactsQuery::default() };
    if !config.spec.members.contains_key(me) {
        return FactsQuery::default();
    }
    let mut catalog = ProfileCatalog::built_in();
    if !config.profile.is_empty()
        && let Err(report) = catalog.add("profile", &config.profile)
    {
        tracing::warn!(faults = report.errors(), "the profile in force does not read in this build");
    }
    let version = catalog.get(&config.spec.profile).map(|profile| profile.version_query(&config.spec, me));
    match version {
        Some(Ok(version)) => FactsQuery { version: Some(version), ..FactsQuery::default() },
        Some(Err(error)) => {
            tracing::warn!(%error, "the application's version cannot be asked for");
            FactsQuery::default()
        }
        None => FactsQuery::default(),
    }
}

/// What makes a fresh look worth while: another cluster file, or own steps that are done.
fn occasion(view: &View, me: &MemberName) -> (u64, usize) {
    let done = |phase: &StepPhase| matches!(phase, StepPhase::Done { member, .. } if member == me);
    let rollout = view.state.rollout.as_ref();
    (
        config_version(&view.state),
        rollout.map_or(0, |r| r.steps.values().filter(|record| done(&record.phase)).count()),
    )
}
