//! A member's own host: releases, service, probes.

use super::{Acted, FakeHost, failure, given_back, proven};
use crate::world::{EffectId, Fact, Service, World};
use lockkeeper_agent::host::{Postcheck, Precheck, Work};
use lockkeeper_core::{
    plan::action::{Prove, ServiceAction, StageRelease, SwitchRelease},
    time::Millis,
};
use lockkeeper_proto::port::Clock as _;
use rand::Rng as _;

const RUNNING: &str = "running";
const STOPPED: &str = "stopped";

impl FakeHost {
    fn site<T>(&self, look: impl FnOnce(&crate::world::Site) -> T, absent: T) -> T {
        self.world().sites.get(&self.me).map_or(absent, look)
    }

    fn is_staged(&self, version: &str) -> bool {
        self.site(|site| site.staged.contains(version), false)
    }

    pub(super) fn look_staged(&self, step: &StageRelease) -> Precheck {
        if self.is_staged(step.version.as_str()) {
            return Precheck::AlreadyDone(proven("staged"));
        }
        Precheck::Ready { captured: String::new() }
    }

    pub(super) async fn stage(&self, step: &StageRelease, by: &EffectId) -> Acted {
        self.wait(self.chance(10..120)).await;
        self.land(by, |world, site| {
            let version = step.version.to_string();
            let changed = world.sites.get_mut(site).is_some_and(|s| s.staged.insert(version.clone()));
            world.note(Some(site), Some(by), Fact::Staged { version });
            changed
        });
        self.wait(self.chance(1..20)).await;
        Ok(())
    }

    pub(super) fn prove_staged(&self, step: &StageRelease) -> Postcheck {
        if self.is_staged(step.version.as_str()) {
            Postcheck::Proven(proven("staged"))
        } else {
            Postcheck::Refuted(failure("SIM04", "the release is not there"))
        }
    }

    fn is_linked(&self, step: &SwitchRelease) -> bool {
        self.site(|site| site.link == step.version.as_str(), false)
    }

    pub(super) fn look_switched(&self, step: &SwitchRelease) -> Precheck {
        if self.is_linked(step) {
            return Precheck::AlreadyDone(proven("linked"));
        }
        if !self.is_staged(step.version.as_str()) {
            return Precheck::Mismatch {
                expected: format!("{} staged", step.version),
                found: "nothing".into(),
            };
        }
        Precheck::Ready { captured: String::new() }
    }

    pub(super) async fn switch(&self, step: &SwitchRelease, by: &EffectId) -> Acted {
        self.wait(self.chance(1..30)).await;
        self.land(by, |world, site| {
            let version = step.version.to_string();
            if let Some(s) = world.sites.get_mut(site) {
                s.link.clone_from(&version);
            }
            world.note(Some(site), Some(by), Fact::Linked { version });
            true
        });
        self.wait(self.chance(1..10)).await;
        Ok(())
    }

    pub(super) fn prove_switched(&self, step: &SwitchRelease) -> Postcheck {
        if self.is_linked(step) {
            Postcheck::Proven(proven("linked"))
        } else {
            Postcheck::Refuted(failure("SIM05", "the link names another release"))
        }
    }

    fn service(&self) -> Service {
        self.site(|site| site.service.clone(), Service::None)
    }

    pub(super) fn look_stopped(&self, _step: &ServiceAction, _work: &Work) -> Precheck {
        match self.service() {
            Service::Stopped | Service::None => Precheck::AlreadyDone(proven(STOPPED)),
            Service::Starting { .. } | Service::Serving { .. } | Service::Stopping { .. } => {
                Precheck::Ready { captured: RUNNING.to_owned() }
            }
        }
    }

    pub(super) async fn stop(&self, _step: &ServiceAction, by: &EffectId) -> Acted {
        self.wait(self.chance(1..60)).await;
        let takes = self.chance(30..300);
        self.land(by, |world, site| {
            let until = world.now + takes;
            let sessions = world.balancer.servers.get(site).map_or(0, crate::world::Server::sessions);
            let Some(s) = world.sites.get_mut(site) else { return false };
            s.enabled = false;
            let session = match &s.service {
                Service::Serving { session, .. } => *session,
                Service::Starting { .. } => None,
                Service::Stopped | Service::None | Service::Stopping { .. } => return false,
            };
            world.set_service(site, Service::Stopping { until, session });
            world.note(Some(site), Some(by), Fact::Stopping { sessions });
            true
        });
        self.wait(takes + 2).await;
        Ok(())
    }

    pub(super) fn prove_stopped(&self, _step: &ServiceAction, work: &Work) -> Postcheck {
        match self.service() {
            Service::Stopped | Service::None => Postcheck::Proven(given_back(work, STOPPED)),
            Service::Stopping { .. } => Postcheck::NotYet("stopping".into()),
            Service::Starting { .. } | Service::Serving { .. } => {
                Postcheck::Refuted(failure("SIM06", "it runs"))
            }
        }
    }

    pub(super) fn look_started(&self, step: &ServiceAction, work: &Work) -> Precheck {
        match self.service() {
            Service::Serving { version, session: Some(_) } if version == step.version.as_str() => {
                Precheck::AlreadyDone(given_back(work, RUNNING))
            }
            Service::Serving { version, .. } => Precheck::Mismatch {
                expected: format!("stopped, or running {}", step.version),
                found: version,
            },
            Service::Starting { .. } | Service::Stopping { .. } => {
                Precheck::Unknown("it is neither running nor stopped".into())
            }
            Service::Stopped | Service::None => Precheck::Ready { captured: STOPPED.to_owned() },
        }
    }

    pub(super) async fn start(&self, _step: &ServiceAction, by: &EffectId) -> Acted {
        self.wait(self.chance(1..60)).await;
        let takes = self.chance(100..500);
        self.land(by, |world, site| {
            let until = world.now + takes;
            let Some(s) = world.sites.get_mut(site) else { return false };
            s.enabled = true;
            if s.service != Service::Stopped {
                return false;
            }
            let version = s.link.clone();
            world.set_service(site, Service::Starting { until, version: version.clone() });
            world.note(Some(site), Some(by), Fact::Starting { version, by_itself: false });
            true
        });
        self.wait(self.chance(1..60)).await;
        Ok(())
    }

    pub(super) fn prove_started(&self, step: &ServiceAction, work: &Work) -> Postcheck {
        match self.service() {
            Service::Serving { version, session: Some(_) } if version == step.version.as_str() => {
                Postcheck::Proven(given_back(work, RUNNING))
            }
            Service::Starting { .. } => Postcheck::NotYet("it still starts".into()),
            Service::Serving { version, .. } => {
                Postcheck::Refuted(failure("SIM07", format!("{version} runs")))
            }
            Service::Stopped | Service::Stopping { .. } | Service::None => {
                Postcheck::Refuted(failure("SIM08", "it does not run"))
            }
        }
    }

    /// Whether the probes pass now: the right release answers, and the schema is its own.
    fn probes_pass(world: &World, site: &lockkeeper_core::ids::MemberName, expected: &str) -> bool {
        world.sites.get(site).and_then(|s| s.answers()).is_some_and(|version| version == expected)
    }

    pub(super) async fn probe(&self, step: &Prove, by: &EffectId) -> Acted {
        let version = self.site(|site| site.link.clone(), String::new());
        let begun = self.clock.boot();
        let mut since = begun;
        // The adapter's own limit; the step's deadline is longer.
        let limit = Millis(step.settle.0.saturating_add(10_000));
        loop {
            let now = self.clock.boot();
            if !Self::probes_pass(&self.world(), &self.me, &version) {
                since = now;
            }
            if now.since(since) >= step.settle {
                break;
            }
            if now.since(begun) > limit {
                return Err(failure("SIM09", "its probes do not pass"));
            }
            let pause = self.world().random.random_range(40..60);
            self.wait(pause).await;
        }
        self.land(by, |world, site| {
            if let Some(s) = world.sites.get_mut(site) {
                s.proved = Some(version.clone());
            }
            world.note(Some(site), Some(by), Fact::Proved { version: version.clone() });
            true
        });
        Ok(())
    }

    pub(super) fn prove_probed(&self, _step: &Prove) -> Postcheck {
        match self.site(|site| site.proved.clone(), None) {
            Some(version) => Postcheck::Proven(proven(version)),
            None => Postcheck::Refuted(failure("SIM10", "it was not proven since it was started")),
        }
    }

    /// Carries out a change and writes that it was.
    pub(super) fn land(
        &self,
        by: &EffectId,
        change: impl FnOnce(&mut World, &lockkeeper_core::ids::MemberName) -> bool,
    ) {
        // A machine without power changes nothing; the attempt is about to end with it.
        if self.power.is_off() {
            return;
        }
        let mut world = self.world();
        let changed = change(&mut world, &self.me);
        world.note(Some(&self.me), Some(by), Fact::Effect { changed });
    }
}
