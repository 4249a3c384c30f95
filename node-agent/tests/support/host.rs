//! The fake host: a small world with settings, effects, units and a database, which counts what happens twice.

use super::crash::Crash;
use async_trait::async_trait;
use lockkeeper_agent::{
    clock::Clock,
    host::{Blocked, Done, FactsQuery, Failure, Host, HostFacts, Postcheck, Precheck, Unit, Work},
};
use lockkeeper_core::{
    ids::{StepId, Token},
    plan::ActionKind,
    time::Millis,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

/// How long the upgrade's unit runs.
const UPGRADE: u64 = 3_000;
/// Schema before and after.
pub const SCHEMA: (&str, &str) = ("23", "26");

/// Everything that outlives the agent. Copied at a crash.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Settings by owed key; one that is missing has its original value.
    pub settings: BTreeMap<String, String>,
    /// Steps whose effect is there, by the right it was made under.
    pub effects: BTreeMap<(StepId, Token), u32>,
    /// Upgrade runs begun, by token.
    pub begun: BTreeMap<Token, u32>,
    /// The running upgrade.
    pub unit: Option<(Unit, u64)>,
    /// Upgrades that reached the new schema.
    pub upgraded: u32,
    /// Effects that were made although they were there, or beside another one.
    pub doubles: Vec<String>,
    /// Looks so far, to make some of them answer "blocked" or "not yet" first.
    pub looks: BTreeMap<(StepId, Token), u32>,
    /// Boot of the machine.
    pub boot: u32,
    /// The upgrade's unit never ends.
    pub hangs: bool,
    /// How many of the next looks and acts are refused because a ledger shows an unknown mark.
    pub twins: (u32, u32),
    /// When effects were made, on the boot clock.
    pub times: Vec<u64>,
}

impl World {
    /// The original value of every setting.
    pub const ORIGINAL: &'static str = "as it was";

    fn setting(&self, key: &str) -> String {
        self.settings.get(key).cloned().unwrap_or_else(|| World::ORIGINAL.into())
    }

    /// The schema's version.
    pub fn schema(&self) -> &'static str {
        if self.upgraded > 0 { SCHEMA.1 } else { SCHEMA.0 }
    }

    /// What runs by itself up to `now`.
    pub fn advance(&mut self, now: u64) {
        if self.unit.as_ref().is_some_and(|(_, end)| *end <= now) {
            self.unit = None;
            self.upgraded += 1;
        }
    }

    /// The machine loses power: what ran is gone, half done.
    pub fn power_loss(&mut self) {
        self.unit = None;
        self.boot += 1;
    }
}

/// The host port over a world.
pub struct FakeHost {
    pub world: Arc<Mutex<World>>,
    pub clock: Arc<dyn Clock>,
    pub crash: Crash,
}

impl FakeHost {
    fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap();
        world.advance(self.clock.boot().0);
        world
    }

    fn done(&self, work: &Work) -> Done {
        let world = self.world();
        let mut done = Done { evidence: format!("{} seen", work.action.kind()), ..Done::default() };
        if work.captured.is_some() {
            done.read_back = owed_key(work).map(|key| world.setting(&key));
        }
        if work.action.kind() == ActionKind::CloseGrant {
            done.outputs.insert("judge.main".into(), world.schema().into());
        }
        done
    }

    fn is_done(&self, work: &Work) -> bool {
        let world = self.world();
        match work.action.kind() {
            ActionKind::UpgradeDatabase => world.upgraded > 0,
            _ => world.effects.contains_key(&(work.step, work.token)),
        }
    }

    async fn upgrade(&self, work: &Work, started: &(dyn Fn(Unit) + Send + Sync)) {
        self.crash.point("before the unit").await;
        let unit = {
            let mut world = self.world();
            let begun = world.begun.entry(work.token).or_default();
            *begun += 1;
            let twice = *begun > 1 || world.unit.is_some() || world.upgraded > 0;
            if twice {
                world.doubles.push(format!("upgrade begun twice under {}", work.token));
            }
            let name = format!("upgrade-{}-{}", work.step, work.attempt);
            let unit = Unit { name, pid: 4711, started: 1, boot: world.boot.to_string() };
            let end = if world.hangs { u64::MAX } else { self.clock.boot().0 + UPGRADE };
            world.unit = Some((unit.clone(), end));
            unit
        };
        self.crash.point("before the unit is told").await;
        started(unit);
        self.wait().await;
    }

    async fn wait(&self) {
        loop {
            self.crash.point("beside the unit").await;
            if self.world().unit.is_none() {
                return;
            }
            self.clock.sleep(Millis(1000)).await;
        }
    }
}

fn refuses(left: &mut u32) -> bool {
    let refused = *left > 0;
    *left = left.saturating_sub(1);
    refused
}

fn twin() -> Failure {
    Failure { code: lockkeeper_core::rollout::marks::TWIN_GROUP.into(), text: "an unknown mark".into() }
}

/// The setting a step changes or gives back.
fn owed_key(work: &Work) -> Option<String> {
    use lockkeeper_core::plan::Action;
    match &work.action {
        Action::Drain(server) | Action::Admit(server) => {
            Some(format!("{}/{}", server.balancer, server.member))
        }
        Action::StopService(service) | Action::StartService(service) => {
            Some(format!("{}/service", service.member))
        }
        Action::ShutDoor(database) | Action::OpenDoor(database) => {
            Some(format!("{}/door", database.database))
        }
        _ => None,
    }
}

#[async_trait]
impl Host for FakeHost {
    async fn precheck(&self, work: &Work) -> Precheck {
        self.crash.point("before a look").await;
        let kind = work.action.kind();
        if refuses(&mut self.world().twins.0) {
            return Precheck::Refused(twin());
        }
        if self.is_done(work) {
            return Precheck::AlreadyDone(self.done(work));
        }
        let looks = {
            let mut world = self.world();
            if kind == ActionKind::UpgradeDatabase
                && let Some((unit, _)) = &world.unit
            {
                return Precheck::Running(unit.clone());
            }
            let looks = world.looks.entry((work.step, work.token)).or_default();
            *looks += 1;
            *looks
        };
        self.crash.point("after a look").await;
        if kind == ActionKind::StageRelease && looks == 1 {
            let text = "no room".to_owned();
            return Precheck::Blocked(Blocked { code: "LK5301".into(), text, remedy: "make room".into() });
        }
        let captured = match (&work.owes, owed_key(work)) {
            (Some(_), Some(key)) => self.world().setting(&key),
            (Some(_) | None, _) => String::new(),
        };
        Precheck::Ready { captured }
    }

    async fn perform(&self, work: &Work, started: &(dyn Fn(Unit) + Send + Sync)) -> Result<(), Failure> {
        self.crash.point("before the effect").await;
        if refuses(&mut self.world().twins.1) {
            return Err(twin());
        }
        if work.action.kind() == ActionKind::UpgradeDatabase {
            self.upgrade(work, started).await;
            return Ok(());
        }
        if let Some(key) = owed_key(work) {
            // Half of the change first: a look in between must not take it for the original.
            let value = match &work.captured {
                Some(original) => original.clone(),
                None => format!("changed by {}", work.step),
            };
            self.world().settings.insert(key.clone(), "half".into());
            self.crash.point("inside the effect").await;
            self.world().settings.insert(key, value);
        }
        self.crash.point("inside the effect, at its end").await;
        {
            let mut world = self.world();
            let now = self.clock.boot().0;
            world.times.push(now);
            let times = world.effects.entry((work.step, work.token)).or_default();
            *times += 1;
            if *times > 1 {
                world.doubles.push(format!("step {} twice under {}", work.step, work.token));
            }
        }
        self.crash.point("after the effect").await;
        Ok(())
    }

    async fn adopt(&self, _work: &Work, _unit: &Unit) -> Result<(), Failure> {
        self.wait().await;
        Ok(())
    }

    async fn kill(&self, _work: &Work, unit: &Unit) -> Result<(), Failure> {
        self.crash.point("before a kill").await;
        let mut world = self.world();
        if world.unit.as_ref().is_some_and(|(running, _)| running == unit) {
            world.unit = None;
        }
        Ok(())
    }

    async fn postcheck(&self, work: &Work) -> Postcheck {
        self.crash.point("before a proof").await;
        if !self.is_done(work) {
            return Postcheck::NotYet("not there".into());
        }
        let first = {
            let mut world = self.world();
            let looks = world.looks.entry((work.step, work.token)).or_default();
            *looks += 1;
            *looks < 3
        };
        if work.action.kind() == ActionKind::StartService && first {
            return Postcheck::NotYet("it still starts".into());
        }
        Postcheck::Proven(self.done(work))
    }

    async fn facts(&self, _query: &FactsQuery) -> HostFacts {
        HostFacts::default()
    }
}
