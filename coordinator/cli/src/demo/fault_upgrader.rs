//! Striking the upgrader in the middle of its work: its agent and its migration are killed or stopped together, or its agent
//! is cut off from the others; the operator takes over as `status --why` tells, and only then it comes back. Decides nothing about the rollout.

use super::{
    agents::OPERATOR,
    clock::unix_ms,
    cluster_file::CLUSTER,
    fault::{FaultKind, FaultReport, Nemesis},
    processes::Role,
};
use anyhow::Context as _;
use lockkeeper_core::{
    ids::MemberName,
    view::{GrantView, StatusView},
};
use rustix::process::Signal;
use std::time::Duration;

/// For a view to show the step that was struck; shorter than the silence after which a holder counts as lost.
const SHOWN: Duration = Duration::from_millis(1_500);

/// For the holder to be given up, shut out and judged: 2 s of silence, the proof, and a machine that is busy.
const SHUT_OUT: Duration = Duration::from_secs(30);

/// The demo's only database.
const DATABASE: &str = "main";

/// What is done to who upgrades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strike {
    /// As a loss of power does.
    Kill,
    /// As a machine that hangs.
    Stop,
    /// As a switch that fails: it goes on, but nobody hears of it.
    Cut,
}

impl Strike {
    const fn word(self) -> &'static str {
        match self {
            Strike::Kill => "killed",
            Strike::Stop => "stopped",
            Strike::Cut => "cut-off",
        }
    }
}

impl Nemesis<'_> {
    /// Does it. A stopped or cut off upgrader is let go again by [`Self::mend`].
    fn strike(&self, strike: Strike, victim: &MemberName) -> anyhow::Result<()> {
        let (role, processes) = (Role::Agent(victim.clone()), self.agents.processes);
        let signal = match strike {
            Strike::Kill => Signal::KILL,
            Strike::Stop => Signal::STOP,
            Strike::Cut => {
                let pid = processes.pid(&role).with_context(|| format!("{role} does not run"))?;
                self.relays.context("nothing stands between the agents")?.cut(victim, pid);
                return Ok(());
            }
        };
        // The agent first: it must not see its migration end.
        processes.signal(&role, signal)?;
        processes.signal_steps(victim, signal)?;
        if strike == Strike::Kill {
            // To take note of its end.
            processes.kill(&role)?;
        }
        Ok(())
    }

    fn mend(&self, strike: Strike, victim: &MemberName) -> anyhow::Result<()> {
        let processes = self.agents.processes;
        match strike {
            Strike::Kill => self.agents.start(victim),
            Strike::Stop => {
                processes.signal_steps(victim, Signal::CONT)?;
                processes.signal(&Role::Agent(victim.clone()), Signal::CONT)
            }
            Strike::Cut => {
                self.relays.context("nothing stands between the agents")?.heal();
                Ok(())
            }
        }
    }

    pub(super) async fn upgrader(&self, kind: FaultKind, strike: Strike) -> anyhow::Result<FaultReport> {
        let Some(victim) = self.upgrade_begins(None).await else {
            return Ok(FaultReport::of(kind, "the upgrade did not begin"));
        };
        self.strike(strike, &victim)?;
        let injected_at = unix_ms();
        // It was for this migration alone.
        let _absent = std::fs::remove_file(self.agents.layout.slow_migration());
        let during_step = self.step_under_way().await;
        let (say, word) = (self.agents.say, strike.word());
        say.line(&format!("! {victim}, which upgrades, is {word}"));

        let before = self.until_closed().await?;
        let operator = format!("{OPERATOR}/{CLUSTER}.toml");
        let command = format!("--context {operator} takeover {DATABASE} --reason {word}-by-the-demo");
        self.agents.typist.run(&command, &[0]).await?;
        let successor = self.upgrade_begins(Some(&victim)).await;
        // Back in the middle of the other's work, where it could do the most harm.
        self.mend(strike, &victim)?;
        let cleared_at = unix_ms();
        say.line(&format!("! {victim} is back"));
        let effect = match &successor {
            Some(member) => format!(
                "{victim} (token {}) was shut out, and {member} took over after {} ms",
                before.token,
                cleared_at.saturating_sub(injected_at)
            ),
            None => "nobody else began an upgrade".to_owned(),
        };
        Ok(FaultReport {
            victim: Some(victim),
            injected_at: Some(injected_at),
            during_step,
            cleared_at: Some(cleared_at),
            ..FaultReport::of(kind, &effect)
        })
    }

    /// The upgrade step, as soon as a view shows it: views are looked at a few times a second and lag behind the blow, while
    /// the step stays assigned until the holder counts as lost.
    async fn step_under_way(&self) -> Option<String> {
        self.until_shown(SHOWN, upgrading).await
    }

    /// Waits until the rollout is halted and the holder's grant is closed; answers that grant.
    async fn until_closed(&self) -> anyhow::Result<GrantView> {
        let closed = |view: &StatusView| {
            let rollout = view.rollout.as_ref().filter(|rollout| rollout.state == "halted")?;
            rollout.grant.get(DATABASE).filter(|grant| grant.state == "closed").cloned()
        };
        let found = self.until_shown(SHUT_OUT, closed).await;
        found.with_context(|| format!("the upgrader was not shut out within {SHUT_OUT:?}"))
    }

    /// What a view shows, as soon as one does; none after `limit`, or when nobody watches any more.
    async fn until_shown<T>(&self, limit: Duration, find: impl Fn(&StatusView) -> Option<T>) -> Option<T> {
        let mut views = self.views.clone();
        let shown = async {
            loop {
                let now = views.borrow_and_update().clone();
                if let Some(found) = now.as_deref().and_then(&find) {
                    return Some(found);
                }
                views.changed().await.ok()?;
            }
        };
        tokio::time::timeout(limit, shown).await.ok().flatten()
    }
}

/// The step that upgrades, while somebody has it: number, action and target.
fn upgrading(view: &StatusView) -> Option<String> {
    let steps = &view.rollout.as_ref()?.steps;
    let step = steps.iter().find(|step| step.action == "upgrade-database" && step.state == "assigned")?;
    Some(format!("{} {} {}", step.id, step.action, step.target))
}
