//! One machine as the outside sees it: power, releases, the application's service.

use super::{Fact, Login, NEW, OLD, SessionId, World};
use lockkeeper_core::ids::{MemberName, Token};
use std::collections::{BTreeMap, BTreeSet};

/// The application's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// There is none on this machine.
    None,
    /// Not running.
    Stopped,
    /// Not answering yet.
    Starting {
        /// Answers from then on.
        until: u64,
        /// Which release.
        version: String,
    },
    /// Answering, with its session.
    Serving {
        /// Which release.
        version: String,
        /// Its session, if the database let it in.
        session: Option<SessionId>,
    },
    /// Ending.
    Stopping {
        /// Gone then.
        until: u64,
        /// Its session.
        session: Option<SessionId>,
    },
}

/// A machine.
#[derive(Debug, Clone)]
pub struct Site {
    /// Has power.
    pub powered: bool,
    /// Stands still as a whole.
    pub frozen: bool,
    /// Release directories.
    pub staged: BTreeSet<String>,
    /// The release in use.
    pub link: String,
    /// The application.
    pub service: Service,
    /// Whether the application starts with the machine.
    pub enabled: bool,
    /// What the last start of the application found out about it, by probes: none since it was started.
    pub proved: Option<String>,
    /// Secrets this machine made, by token.
    pub secrets: BTreeMap<Token, String>,
}

impl Site {
    pub(super) fn serving(version: &str, session: SessionId) -> Self {
        Self {
            service: Service::Serving { version: version.to_owned(), session: Some(session) },
            link: version.to_owned(),
            enabled: true,
            proved: Some(version.to_owned()),
            ..Self::witness()
        }
    }

    pub(super) fn witness() -> Self {
        Self {
            powered: true,
            frozen: false,
            staged: BTreeSet::new(),
            link: String::new(),
            service: Service::None,
            enabled: false,
            proved: None,
            secrets: BTreeMap::new(),
        }
    }

    /// The release that answers, if one does.
    pub fn answers(&self) -> Option<&str> {
        match &self.service {
            Service::Serving { version, session: Some(_) } if self.powered && !self.frozen => Some(version),
            Service::Serving { .. }
            | Service::None
            | Service::Stopped
            | Service::Starting { .. }
            | Service::Stopping { .. } => None,
        }
    }
}

/// Whether a release can work with a schema.
pub fn fits(version: &str, schema: u32) -> bool {
    [OLD, NEW].contains(&(version, schema))
}

impl World {
    /// The machine loses its power: its processes are gone at once, their sessions a little later.
    pub fn power_off(&mut self, member: &MemberName) {
        let Some(site) = self.sites.get_mut(member) else { return };
        site.powered = false;
        site.frozen = false;
        let session = match &site.service {
            Service::Serving { session, .. } | Service::Stopping { session, .. } => *session,
            Service::None | Service::Stopped | Service::Starting { .. } => None,
        };
        if site.service != Service::None {
            site.service = Service::Stopped;
            site.proved = None;
        }
        if let Some(session) = session {
            self.orphan(session);
        }
        self.units_lost(member);
        self.note(Some(member), None, Fact::Power { on: false });
    }

    /// The machine comes on; an enabled service starts with it.
    pub fn power_on(&mut self, member: &MemberName) {
        let now = self.now;
        let Some(site) = self.sites.get_mut(member) else { return };
        site.powered = true;
        let starts = site.enabled && site.service == Service::Stopped;
        let version = site.link.clone();
        if starts {
            site.service = Service::Starting { until: now + 800, version: version.clone() };
        }
        self.note(Some(member), None, Fact::Power { on: true });
        if starts {
            self.note(Some(member), None, Fact::Starting { version, by_itself: true });
        }
    }

    /// The machine stands still or goes on.
    pub fn set_frozen(&mut self, member: &MemberName, frozen: bool) {
        if let Some(site) = self.sites.get_mut(member) {
            site.frozen = frozen;
            self.note(Some(member), None, Fact::Frozen { frozen });
        }
    }

    pub(super) fn advance_services(&mut self) {
        let now = self.now;
        let due: Vec<_> = self
            .sites
            .iter()
            .filter(|(_, site)| site.powered && !site.frozen)
            .filter(|(_, site)| match &site.service {
                Service::Starting { until, .. } | Service::Stopping { until, .. } => *until <= now,
                Service::None | Service::Stopped | Service::Serving { .. } => false,
            })
            .map(|(member, site)| (member.clone(), site.service.clone()))
            .collect();
        for (member, service) in due {
            match service {
                Service::Starting { version, .. } => self.serve(&member, version),
                Service::Stopping { session, .. } => {
                    if let Some(session) = session {
                        self.log_out(session);
                    }
                    self.set_service(&member, Service::Stopped);
                    self.note(Some(&member), None, Fact::Ended);
                }
                Service::None | Service::Stopped | Service::Serving { .. } => {}
            }
        }
        self.lose_kicked_sessions();
    }

    /// The application connects and serves, or refuses to if the schema is not its own.
    fn serve(&mut self, member: &MemberName, version: String) {
        let schema = self.database.schema;
        let session = self.log_in(member, Login::App(member.clone()));
        match session {
            Some(session) if fits(&version, schema) => {
                let service = Service::Serving { version: version.clone(), session: Some(session) };
                self.set_service(member, service);
                self.note(Some(member), None, Fact::Serving { version });
            }
            other => {
                if let Some(session) = other {
                    self.log_out(session);
                }
                self.set_service(member, Service::Stopped);
                self.note(Some(member), None, Fact::Refused { version, schema });
            }
        }
    }

    /// An application whose session was ended connects again as soon as it is let in.
    fn lose_kicked_sessions(&mut self) {
        let changed: Vec<_> = self
            .sites
            .iter()
            .filter(|(_, site)| site.powered && !site.frozen)
            .filter_map(|(member, site)| match &site.service {
                Service::Serving { version, session: Some(id) }
                    if !self.database.sessions.contains_key(id) =>
                {
                    Some((member.clone(), version.clone(), false))
                }
                Service::Serving { version, session: None } if self.database.open => {
                    Some((member.clone(), version.clone(), true))
                }
                Service::Serving { .. }
                | Service::None
                | Service::Stopped
                | Service::Starting { .. }
                | Service::Stopping { .. } => None,
            })
            .collect();
        for (member, version, again) in changed {
            if again {
                self.serve(&member, version);
            } else {
                self.set_service(&member, Service::Serving { version, session: None });
            }
        }
    }

    /// Puts a service into a state; whatever was proven of it before a change is void.
    pub fn set_service(&mut self, member: &MemberName, service: Service) {
        if let Some(site) = self.sites.get_mut(member) {
            if !matches!(service, Service::Serving { .. }) {
                site.proved = None;
            }
            site.service = service;
        }
    }
}
