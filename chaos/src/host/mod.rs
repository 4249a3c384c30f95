//! The fake host: the agent's `Host` over the shared world. It stands for the adapters and keeps their promises: looks
//! change nothing, every act may be repeated, opening a door compares the token with the ledger's.
//!
//! Effects take virtual time and land somewhere in the middle of it, so a pause or a crash finds them before, in and
//! after. Knows nothing of rollouts.

mod balancer;
mod database;
mod member;
mod restore;
mod upgrade;

use crate::{
    plant::{self, Planted},
    plot::Side,
    sim::{Power, SimClock},
    world::{EffectId, Fact, Misfortune, Shared, Thing, World},
};
use async_trait::async_trait;
use lockkeeper_agent::host::{
    DatabaseFacts, Done, FactsQuery, Failure, Host, HostFacts, Postcheck, Precheck, Unit, Work,
};
use lockkeeper_core::{
    ids::MemberName,
    plan::{Action, Target},
    time::Millis,
};
use lockkeeper_proto::port::{Clock as _, Observer};
use rand::Rng as _;
use std::sync::MutexGuard;

/// How long a host tries to reach a shared thing before it gives up.
const REACH_TIMEOUT: Millis = Millis(1_000);

/// A machine's hand on the world.
#[derive(Clone)]
pub struct FakeHost {
    me: MemberName,
    world: Shared,
    clock: SimClock,
    power: Power,
}

/// What carrying out an action came to, before it is proven.
type Acted = Result<(), Failure>;

fn failure(code: &str, text: impl Into<String>) -> Failure {
    Failure { code: code.to_owned(), text: text.into() }
}

fn unreachable() -> Failure {
    failure("SIM01", "it cannot be reached from this host")
}

fn proven(evidence: impl Into<String>) -> Done {
    Done { evidence: evidence.into(), ..Done::default() }
}

/// A proof that a captured value is back, if this step gives one back.
fn given_back(work: &Work, value: impl Into<String>) -> Done {
    let value = value.into();
    let read_back = work.captured.is_some().then(|| value.clone());
    Done { evidence: value, read_back, ..Done::default() }
}

impl FakeHost {
    /// The hand of machine `me`.
    pub fn new(me: MemberName, world: Shared, clock: SimClock, power: Power) -> Self {
        Self { me, world, clock, power }
    }

    /// The world now. The caller holds it for one look or one change.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock()
    }

    /// Never returns on a machine that has lost its power: what is dead does nothing more.
    async fn live(&self) {
        if self.power.is_off() {
            std::future::pending::<()>().await;
        }
    }

    async fn wait(&self, ms: u64) {
        self.live().await;
        self.clock.sleep(Millis(ms)).await;
        self.live().await;
    }

    /// A duration by chance.
    fn chance(&self, range: std::ops::Range<u64>) -> u64 {
        let mut world = self.world();
        let slowness = u64::from(world.luck.slowness);
        world.random.random_range(range).saturating_mul(slowness)
    }

    fn effect(&self, work: &Work) -> EffectId {
        let target = target(work, &self.me);
        EffectId {
            rollout: work.rollout,
            step: work.step,
            attempt: work.attempt,
            token: work.token,
            kind: work.action.kind(),
            target,
        }
    }

    async fn reach(&self, thing: Thing) -> Result<(), Failure> {
        let begun = self.clock.boot();
        while self.world().cut.contains(&(self.me.clone(), thing)) {
            self.wait(100).await;
            if self.clock.boot().since(begun) > REACH_TIMEOUT {
                return Err(unreachable());
            }
        }
        Ok(())
    }

    async fn look(&self, work: &Work) -> Result<Precheck, Failure> {
        self.wait(1).await;
        match &work.action {
            Action::StageRelease(step) => Ok(self.look_staged(step)),
            Action::SwitchRelease(step) => Ok(self.look_switched(step)),
            Action::StopService(step) => Ok(self.look_stopped(step, work)),
            Action::StartService(step) => Ok(self.look_started(step, work)),
            Action::Prove(_) | Action::JudgeSchema(_) | Action::Run(_) => Ok(Precheck::Ready { captured: String::new() }),
            Action::Drain(step) => self.look_drained(step).await,
            Action::Admit(step) => self.look_admitted(step, work).await,
            Action::ProveNoWriters(_) => self.look_no_writers().await,
            Action::Backup(_)
            | Action::ProveBackup(_)
            | Action::MintCredential(_)
            | Action::AdmitHolder(_)
            | Action::CloseGrant(_) => Ok(Precheck::Ready { captured: String::new() }),
            Action::ShutDoor(_) => self.look_shut().await,
            Action::OpenDoor(_) => self.look_open(work).await,
            Action::RestoreDatabase(_) => self.look_restored(work).await,
            Action::UpgradeDatabase(step) => self.look_upgraded(step, work).await,
        }
    }

    async fn act(&self, work: &Work, started: &(dyn Fn(Unit) + Send + Sync)) -> Acted {
        let by = self.effect(work);
        match &work.action {
            Action::StageRelease(step) => self.stage(step, &by).await,
            Action::SwitchRelease(step) => self.switch(step, &by).await,
            Action::StopService(step) => self.stop(step, &by).await,
            Action::StartService(step) => self.start(step, &by).await,
            Action::Prove(step) => self.probe(step, &by).await,
            Action::Run(_) | Action::JudgeSchema(_) => Ok(()),
            Action::Drain(step) => self.drain(step, &by).await,
            Action::Admit(step) => self.admit(step, work, &by).await,
            Action::ProveNoWriters(_) => self.prove_no_writers(&by).await,
            Action::Backup(step) => self.back_up(step, &by).await,
            Action::ProveBackup(step) => self.prove_backup(step, &by).await,
            Action::ShutDoor(_) => self.shut_door(&by).await,
            Action::MintCredential(_) => self.mint(&by).await,
            Action::AdmitHolder(step) => self.admit_holder(step, work, &by).await,
            Action::CloseGrant(_) => self.close_grant(&by).await,
            Action::OpenDoor(_) => self.open_door(&by).await,
            Action::RestoreDatabase(step) => self.restore(step, &by).await,
            Action::UpgradeDatabase(_) => self.upgrade(&by, started).await,
        }
    }

    async fn prove(&self, work: &Work) -> Result<Postcheck, Failure> {
        self.wait(1).await;
        match &work.action {
            Action::StageRelease(step) => Ok(self.prove_staged(step)),
            Action::SwitchRelease(step) => Ok(self.prove_switched(step)),
            Action::StopService(step) => Ok(self.prove_stopped(step, work)),
            Action::StartService(step) => Ok(self.prove_started(step, work)),
            Action::Prove(step) => Ok(self.prove_probed(step)),
            Action::Run(_) => Ok(Postcheck::Proven(proven("ran"))),
            Action::JudgeSchema(step) => self.schema_judged(step).await,
            Action::Drain(step) => self.prove_drained(step).await,
            Action::Admit(step) => self.prove_admitted(step, work).await,
            Action::ProveNoWriters(step) => self.no_writers_proven(step).await,
            Action::Backup(step) => Ok(self.backup_taken(step)),
            Action::ProveBackup(step) => Ok(self.backup_proven(step)),
            Action::ShutDoor(_) => self.prove_shut().await,
            Action::MintCredential(step) => Ok(self.prove_minted(step, work)),
            Action::AdmitHolder(_) => self.prove_admitted_holder(work).await,
            Action::CloseGrant(step) => self.prove_closed(step, work).await,
            Action::OpenDoor(_) => self.prove_open(work).await,
            Action::RestoreDatabase(step) => self.prove_restored(step, work).await,
            Action::UpgradeDatabase(step) => self.prove_upgraded(step).await,
        }
    }

    fn count_effect(&self) -> u64 {
        let mut world = self.world();
        world.effects += 1;
        world.effects
    }

    /// Never returns at the place where this run's process is to be killed.
    async fn strike(&self, number: u64, side: Side) {
        let here = {
            let mut world = self.world();
            let here = world.strike == Some((number, side));
            if here {
                world.strike = None;
                world.struck = Some(self.me.clone());
            }
            here
        };
        if here {
            std::future::pending::<()>().await;
        }
    }

    async fn act_with_luck(&self, work: &Work, started: &(dyn Fn(Unit) + Send + Sync)) -> Acted {
        let by = self.effect(work);
        match self.misfortune(work, &by) {
            None => self.act(work, started).await,
            Some(Misfortune::FailsUndone) => Err(failure("SIM02", "it failed")),
            Some(Misfortune::FailsDone) => {
                self.act(work, started).await?;
                Err(failure("SIM03", "it failed, it says"))
            }
            Some(Misfortune::SaysDone) => Ok(()),
        }
    }

    /// What goes wrong with the next effect, if anything does. The upgrade tool has misfortunes of its own.
    fn misfortune(&self, work: &Work, by: &EffectId) -> Option<Misfortune> {
        if matches!(work.action, Action::UpgradeDatabase(_)) {
            return None;
        }
        let mut world = self.world();
        let luck = world.luck;
        let drawn = luck.draw(&mut world.random)?;
        world.note(Some(&self.me), Some(by), Fact::Misfortune { what: drawn.word().to_owned() });
        Some(drawn)
    }
}

/// What an action acts on, as the world sees it.
fn target(work: &Work, me: &MemberName) -> Target {
    match &work.action {
        Action::Drain(step) | Action::Admit(step) => {
            Target::Balancer(step.balancer.clone(), step.member.clone())
        }
        Action::ProveNoWriters(step)
        | Action::Backup(step)
        | Action::ProveBackup(step)
        | Action::ShutDoor(step)
        | Action::MintCredential(step)
        | Action::AdmitHolder(step)
        | Action::CloseGrant(step)
        | Action::OpenDoor(step)
        | Action::RestoreDatabase(step) => Target::Database(step.database.clone()),
        Action::UpgradeDatabase(step) => Target::Database(step.database.clone()),
        Action::JudgeSchema(step) => Target::Database(step.database.clone()),
        Action::StageRelease(_)
        | Action::SwitchRelease(_)
        | Action::StopService(_)
        | Action::StartService(_)
        | Action::Prove(_)
        | Action::Run(_) => Target::Member(me.clone()),
    }
}

#[async_trait]
impl Host for FakeHost {
    async fn precheck(&self, work: &Work) -> Precheck {
        match self.look(work).await {
            Ok(seen) => seen,
            Err(failure) => Precheck::Unknown(failure.to_string()),
        }
    }

    async fn perform(&self, work: &Work, started: &(dyn Fn(Unit) + Send + Sync)) -> Result<(), Failure> {
        self.live().await;
        let number = self.count_effect();
        self.strike(number, Side::Before).await;
        let acted = self.act_with_luck(work, started).await;
        self.strike(number, Side::After).await;
        acted
    }

    async fn adopt(&self, _work: &Work, unit: &Unit) -> Result<(), Failure> {
        self.live().await;
        if plant::is(Planted::AdoptStartsAgain) {
            self.world().start_again(&unit.name);
        }
        self.unit_ended(&unit.name).await
    }

    async fn kill(&self, _work: &Work, unit: &Unit) -> Result<(), Failure> {
        self.wait(20).await;
        self.world().kill_unit(&unit.name);
        Ok(())
    }

    async fn postcheck(&self, work: &Work) -> Postcheck {
        match self.prove(work).await {
            Ok(seen) => seen,
            Err(failure) => Postcheck::NotYet(failure.to_string()),
        }
    }

    async fn facts(&self, query: &FactsQuery) -> HostFacts {
        self.wait(1).await;
        let world = self.world();
        let site = world.sites.get(&self.me);
        let version = site.map(|s| s.link.clone()).filter(|v| !v.is_empty());
        let cut = world.cut.contains(&(self.me.clone(), Thing::Database));
        let database = if cut {
            Err("it cannot be reached from this host".to_owned())
        } else {
            Ok(DatabaseFacts { identity: "7438/main".into(), schema: world.database.schema.to_string() })
        };
        HostFacts {
            version: version.map(Ok),
            databases: query.databases.keys().map(|name| (name.clone(), database.clone())).collect(),
            release: None,
            ..HostFacts::default()
        }
    }
}

#[async_trait]
impl Observer for FakeHost {
    async fn observe(&self, query: &FactsQuery) -> HostFacts {
        self.facts(query).await
    }
}
