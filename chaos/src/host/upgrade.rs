//! The upgrade tool as the fake host runs it: in a unit of its own, judged by the schema it leaves.

use super::{Acted, FakeHost, failure, proven};
use crate::world::{EffectId, Thing, UnitEnd};
use lockkeeper_agent::host::{Failure, Postcheck, Precheck, Unit, Work};
use lockkeeper_core::plan::action::{JudgeSchema, UpgradeDatabase};

fn name(by: &EffectId) -> String {
    format!("lk-{}-{}-{}", by.rollout, by.step, by.attempt)
}

fn unit(name: String) -> Unit {
    Unit { name, pid: 4711, started: 1, boot: "sim".into() }
}

impl FakeHost {
    pub(super) async fn look_upgraded(
        &self,
        step: &UpgradeDatabase,
        work: &Work,
    ) -> Result<Precheck, Failure> {
        let name = name(&self.effect(work));
        // One that ended while no agent looked is adopted too: its result waits in the spool.
        if self.world().units.contains_key(&name) {
            return Ok(Precheck::Running(unit(name)));
        }
        self.reach(Thing::Database).await?;
        let schema = self.world().database.schema.to_string();
        if schema == step.schema.after {
            return Ok(Precheck::AlreadyDone(proven(format!("schema {schema}"))));
        }
        if schema != step.schema.before && !step.resumes {
            let expected = format!("schema {}, untouched", step.schema.before);
            return Ok(Precheck::Mismatch { expected, found: format!("schema {schema}") });
        }
        Ok(Precheck::Ready { captured: String::new() })
    }

    pub(super) async fn upgrade(&self, by: &EffectId, started: &(dyn Fn(Unit) + Send + Sync)) -> Acted {
        self.reach(Thing::Database).await?;
        self.wait(self.chance(1..60)).await;
        let name = name(by);
        self.land(by, |world, site| {
            world.start_unit(&name, site, by);
            true
        });
        started(unit(name.clone()));
        self.unit_ended(&name).await
    }

    pub(super) async fn unit_ended(&self, name: &str) -> Acted {
        loop {
            self.wait(50).await;
            let end = self.world().units.get(name).map(|unit| unit.end);
            match end {
                Some(None) => {}
                Some(Some(UnitEnd::Well)) => return Ok(()),
                Some(Some(UnitEnd::Badly)) => return Err(failure("SIM40", "the tool ended with status 1")),
                Some(Some(UnitEnd::Gone)) => return Err(failure("SIM41", "the tool is gone")),
                None => return Err(failure("SIM42", "there is no such unit")),
            }
        }
    }

    pub(super) async fn schema_judged(&self, step: &JudgeSchema) -> Result<Postcheck, Failure> {
        self.reach(Thing::Database).await?;
        let schema = self.world().database.schema.to_string();
        if schema == step.schema.after {
            Ok(Postcheck::Proven(proven(format!("schema {schema} is finished"))))
        } else {
            Ok(Postcheck::Refuted(failure("SIM44", format!("schema {schema}"))))
        }
    }

    pub(super) async fn prove_upgraded(&self, step: &UpgradeDatabase) -> Result<Postcheck, Failure> {
        self.reach(Thing::Database).await?;
        let schema = self.world().database.schema.to_string();
        if schema == step.schema.after {
            Ok(Postcheck::Proven(proven(format!("schema {} -> {schema}", step.schema.before))))
        } else {
            Ok(Postcheck::Refuted(failure("SIM43", format!("schema {schema}"))))
        }
    }
}
