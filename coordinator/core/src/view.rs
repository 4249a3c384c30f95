//! Read models: what `status`, `history`, `members`, `owed`, `locks` and `audit` show. The keys are stable, scripts depend on
//! them. Every view says whose knowledge it is and as of when.

pub mod breakglass;
mod audit;
mod history;
mod locks;
mod trust;

pub use audit::{AuditView, audit};
pub use history::{EventView, HistoryRollout, HistoryView, history};
pub use locks::{ForeignLockView, LockView, LocksView, locks};
pub use trust::{AuthorityView, OperatorView, RollOverView, TrustView, trust};

use crate::{
    guard::Opening,
    ids::{LogIndex, MemberName},
    plan::Phase,
    rollout::{
        Facts, Rollout, State, Why,
        state::{GrantState, OwedState, StepPhase},
        why,
    },
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whose knowledge a view shows, and how old it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The agent that answered.
    pub source: String,
    /// Wall clock of that agent when it answered, unix ms.
    pub as_of: u64,
    /// Log index up to which it knows.
    pub applied: LogIndex,
    /// Who leads, as far as it knows.
    pub leader: Option<String>,
    /// Raft term.
    pub term: u64,
    /// True when it hears no quorum: the view may be old.
    pub stale: bool,
}

/// What agents told a leader about themselves, and the leader its followers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Milliseconds since it was last heard of.
    pub silent_ms: Option<u64>,
    /// The application version it read.
    pub app_version: Option<String>,
}

/// `status --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// The cluster's name; empty before `init`.
    pub cluster: String,
    /// Where this comes from.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Version of the cluster file in force, 0 for none.
    pub cluster_version: u64,
    /// Members and witnesses.
    pub members: Vec<MemberView>,
    /// The active rollout, else the last one.
    pub rollout: Option<RolloutView>,
}

/// One member or witness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// Name.
    pub name: String,
    /// `member` or `witness`.
    pub role: String,
    /// Whether it votes.
    pub voter: bool,
    /// Whether it is enrolled.
    pub enrolled: bool,
    /// `host:port` of its agent.
    pub address: String,
    /// The application's version, if read.
    pub app_version: Option<String>,
    /// Its agent's build.
    pub agent_version: String,
    /// What it is doing in the rollout, for people.
    pub phase: String,
    /// Whether the rollout left or put it in every balancer; none outside a rollout.
    pub in_balancer: Option<bool>,
    /// Whether it is isolated; always false until clones are handled.
    pub isolated: bool,
    /// Milliseconds since its agent was heard of; none if the source does not know.
    pub last_seen: Option<u64>,
    /// When its agent's certificate ends, unix ms; none until it said so.
    #[serde(default)]
    pub certificate_expires: Option<u64>,
    /// Whether it is being removed.
    #[serde(default)]
    pub leaving: bool,
    /// The boot guard of its host, while a person has opened it.
    #[serde(default)]
    pub guard_open: Option<Opening>,
}

/// A rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutView {
    /// Its id.
    pub id: u64,
    /// Its plan's hash.
    pub plan: String,
    /// From this version.
    pub from: String,
    /// To this one.
    pub to: String,
    /// `running`, `paused`, `halted`, `aborting`, `completed`, `aborted`.
    pub state: String,
    /// Who started it.
    pub by: String,
    /// When, unix ms by the log's clock.
    pub started: u64,
    /// When it ended.
    pub ended: Option<u64>,
    /// Settled steps of the present direction.
    pub done: u32,
    /// All steps of the present direction.
    pub total: u32,
    /// Steps that agents have now.
    pub current: Vec<CurrentView>,
    /// When the point of no return was passed.
    pub point_of_no_return: Option<u64>,
    /// When the outage began by the log's clock: the first step of the outage was handed out.
    pub outage_began: Option<u64>,
    /// When it ended: the first admission was proven.
    pub outage_ended: Option<u64>,
    /// Grants by database.
    pub grant: BTreeMap<String, GrantView>,
    /// Everything that was changed, with its state.
    pub owed: Vec<OwedView>,
    /// What waits and why.
    pub why: Vec<Why>,
    /// Estimated milliseconds of the steps that are not settled, serial ones added up.
    pub forecast: u64,
    /// Every step.
    pub steps: Vec<StepView>,
}

/// A step an agent has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentView {
    /// Step number.
    pub step: u32,
    /// What.
    pub action: String,
    /// Where.
    pub target: String,
    /// Who.
    pub member: String,
    /// Since when, log time.
    pub since: u64,
    /// Fencing token.
    pub token: String,
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantView {
    /// Holder.
    pub member: String,
    /// Token.
    pub token: String,
    /// `open`, `closing`, `closed`.
    pub state: String,
    /// Since when.
    pub since: u64,
}

/// A changed setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedView {
    /// Which.
    pub key: String,
    /// The captured original value.
    pub captured: String,
    /// `owed`, `restored`, `accepted`.
    pub state: String,
    /// Since when.
    pub since: u64,
    /// The step that changed it.
    pub step: u32,
}

/// A step with its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// Number.
    pub id: u32,
    /// Stage.
    pub stage: String,
    /// Before, in or after the outage.
    pub phase: Phase,
    /// What.
    pub action: String,
    /// Where.
    pub target: String,
    /// `pending`, `assigned`, `done`, `failed`, `not-needed`.
    pub state: String,
    /// Tries.
    pub attempts: u32,
    /// Who does or did it.
    pub member: Option<String>,
    /// Token of the attempt.
    pub token: Option<String>,
    /// Handed out at, log time.
    pub began: Option<u64>,
    /// Settled at, log time.
    pub ended: Option<u64>,
    /// The real action's begin and end by the acting host's clock.
    pub action_ms: Option<(u64, u64)>,
    /// What proves it, or why it failed.
    pub text: String,
    /// Part of the way back.
    pub undo: bool,
}

/// The status of a state as one source knows it.
pub fn status(
    state: &State,
    stamp: Stamp,
    voters: &[MemberName],
    sightings: &BTreeMap<MemberName, Sighting>,
    facts: &Facts,
) -> StatusView {
    let shown = state.rollout.as_ref().or_else(|| state.history.back().map(AsRef::as_ref));
    let rollout = shown.map(|r| {
        let mut view = rollout_view(r);
        if state.rollout.is_some() {
            view.why = why(state, facts);
        }
        view
    });
    let now = stamp.as_of;
    StatusView {
        cluster: state.group.as_ref().map(|g| g.name.to_string()).unwrap_or_default(),
        stamp,
        cluster_version: state.config.as_ref().map_or(0, |c| c.version),
        members: members(state, now, voters, sightings),
        rollout,
    }
}

/// Members and witnesses: those of the cluster file, then enrolled ones it does not name. `now` is the wall clock of who
/// shows it, unix ms.
fn members(
    state: &State,
    now: u64,
    voters: &[MemberName],
    sightings: &BTreeMap<MemberName, Sighting>,
) -> Vec<MemberView> {
    let mut named: BTreeMap<&MemberName, (&str, &str)> = BTreeMap::new();
    if let Some(config) = &state.config {
        for (name, spec) in &config.spec.members {
            named.insert(name, ("member", &spec.address));
        }
        for (name, spec) in &config.spec.witnesses {
            named.insert(name, ("witness", &spec.address));
        }
    }
    for (name, node) in &state.nodes {
        named.entry(name).or_insert(("member", &node.address));
    }
    named
        .into_iter()
        .map(|(name, (role, address))| {
            let node = state.nodes.get(name);
            let sight = sightings.get(name);
            MemberView {
                name: name.to_string(),
                role: role.to_owned(),
                voter: voters.contains(name),
                enrolled: node.is_some(),
                address: node.map_or(address, |n| &n.address).to_owned(),
                app_version: sight.and_then(|s| s.app_version.clone()),
                agent_version: node.map(|n| n.agent_version.clone()).unwrap_or_default(),
                phase: state.rollout.as_ref().map(|r| member_phase(r, name)).unwrap_or_default(),
                in_balancer: state.rollout.as_ref().and_then(|r| in_balancer(r, name)),
                isolated: false,
                last_seen: sight.and_then(|s| s.silent_ms),
                certificate_expires: state.trust.certificates.get(name).map(|c| c.expires.0),
                leaving: state.trust.leaving.contains(name),
                guard_open: state.guard_openings.get(name).filter(|o| o.counts(now.max(o.opened))).cloned(),
            }
        })
        .collect()
}

/// What a member does in a rollout: the steps it has, else the last thing done to it.
fn member_phase(rollout: &Rollout, member: &MemberName) -> String {
    let mut last = String::new();
    for step in rollout.plan.every_step() {
        let Some(record) = rollout.record(step.id) else { continue };
        match &record.phase {
            StepPhase::Assigned { member: who, .. } if who == member => {
                return format!("{} {}", step.action.kind(), step.target);
            }
            StepPhase::Done { .. } if crate::view::concerns(step, member) => last = step.stage.clone(),
            StepPhase::Assigned { .. }
            | StepPhase::Done { .. }
            | StepPhase::Pending
            | StepPhase::Failed { .. }
            | StepPhase::NotNeeded => {}
        }
    }
    last
}

fn concerns(step: &crate::plan::Step, member: &MemberName) -> bool {
    use crate::plan::Target;
    match &step.target {
        Target::Member(m) | Target::Balancer(_, m) => m == member,
        Target::Database(_) => false,
    }
}

/// Whether every drained server of the member is back; none if the rollout has not touched it.
fn in_balancer(rollout: &Rollout, member: &MemberName) -> Option<bool> {
    let owed = rollout.plan.steps.iter().filter(|s| {
        matches!(&s.action, crate::plan::Action::Drain(server) if server.member == *member)
    });
    let keys: Vec<_> = owed.filter_map(|s| s.owes.as_ref()).filter_map(|k| rollout.owed.get(k)).collect();
    (!keys.is_empty()).then(|| keys.iter().all(|o| !o.state.is_open()))
}

/// A rollout as its plan and records tell it, without what waits.
pub fn rollout_view(rollout: &Rollout) -> RolloutView {
    let way = rollout.way_steps();
    let settled = way.iter().filter(|s| rollout.is_settled(s.id));
    let open = way.iter().filter(|s| !rollout.is_settled(s.id));
    let steps: Vec<StepView> = rollout.plan.every_step().map(|s| step_view(rollout, s)).collect();
    let outage = steps.iter().filter(|s| s.phase == Phase::Outage && !s.undo);
    let admitted = steps.iter().filter(|s| s.action == "admit" && s.state == "done");
    RolloutView {
        id: rollout.id.0,
        plan: rollout.plan.hash.0.clone(),
        from: rollout.plan.from.to_string(),
        to: rollout.plan.to.to_string(),
        state: rollout.status.word().to_owned(),
        by: rollout.by.name.clone(),
        started: rollout.started.0,
        ended: rollout.status.is_final().then(|| rollout.events.last().map_or(rollout.started.0, |e| e.time.0)),
        done: count(settled.count()),
        total: count(way.len()),
        current: steps.iter().filter(|s| s.state == "assigned").map(current).collect(),
        point_of_no_return: rollout.no_return.map(|t| t.0),
        outage_began: outage.filter_map(|s| s.began).min(),
        outage_ended: admitted.filter_map(|s| s.ended).min(),
        grant: rollout.grants.iter().map(|(d, g)| (d.to_string(), grant(g))).collect(),
        owed: rollout.owed.iter().map(|(k, o)| owed(&k.0, o)).collect(),
        why: Vec::new(),
        forecast: open.map(|s| s.estimate.0).sum(),
        steps,
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn current(step: &StepView) -> CurrentView {
    CurrentView {
        step: step.id,
        action: step.action.clone(),
        target: step.target.clone(),
        member: step.member.clone().unwrap_or_default(),
        since: step.began.unwrap_or_default(),
        token: step.token.clone().unwrap_or_default(),
    }
}

fn grant(grant: &crate::rollout::state::Grant) -> GrantView {
    let state = match grant.state {
        GrantState::Open => "open",
        GrantState::Closing => "closing",
        GrantState::Closed => "closed",
    };
    GrantView {
        member: grant.member.to_string(),
        token: grant.token.to_string(),
        state: state.to_owned(),
        since: grant.since.0,
    }
}

fn owed(key: &str, owed: &crate::rollout::state::Owed) -> OwedView {
    let state = match &owed.state {
        OwedState::Intent | OwedState::Owed => "owed",
        OwedState::Restored { .. } => "restored",
        OwedState::Accepted { .. } => "accepted",
    };
    OwedView {
        key: key.to_owned(),
        captured: owed.captured.clone(),
        state: state.to_owned(),
        since: owed.since.0,
        step: owed.step.0,
    }
}

fn step_view(rollout: &Rollout, step: &crate::plan::Step) -> StepView {
    let record = rollout.record(step.id);
    let mut view = StepView {
        id: step.id.0,
        stage: step.stage.clone(),
        phase: step.phase,
        action: step.action.kind().to_string(),
        target: step.target.to_string(),
        state: record.map_or("pending", |r| r.phase.word()).to_owned(),
        attempts: record.map_or(0, |r| r.attempt.0),
        member: None,
        token: None,
        began: None,
        ended: None,
        action_ms: None,
        text: String::new(),
        undo: rollout.way_of(step.id) != crate::plan::Way::Forward,
    };
    let mut by = |member: &MemberName, token: &crate::ids::Token| {
        view.member = Some(member.to_string());
        view.token = Some(token.to_string());
    };
    match record.map(|r| &r.phase) {
        Some(StepPhase::Assigned { member, token, at, blocked }) => {
            by(member, token);
            view.began = Some(at.0);
            view.text = blocked.as_ref().map(|b| b.text.clone()).unwrap_or_default();
        }
        Some(StepPhase::Done { member, token, began, ended, evidence, action_ms }) => {
            by(member, token);
            (view.began, view.ended) = (Some(began.0), Some(ended.0));
            view.action_ms = *action_ms;
            view.text = evidence.clone();
        }
        Some(StepPhase::Failed { member, token, at, code, text, .. }) => {
            by(member, token);
            view.ended = Some(at.0);
            view.text = format!("{code}: {text}");
        }
        Some(StepPhase::Pending | StepPhase::NotNeeded) | None => {}
    }
    view
}
