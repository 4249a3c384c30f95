//! The restore as the fake host does it: the proven set takes the database's place while the door is shut.

use super::{Acted, FakeHost, database::claim, failure, proven};
use crate::world::{EffectId, Fact, LedgerState, OLD, Thing};
use lockkeeper_agent::host::{Failure, Postcheck, Precheck, Work};
use lockkeeper_core::plan::action::DatabaseAction;

impl FakeHost {
    pub(super) async fn look_restored(&self, work: &Work) -> Result<Precheck, Failure> {
        self.reach(Thing::Database).await?;
        if self.world().database.restored == Some(work.token) {
            return Ok(Precheck::AlreadyDone(proven("restored")));
        }
        Ok(Precheck::Ready { captured: String::new() })
    }

    pub(super) async fn restore(&self, step: &DatabaseAction, by: &EffectId) -> Acted {
        self.reach(Thing::Database).await?;
        self.wait(self.chance(50..400)).await;
        let mut done = Ok(());
        self.land(by, |world, _| {
            let rows = world
                .database
                .sets
                .get(&step.set)
                .copied()
                .filter(|_| world.database.proven.contains(&step.set));
            done = match rows {
                None => Err(failure("SIM50", "there is no proven set of this name")),
                Some(_) if world.database.open => Err(failure("SIM51", "the door is open")),
                Some(rows) => claim(world, by, LedgerState::Closed).map(|()| {
                    let again = world.database.restored == Some(by.token);
                    if !again {
                        world.database.rows = rows;
                        world.database.schema = OLD.1;
                        world.database.restored = Some(by.token);
                        world.note(None, Some(by), Fact::Restored { set: step.set.clone(), rows });
                    }
                }),
            };
            done.is_ok()
        });
        done
    }

    pub(super) async fn prove_restored(
        &self,
        step: &DatabaseAction,
        work: &Work,
    ) -> Result<Postcheck, Failure> {
        self.reach(Thing::Database).await?;
        let world = self.world();
        if world.database.restored == Some(work.token) {
            return Ok(Postcheck::Proven(proven(format!("{} is live", step.set))));
        }
        Ok(Postcheck::Refuted(failure("SIM52", "the set is not live")))
    }
}
