//! When a rollout is completed or aborted, everything it turned is as it was: the balancer's settings, the services'
//! running, the door.
//!
//! Source: a dump of everything that can be turned, taken before the rollout and at its end. What only a person can
//! settle (a rollout that needs a restore) is not over. Not stronger: a service that its machine's power loss ended is
//! compared by whether it starts with the machine.

use super::{Case, Invariant, Name};
use crate::{
    people::Outcome,
    world::{Admin, NEW, OLD, Service, World},
};
use lockkeeper_core::ids::MemberName;
use std::collections::BTreeMap;

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{what} was {before} and is {after}")]
    Differs { what: String, before: String, after: String },
    #[error("{member} has release {found} after {outcome:?}")]
    Release { member: MemberName, found: String, outcome: Outcome },
    #[error("the holder's login is still there")]
    LoginLeft,
}

/// Everything that a rollout may turn and must give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    admin: BTreeMap<MemberName, Admin>,
    enabled: BTreeMap<MemberName, bool>,
    open: bool,
}

#[derive(Default)]
pub struct OwedSettled {
    before: Option<Dump>,
}

impl Dump {
    /// As it is now.
    pub fn of(world: &World) -> Self {
        let members = world.sites.iter().filter(|(_, site)| site.service != Service::None);
        Self {
            admin: world.balancer.servers.iter().map(|(m, server)| (m.clone(), server.admin)).collect(),
            enabled: members.map(|(member, site)| (member.clone(), site.enabled)).collect(),
            open: world.database.open,
        }
    }

    /// Each value that is not as it was.
    pub fn differences(&self, after: &Self) -> Vec<String> {
        self.compare(after).err().map(|broken| broken.to_string()).into_iter().collect()
    }

    fn compare(&self, now: &Self) -> Result<(), Broken> {
        for (member, admin) in &self.admin {
            compare(format!("the balancer's {member}"), &Some(admin), &now.admin.get(member))?;
        }
        for (member, enabled) in &self.enabled {
            compare(format!("the start of {member}"), &Some(enabled), &now.enabled.get(member))?;
        }
        compare("the door", &self.open, &now.open)
    }
}

fn compare<T: PartialEq + std::fmt::Debug>(
    what: impl Into<String>,
    before: &T,
    after: &T,
) -> Result<(), Broken> {
    if before == after {
        return Ok(());
    }
    Err(Broken::Differs { what: what.into(), before: format!("{before:?}"), after: format!("{after:?}") })
}

impl Invariant for OwedSettled {
    fn name(&self) -> Name {
        Name::OwedSettled
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let before = self.before.get_or_insert_with(|| Dump::of(case.world));
        let version = match case.over {
            Some(Outcome::Completed) => NEW.0,
            Some(Outcome::Aborted | Outcome::Restored) => OLD.0,
            Some(Outcome::NeedsPerson(_)) | None => return Ok(()),
        };
        before.compare(&Dump::of(case.world))?;
        if case.world.database.admitted.is_some() {
            return Err(Broken::LoginLeft.into());
        }
        for (member, site) in case.world.sites.iter().filter(|(_, site)| site.service != Service::None) {
            if site.link != version {
                let (found, outcome) = (site.link.clone(), case.over.cloned().unwrap_or(Outcome::Completed));
                return Err(Broken::Release { member: member.clone(), found, outcome }.into());
            }
        }
        Ok(())
    }
}
