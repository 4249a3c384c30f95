//! Runs of the vendor's upgrade tool: processes of their own, which outlive the agent that started them.

use super::{EffectId, Fact, Login, NEW, OLD, SessionId, World};
use lockkeeper_core::ids::MemberName;
use rand::Rng as _;

/// How the vendor's tool changes the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// In one transaction: all or nothing.
    Transactional,
    /// Step by step, and it can go on with a half-done schema.
    Resumes,
    /// Step by step, and it cannot.
    Fragile,
}

impl Tool {
    /// Whether it can go on with a half-done schema.
    pub const fn resumes(self) -> bool {
        match self {
            Tool::Resumes => true,
            Tool::Transactional | Tool::Fragile => false,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitEnd {
    /// Exit status 0.
    Well,
    /// Another exit status.
    Badly,
    /// Killed, or lost with its machine.
    Gone,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Where it runs.
    pub site: MemberName,
    /// By which effect it was started.
    pub by: EffectId,
    /// Its session.
    session: Option<SessionId>,
    /// Its next write.
    next: u64,
    /// Writes to go.
    left: u32,
    every: u64,
    /// How it ended.
    pub end: Option<UnitEnd>,
}

impl World {
    /// Starts the tool as a unit. It logs in with the secret of its grant at once.
    pub fn start_unit(&mut self, name: &str, site: &MemberName, by: &EffectId) {
        self.note(Some(site), Some(by), Fact::UnitStarted { unit: name.to_owned() });
        let verifier =
            self.sites.get(site).and_then(|s| s.secrets.get(&by.token)).cloned().unwrap_or_default();
        let login = Login::Grant { holder: site.clone(), token: by.token, verifier };
        let session = self.log_in(site, login);
        let half_done = self.database.schema != OLD.1 && self.database.schema != NEW.1;
        let works = session.is_some() && (!half_done || self.luck.tool.resumes());
        let every = self.random.random_range(50..400);
        let left = self.random.random_range(4..12);
        let next = self.now + every;
        let mut unit = Unit { site: site.clone(), by: by.clone(), session, next, left, every, end: None };
        match session {
            Some(_) if works => {
                self.note(Some(site), Some(by), Fact::UpgradeBegan { token: by.token, holder: site.clone() });
            }
            Some(session) => {
                self.log_out(session);
                unit.end = Some(UnitEnd::Badly);
            }
            None => {
                self.note(Some(site), Some(by), Fact::UpgradeRefused { token: by.token });
                unit.end = Some(UnitEnd::Badly);
            }
        }
        self.units.insert(name.to_owned(), unit);
    }

    /// A planted bug: the tool is started beside a run that still works.
    pub fn start_again(&mut self, name: &str) {
        let Some(unit) = self.units.get(name).filter(|unit| unit.end.is_none()) else { return };
        let (site, by) = (unit.site.clone(), unit.by.clone());
        self.start_unit(&format!("{name}-again"), &site, &by);
    }

    /// Ends a run from outside.
    pub fn kill_unit(&mut self, name: &str) {
        let Some(unit) = self.units.get(name) else { return };
        if unit.end.is_none() {
            let session = unit.session;
            self.end_unit(name, UnitEnd::Gone);
            if let Some(session) = session {
                self.log_out(session);
            }
        }
    }

    pub(super) fn units_lost(&mut self, site: &MemberName) {
        let lost: Vec<_> = self
            .units
            .iter()
            .filter(|(_, unit)| unit.site == *site && unit.end.is_none())
            .map(|(name, unit)| (name.clone(), unit.session))
            .collect();
        for (name, session) in lost {
            self.end_unit(&name, UnitEnd::Gone);
            if let Some(session) = session {
                self.orphan(session);
            }
        }
    }

    fn end_unit(&mut self, name: &str, end: UnitEnd) {
        let Some(unit) = self.units.get_mut(name) else { return };
        unit.end = Some(end);
        let (site, by) = (unit.site.clone(), unit.by.clone());
        let schema = self.database.schema;
        let fact = Fact::UpgradeEnded { token: by.token, well: end == UnitEnd::Well, schema };
        self.note(Some(&site), Some(&by), fact);
    }

    pub(super) fn advance_units(&mut self) {
        let due: Vec<_> = self
            .units
            .iter()
            .filter(|(_, unit)| unit.end.is_none() && unit.next <= self.now && self.is_awake(&unit.site))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.advance_unit(&name);
        }
    }

    fn advance_unit(&mut self, name: &str) {
        let now = self.now;
        let Some(unit) = self.units.get_mut(name) else { return };
        let (site, by, session) = (unit.site.clone(), unit.by.clone(), unit.session);
        if !session.is_some_and(|id| self.database.sessions.contains_key(&id)) {
            self.note(Some(&site), Some(&by), Fact::UpgradeRefused { token: by.token });
            self.end_unit(name, UnitEnd::Badly);
            return;
        }
        unit.left = unit.left.saturating_sub(1);
        unit.next = now + unit.every;
        let last = unit.left == 0;
        self.note(Some(&site), Some(&by), Fact::UpgradeWrote { token: by.token });
        if last {
            self.database.schema = NEW.1;
        } else if self.luck.tool != Tool::Transactional && self.database.schema < NEW.1 - 1 {
            self.database.schema += 1;
        }
        if last {
            self.end_unit(name, UnitEnd::Well);
            if let Some(session) = session {
                self.log_out(session);
            }
        }
    }
}
