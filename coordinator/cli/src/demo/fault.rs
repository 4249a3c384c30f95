//! What `--fault` does to the agents, and when: only while the database upgrade runs. Knows how to break, not how
//! the rollout copes.

use super::{
    agents::Agents,
    clock::unix_ms,
    copy::{self, CopyReport},
    evidence::app_events,
    fault_upgrader::Strike,
    processes::Role,
    relay::Relays,
    sight::{Lead, Leaders},
};
use anyhow::Context as _;
use lockkeeper_core::{
    ids::MemberName,
    view::{StatusView, StepView},
};
use rustix::process::Signal;
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};

/// How long after its death an agent is started again, as a supervisor does.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// How long an agent is paused: longer than any election takes.
const PAUSE: Duration = Duration::from_secs(3);

/// For somebody to be heard leading in a later term; a second or two is usual.
const ELECTED: Duration = Duration::from_secs(10);

/// How often the applications' logs are looked at for the upgrade's beginning. It runs for more than a second.
const LOOK: Duration = Duration::from_millis(10);

/// For the upgrade to begin, counted from the rollout's start.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is done to the agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Nothing.
    None,
    /// The leading agent is killed (SIGKILL) and started again a second later.
    KillLeader,
    /// The leading agent is stopped (SIGSTOP) for three seconds.
    PauseLeader,
    /// The upgrader's agent and its migration are killed, as by a loss of power; another member takes over.
    KillUpgrader,
    /// The upgrader's agent and its migration are stopped (SIGSTOP) until another member has taken over.
    PauseUpgrader,
    /// The upgrader's agent is cut off from all others, but not from the database, until another member has taken over.
    Partition,
    /// The data directory of the upgrading member's agent is copied and a second agent is started on the copy.
    Clone,
}

impl FaultKind {
    /// Whether it strikes who upgrades the database.
    pub const fn hits_upgrader(self) -> bool {
        match self {
            FaultKind::KillUpgrader | FaultKind::PauseUpgrader | FaultKind::Partition => true,
            FaultKind::None | FaultKind::KillLeader | FaultKind::PauseLeader | FaultKind::Clone => false,
        }
    }

    /// How many times slower the first migration works: 1.35 s are watched with pleasure, but one that nobody stops must
    /// still be at it when its member is given up (2 s) and proven to stay in the file (3 s).
    pub const fn slows(self) -> Option<u32> {
        match self {
            FaultKind::Partition => Some(6),
            FaultKind::None
            | FaultKind::KillLeader
            | FaultKind::PauseLeader
            | FaultKind::KillUpgrader
            | FaultKind::PauseUpgrader
            | FaultKind::Clone => None,
        }
    }

    /// Whether the upgrader that was struck must have tried to write after it was shut out.
    pub const fn writes_late(self) -> bool {
        match self {
            FaultKind::PauseUpgrader | FaultKind::Partition => true,
            FaultKind::None
            | FaultKind::KillLeader
            | FaultKind::PauseLeader
            | FaultKind::KillUpgrader
            | FaultKind::Clone => false,
        }
    }
}

/// What was done, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FaultReport {
    /// What.
    pub kind: FaultKind,
    /// To whose agent.
    pub victim: Option<MemberName>,
    /// When, Unix milliseconds.
    pub injected_at: Option<u64>,
    /// Which step its group was at: number, action and target.
    pub during_step: Option<String>,
    /// When it was over.
    pub cleared_at: Option<u64>,
    /// What came of it.
    pub effect: String,
    /// Whether it landed while the upgrade had begun and not ended; without a fault nothing had to.
    pub landed: bool,
    /// What the copy did, for `clone`.
    pub copy: Option<CopyReport>,
}

impl FaultReport {
    /// Nothing was done.
    pub fn nothing() -> Self {
        Self::of(FaultKind::None, "nothing was done")
    }

    pub(super) fn of(kind: FaultKind, effect: &str) -> Self {
        Self {
            kind,
            victim: None,
            injected_at: None,
            during_step: None,
            cleared_at: None,
            effect: effect.to_owned(),
            landed: false,
            copy: None,
        }
    }

    /// Whether a fault was wanted and did not land.
    pub fn missed(&self) -> bool {
        self.kind != FaultKind::None && !self.landed
    }

    /// Compares its moment with the upgrade's, by the log of the application that upgraded, and with the steps'.
    #[must_use]
    pub fn judged(mut self, upgrade: Option<(u64, u64)>, steps: &[StepView]) -> Self {
        // Who struck an upgrader noted the step: at the end its record is of the last attempt.
        self.during_step = self.during_step.take().or_else(|| under_way(steps, self.injected_at?));
        self.landed = match (self.injected_at, upgrade) {
            (Some(at), Some((begun, ended))) => begun <= at && at < ended,
            (None, _) | (_, None) => false,
        };
        if self.missed() {
            let when = match (self.injected_at, upgrade) {
                (Some(at), Some((begun, ended))) => {
                    format!("at {at}, the upgrade ran from {begun} to {ended}")
                }
                (Some(at), None) => format!("at {at}, but no upgrade ended"),
                (None, _) => "it was not injected".to_owned(),
            };
            self.effect = format!("{when}; {}", self.effect);
        }
        self
    }
}

/// The last step that was handed out at this moment and not yet settled, by the log's clock.
fn under_way(steps: &[StepView], at: u64) -> Option<String> {
    let during = |step: &&StepView| {
        step.began.is_some_and(|began| began <= at) && step.ended.is_none_or(|ended| at < ended)
    };
    let step = steps.iter().filter(during).max_by_key(|step| (step.began, step.id))?;
    Some(format!("{} {} {}", step.id, step.action, step.target))
}

/// What a fault is carried out with.
pub struct Nemesis<'a> {
    /// The victims.
    pub agents: Agents<'a>,
    /// Who leads.
    pub leaders: Leaders,
    /// What stands between the agents, if one is to be cut off.
    pub relays: Option<&'a Relays>,
    /// What the group says.
    pub views: watch::Receiver<Option<Arc<StatusView>>>,
    /// Set when nothing more is done: a halt after that is the end.
    pub over: watch::Sender<bool>,
}

impl Nemesis<'_> {
    /// Waits for the upgrade to begin, breaks, repairs, and tells what came of it.
    pub async fn act(&self, kind: FaultKind) -> anyhow::Result<FaultReport> {
        let report = match kind {
            FaultKind::None => Ok(FaultReport::nothing()),
            FaultKind::KillLeader => self.leader(kind, Signal::KILL).await,
            FaultKind::PauseLeader => self.leader(kind, Signal::STOP).await,
            FaultKind::KillUpgrader => self.upgrader(kind, Strike::Kill).await,
            FaultKind::PauseUpgrader => self.upgrader(kind, Strike::Stop).await,
            FaultKind::Partition => self.upgrader(kind, Strike::Cut).await,
            FaultKind::Clone => copy::act(self).await,
        };
        self.over.send_replace(true);
        report
    }

    async fn leader(&self, kind: FaultKind, signal: Signal) -> anyhow::Result<FaultReport> {
        if self.upgrade_begins(None).await.is_none() {
            return Ok(FaultReport::of(kind, "the upgrade did not begin"));
        }
        let before = self.leaders.newest().context("no leader is known")?;
        let victim = MemberName::new(before.leader.as_str()).context("the leader has no name")?;
        let role = Role::Agent(victim.clone());
        if signal == Signal::KILL {
            self.agents.processes.kill(&role)?;
        } else {
            self.agents.processes.signal(&role, signal)?;
        }
        let injected_at = unix_ms();
        let word = if signal == Signal::KILL { "killed" } else { "paused" };
        self.agents.say.line(&format!("! the agent of {victim}, which leads, is {word}"));
        let cleared = async {
            if signal == Signal::KILL {
                tokio::time::sleep(RESTART_AFTER).await;
                self.agents.start(&victim)?;
            } else {
                tokio::time::sleep(PAUSE).await;
                self.agents.processes.signal(&role, Signal::CONT)?;
            }
            self.agents.say.line(&format!("! the agent of {victim} runs again"));
            anyhow::Ok(unix_ms())
        };
        let (next, cleared_at) = tokio::join!(self.next_leader(&before), cleared);
        let cleared_at = cleared_at?;
        let effect = match next {
            Some(next) => format!(
                "{} led {} ms later (term {} -> {})",
                next.leader,
                next.at.saturating_sub(injected_at),
                before.term,
                next.term
            ),
            None => format!("no agent was heard to lead in a later term within {} s", ELECTED.as_secs()),
        };
        Ok(FaultReport {
            victim: Some(victim),
            injected_at: Some(injected_at),
            cleared_at: Some(cleared_at),
            ..FaultReport::of(kind, &effect)
        })
    }

    /// Whose application said that its upgrade began, other than `but`.
    pub(super) async fn upgrade_begins(&self, but: Option<&MemberName>) -> Option<MemberName> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            for seat in self.agents.seats.iter().filter(|seat| Some(&seat.member) != but) {
                // The line may be half written; the next look reads it whole.
                let events = app_events(&self.agents.layout.app_log(&seat.member)).unwrap_or_default();
                if events.iter().any(|event| event.event == "upgrade-begin") {
                    return Some(seat.member.clone());
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        None
    }

    async fn next_leader(&self, before: &Lead) -> Option<Lead> {
        let until = Instant::now() + ELECTED;
        while Instant::now() < until {
            if let Some(lead) = self.leaders.newest().filter(|lead| lead.term > before.term) {
                return Some(lead);
            }
            tokio::time::sleep(LOOK).await;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(injected_at: Option<u64>, upgrade: Option<(u64, u64)>) -> FaultReport {
        FaultReport { injected_at, ..FaultReport::of(FaultKind::KillLeader, "x") }.judged(upgrade, &[])
    }

    #[test]
    fn a_fault_counts_only_inside_the_upgrade() {
        assert!(at(Some(10), Some((10, 20))).landed);
        assert!(at(Some(19), Some((10, 20))).landed);
        for (injected, upgrade) in
            [(Some(9), Some((10, 20))), (Some(20), Some((10, 20))), (None, Some((10, 20))), (Some(15), None)]
        {
            assert!(at(injected, upgrade).missed(), "{injected:?} {upgrade:?}");
        }
        assert!(!FaultReport::nothing().judged(None, &[]).missed());
    }
}
