//! The database as the fake host works it: writers, backups, door, grant. Whatever changes door or grant compares the
//! token with the ledger, where it lands.

use super::{Acted, FakeHost, failure, given_back, proven};
use crate::{
    plant::{self, Planted},
    world::{Change, EffectId, Fact, LedgerState, Login, NEW, OLD, Thing, World},
};
use lockkeeper_agent::host::{Blocked, Done, Failure, Postcheck, Precheck, Work};
use lockkeeper_core::{
    ids::{LogIndex, Token},
    plan::action::DatabaseAction,
};

const OPEN: &str = "open";
const SHUT: &str = "shut";

/// How long the session list must stay empty before a holder counts as out: longer than a login takes.
const EMPTY_SAMPLES: u32 = 3;

fn door(world: &World) -> &'static str {
    if world.database.open { OPEN } else { SHUT }
}

/// Takes a token into the ledger, or says why not. Equal tokens pass: all steps of a grant have one.
pub(super) fn claim(world: &mut World, by: &EffectId, state: LedgerState) -> Result<(), Failure> {
    match world.database.ledger {
        Some((highest, _)) if by.token < highest && !plant::is(Planted::LedgerTakesStale) => {
            world.note(None, Some(by), Fact::LedgerRefused { token: by.token, highest });
            Err(failure("SIM30", format!("token {} is below the ledger's {highest}", by.token)))
        }
        Some(_) | None => {
            world.database.ledger = Some((by.token, state));
            world.note(None, Some(by), Fact::Ledger { token: by.token, state });
            Ok(())
        }
    }
}

impl FakeHost {
    /// Sends a statement to the ledger, and waits for its answer. One that is held up on its way is carried out later, and
    /// its sender learns nothing: it is killed, or its connection is lost.
    async fn send(
        &self,
        by: &EffectId,
        change: impl FnOnce(&mut World) -> Result<bool, Failure> + Send + 'static,
    ) -> Acted {
        let hold = if self.power.is_off() { None } else { self.world().hold.take() };
        if let Some(hold) = hold {
            let change: Change = Box::new(|world| change(world).unwrap_or(false));
            self.world().send_late(hold, &self.me, by, change);
            if hold.dies {
                std::future::pending::<()>().await;
            }
            return Err(failure("SIM45", "the connection was lost, nobody knows what was done"));
        }
        let mut answer = Ok(());
        self.land(by, |world, _| match change(world) {
            Ok(changed) => changed,
            Err(refused) => {
                answer = Err(refused);
                false
            }
        });
        answer
    }

    pub(super) async fn look_no_writers(&self) -> Result<Precheck, Failure> {
        self.reach(Thing::Database).await?;
        let world = self.world();
        if world.database.writers().any(|login| *login == Login::Stranger) {
            return Ok(Precheck::Blocked(Blocked {
                code: "forgotten-node".into(),
                text: "a session of somebody nobody knows".into(),
                remedy: "end it".into(),
            }));
        }
        Ok(Precheck::Ready { captured: String::new() })
    }

    pub(super) async fn prove_no_writers(&self, by: &EffectId) -> Acted {
        self.reach(Thing::Database).await?;
        self.wait(self.chance(5..50)).await;
        self.land(by, |world, _| {
            let none = world.database.writers().next().is_none();
            if none {
                world.note(None, Some(by), Fact::NoWriters);
            }
            none
        });
        Ok(())
    }

    pub(super) async fn no_writers_proven(&self, step: &DatabaseAction) -> Result<Postcheck, Failure> {
        self.reach(Thing::Database).await?;
        let world = self.world();
        let writers = world.database.writers().count();
        Ok(match writers {
            0 => {
                let mut done = proven("no session");
                if let Some(opened) = world.database.opened {
                    let written = world.database.rows.saturating_sub(opened);
                    done.outputs.insert(format!("loss.{}", step.database), written.to_string());
                }
                Postcheck::Proven(done)
            }
            some => Postcheck::NotYet(format!("{some} sessions")),
        })
    }

    pub(super) async fn back_up(&self, step: &DatabaseAction, by: &EffectId) -> Acted {
        self.reach(Thing::Database).await?;
        self.wait(self.chance(50..400)).await;
        self.land(by, |world, _| {
            let rows = world.database.rows;
            let new = world.database.sets.insert(step.set.clone(), rows).is_none();
            world.note(None, Some(by), Fact::BackupTaken { set: step.set.clone(), rows });
            new
        });
        Ok(())
    }

    pub(super) fn backup_taken(&self, step: &DatabaseAction) -> Postcheck {
        if self.world().database.sets.contains_key(&step.set) {
            Postcheck::Proven(proven(&step.set))
        } else {
            Postcheck::Refuted(failure("SIM31", "there is no such set"))
        }
    }

    pub(super) async fn prove_backup(&self, step: &DatabaseAction, by: &EffectId) -> Acted {
        self.reach(Thing::Database).await?;
        self.wait(self.chance(50..400)).await;
        // What the core would do without a proof is seen where there is none to be had.
        if plant::is(Planted::UpgradeUnsaved) {
            return Err(failure("SIM46", "the set cannot be read"));
        }
        self.land(by, |world, _| {
            let same = world.database.sets.get(&step.set) == Some(&world.database.rows);
            if same {
                world.database.proven.insert(step.set.clone());
                world.note(None, Some(by), Fact::BackupProven { set: step.set.clone() });
            }
            same
        });
        Ok(())
    }

    pub(super) fn backup_proven(&self, step: &DatabaseAction) -> Postcheck {
        if self.world().database.proven.contains(&step.set) {
            Postcheck::Proven(proven("restored and compared"))
        } else {
            Postcheck::Refuted(failure("SIM32", "the set is not what the database holds"))
        }
    }

    pub(super) async fn look_shut(&self) -> Result<Precheck, Failure> {
        self.reach(Thing::Database).await?;
        // Never "already done": the present state is captured in any case.
        Ok(Precheck::Ready { captured: door(&self.world()).to_owned() })
    }

    pub(super) async fn shut_door(&self, by: &EffectId) -> Acted {
        self.reach(Thing::Database).await?;
        self.wait(self.chance(5..60)).await;
        let effect = by.clone();
        self.send(by, move |world| {
            claim(world, &effect, LedgerState::Closed)?;
            let was_open = std::mem::replace(&mut world.database.open, false);
            let strangers = !plant::is(Planted::ShutLeavesStrangers);
            world.kick(|login| matches!(login, Login::App(_)) || (strangers && *login == Login::Stranger));
            world.note(None, Some(&effect), Fact::DoorShut);
            Ok(was_open)
        })
        .await?;
        self.wait(self.chance(1..20)).await;
        Ok(())
    }

    pub(super) async fn prove_shut(&self) -> Result<Postcheck, Failure> {
        self.reach(Thing::Database).await?;
        let world = self.world();
        if world.database.open {
            return Ok(Postcheck::Refuted(failure("SIM33", "the door is open")));
        }
        let counts = |login: &&Login| **login != Login::Stranger || !plant::is(Planted::ShutLeavesStrangers);
        Ok(match world.database.writers().filter(counts).count() {
            0 => Postcheck::Proven(proven(SHUT)),
            some => Postcheck::NotYet(format!("{some} sessions")),
        })
    }

    pub(super) async fn mint(&self, by: &EffectId) -> Acted {
        self.wait(self.chance(1..10)).await;
        self.land(by, |world, site| {
            let Some(s) = world.sites.get_mut(site) else { return false };
            // A second run of the same attempt keeps the secret the first one made.
            s.secrets.entry(by.token).or_insert_with(|| format!("v-{site}-{}", by.token));
            true
        });
        Ok(())
    }

    pub(super) fn prove_minted(&self, step: &DatabaseAction, work: &Work) -> Postcheck {
        let world = self.world();
        match world.sites.get(&self.me).and_then(|s| s.secrets.get(&work.token)) {
            None => Postcheck::Refuted(failure("SIM34", "there is no secret")),
            Some(verifier) => {
                let mut done = proven("minted");
                done.outputs.insert(format!("grant.{}.verifier", step.database), verifier.clone());
                Postcheck::Proven(done)
            }
        }
    }

    pub(super) async fn admit_holder(&self, step: &DatabaseAction, work: &Work, by: &EffectId) -> Acted {
        self.reach(Thing::Database).await?;
        let verifier = work.inputs.get(&format!("grant.{}.verifier", step.database)).cloned();
        let holder = work.grants.get(&step.database).map(|(member, _)| member.clone());
        let (Some(verifier), Some(holder)) = (verifier, holder) else {
            return Err(failure("SIM35", "nobody is to be admitted"));
        };
        self.wait(self.chance(5..60)).await;
        let effect = by.clone();
        self.send(by, move |world| {
            let token = effect.token;
            if world.database.closed == Some(token) {
                return Err(failure("SIM39", format!("grant {token} is closed")));
            }
            claim(world, &effect, LedgerState::Open)?;
            world.database.admitted = Some((holder.clone(), token, verifier));
            world.note(None, Some(&effect), Fact::HolderAdmitted { token, holder });
            Ok(true)
        })
        .await?;
        self.wait(self.chance(1..20)).await;
        Ok(())
    }

    pub(super) async fn prove_admitted_holder(&self, work: &Work) -> Result<Postcheck, Failure> {
        self.reach(Thing::Database).await?;
        Ok(match &self.world().database.admitted {
            Some((_, token, _)) if *token == work.token => Postcheck::Proven(proven("it may come in")),
            Some(_) | None => Postcheck::Refuted(failure("SIM36", "it may not come in")),
        })
    }

    pub(super) async fn close_grant(&self, by: &EffectId) -> Acted {
        self.reach(Thing::Database).await?;
        self.wait(self.chance(5..60)).await;
        let effect = by.clone();
        self.send(by, move |world| {
            let by = &effect;
            claim(world, by, LedgerState::Closed)?;
            world.database.closed = Some(by.token);
            if plant::is(Planted::CloseLowersLedger) {
                let token = Token { index: LogIndex(by.token.index.0 - 1), ..by.token };
                world.database.ledger = Some((token, LedgerState::Closed));
                world.note(None, Some(by), Fact::Ledger { token, state: LedgerState::Closed });
            }
            let was = world.database.admitted.take();
            if !plant::is(Planted::CloseLeavesSessions) {
                world.kick(|login| matches!(login, Login::Grant { .. }));
            }
            if plant::is(Planted::CloseResetsSchema) && world.database.schema < NEW.1 {
                world.database.schema = OLD.1;
            }
            if let Some((_, token, _)) = &was {
                let schema = world.database.schema;
                world.note(None, Some(by), Fact::HolderOut { token: *token, schema });
            }
            Ok(was.is_some())
        })
        .await?;
        let mut empty = 0;
        while empty < EMPTY_SAMPLES {
            self.wait(40).await;
            let inside = self.holder_inside();
            empty = if inside { 0 } else { empty + 1 };
        }
        Ok(())
    }

    fn holder_inside(&self) -> bool {
        let holder = |login: &Login| matches!(login, Login::Grant { .. });
        !plant::is(Planted::CloseLeavesSessions) && self.world().database.writers().any(holder)
    }

    pub(super) async fn prove_closed(
        &self,
        step: &DatabaseAction,
        work: &Work,
    ) -> Result<Postcheck, Failure> {
        self.reach(Thing::Database).await?;
        let world = self.world();
        if world.database.admitted.is_some()
            || world.database.ledger != Some((work.token, LedgerState::Closed))
        {
            return Ok(Postcheck::Refuted(failure("SIM37", "the grant is not closed")));
        }
        let holder = |login: &Login| matches!(login, Login::Grant { .. });
        if !plant::is(Planted::CloseLeavesSessions) && world.database.writers().any(holder) {
            return Ok(Postcheck::NotYet("the holder has a session".into()));
        }
        let mut done = Done { evidence: "the holder is out".into(), ..Done::default() };
        done.outputs.insert(format!("judge.{}", step.database), world.database.schema.to_string());
        Ok(Postcheck::Proven(done))
    }

    pub(super) async fn look_open(&self, work: &Work) -> Result<Precheck, Failure> {
        self.reach(Thing::Database).await?;
        let present = door(&self.world());
        let wanted = work.captured.as_deref().unwrap_or(OPEN);
        // A door found open is not enough: the ledger must have seen this token, or a late act may still shut it.
        let shown = self.world().database.ledger.as_ref().is_some_and(|(highest, _)| *highest == work.token);
        if present == wanted && (shown || wanted != OPEN) {
            return Ok(Precheck::AlreadyDone(given_back(work, present)));
        }
        Ok(Precheck::Ready { captured: present.to_owned() })
    }

    pub(super) async fn open_door(&self, by: &EffectId) -> Acted {
        self.reach(Thing::Database).await?;
        self.wait(self.chance(5..60)).await;
        let effect = by.clone();
        self.send(by, move |world| {
            claim(world, &effect, LedgerState::Closed)?;
            // Said again, it is no second opening: what was written since the first one counts.
            if !std::mem::replace(&mut world.database.open, true) {
                world.database.opened = Some(world.database.rows);
            }
            world.note(None, Some(&effect), Fact::DoorOpened);
            Ok(true)
        })
        .await?;
        self.wait(self.chance(1..20)).await;
        Ok(())
    }

    pub(super) async fn prove_open(&self, work: &Work) -> Result<Postcheck, Failure> {
        self.reach(Thing::Database).await?;
        let present = door(&self.world());
        if present == work.captured.as_deref().unwrap_or(OPEN) {
            Ok(Postcheck::Proven(given_back(work, present)))
        } else {
            Ok(Postcheck::Refuted(failure("SIM38", format!("the door is {present}"))))
        }
    }
}
