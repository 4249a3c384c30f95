//! The balancer as the fake host works it: drain, wait, out; and back in.

use super::{Acted, FakeHost, failure, given_back, proven};
use crate::world::{Admin, EffectId, Thing};
use lockkeeper_agent::host::{Failure, Postcheck, Precheck, Work};
use lockkeeper_core::{ids::MemberName, plan::action::BalancerServer, time::Millis};
use lockkeeper_proto::port::Clock as _;

/// How long an admission waits for the balancer's checks.
const CHECKS_TIMEOUT: Millis = Millis(5_000);

impl FakeHost {
    async fn server(&self, member: &MemberName) -> Result<(Admin, u32, bool), Failure> {
        self.reach(Thing::Balancer).await?;
        let world = self.world();
        let server = world.balancer.servers.get(member).ok_or_else(|| failure("SIM20", "no such server"))?;
        Ok((server.admin, server.sessions(), server.up))
    }

    pub(super) async fn look_drained(&self, step: &BalancerServer) -> Result<Precheck, Failure> {
        let (admin, _, _) = self.server(&step.member).await?;
        Ok(Precheck::Ready { captured: admin.to_string() })
    }

    pub(super) async fn drain(&self, step: &BalancerServer, by: &EffectId) -> Acted {
        self.reach(Thing::Balancer).await?;
        self.wait(self.chance(1..30)).await;
        self.land(by, |world, _| {
            world.set_admin(&step.member, Admin::Drain, by);
            true
        });
        let begun = self.clock.boot();
        loop {
            self.wait(30).await;
            let (_, sessions, _) = self.server(&step.member).await?;
            if sessions == 0 {
                break;
            }
            if self.clock.boot().since(begun) > step.wait {
                self.land(by, |world, _| {
                    world.force(&step.member, by);
                    true
                });
            }
        }
        self.land(by, |world, _| {
            world.set_admin(&step.member, Admin::Maint, by);
            true
        });
        Ok(())
    }

    pub(super) async fn prove_drained(&self, step: &BalancerServer) -> Result<Postcheck, Failure> {
        let (admin, sessions, _) = self.server(&step.member).await?;
        if admin == Admin::Maint && sessions == 0 {
            return Ok(Postcheck::Proven(proven("maint, no sessions")));
        }
        if admin == Admin::Ready {
            return Ok(Postcheck::Refuted(failure("SIM21", "it is still in")));
        }
        Ok(Postcheck::NotYet(format!("{admin}, {sessions} sessions")))
    }

    pub(super) async fn look_admitted(
        &self,
        step: &BalancerServer,
        work: &Work,
    ) -> Result<Precheck, Failure> {
        let (admin, _, up) = self.server(&step.member).await?;
        let wanted = wanted(work);
        if admin == wanted && (up || wanted != Admin::Ready) {
            return Ok(Precheck::AlreadyDone(given_back(work, admin.to_string())));
        }
        Ok(Precheck::Ready { captured: admin.to_string() })
    }

    pub(super) async fn admit(&self, step: &BalancerServer, work: &Work, by: &EffectId) -> Acted {
        self.reach(Thing::Balancer).await?;
        self.wait(self.chance(1..30)).await;
        let wanted = wanted(work);
        if wanted == Admin::Ready {
            // As the adapter does: out of maintenance first, in only when the balancer's own checks pass.
            self.land(by, |world, _| {
                world.set_admin(&step.member, Admin::Drain, by);
                true
            });
            let begun = self.clock.boot();
            while !self.server(&step.member).await?.2 {
                self.wait(50).await;
                if self.clock.boot().since(begun) > CHECKS_TIMEOUT {
                    return Err(failure("SIM23", "its checks do not pass"));
                }
            }
        }
        self.land(by, |world, _| {
            world.set_admin(&step.member, wanted, by);
            true
        });
        self.wait(self.chance(1..30)).await;
        Ok(())
    }

    pub(super) async fn prove_admitted(
        &self,
        step: &BalancerServer,
        work: &Work,
    ) -> Result<Postcheck, Failure> {
        let (admin, _, up) = self.server(&step.member).await?;
        let wanted = wanted(work);
        if admin != wanted {
            return Ok(Postcheck::Refuted(failure("SIM22", format!("it is {admin}"))));
        }
        if wanted == Admin::Ready && !up {
            return Ok(Postcheck::NotYet("its checks do not pass yet".into()));
        }
        Ok(Postcheck::Proven(given_back(work, admin.to_string())))
    }
}

/// The state an admission gives back: what was captured, else ready.
fn wanted(work: &Work) -> Admin {
    work.captured.as_deref().and_then(Admin::parse).unwrap_or(Admin::Ready)
}
