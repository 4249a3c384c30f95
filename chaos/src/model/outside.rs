//! The outside as small as it can be: what effects change, and the laws that say which changes must never be.

use lockkeeper_core::{
    ids::{MemberName, Token},
    plan::{Action, Step},
    rollout::command::{AttemptRef, Verdict},
};
use std::collections::{BTreeMap, BTreeSet};

/// How far an agent is with an attempt it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The effect may land at any time, also after the attempt was taken away.
    Begun,
    /// It landed and was not reported.
    Landed,
    /// The outside refused it.
    Refused,
}

/// What the application on a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    Proven,
    Started,
    Stopped,
}

/// A law that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The invariant's name, as in the project's list.
    pub law: &'static str,
    /// What was seen.
    pub text: String,
}

fn broken(law: &'static str, text: impl Into<String>) -> Result<(), Broken> {
    Err(Broken { law, text: text.into() })
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// 0 old, 1 half-done, 2 new.
    pub schema: u8,
    /// A backup set was proven.
    pub saved: bool,
    /// Ordinary logins may come in.
    pub open: bool,
    /// The minted login that may come in.
    pub admitted: Option<Token>,
    /// The highest token the grant ledger took.
    pub ledger: Option<Token>,
    /// The grant of that token is closed; a closed one never opens again.
    pub closed: bool,
    /// Upgrades with a session.
    pub inside: BTreeSet<Token>,
    /// An upgrade has succeeded.
    pub succeeded: bool,
    /// Members out of the balancer.
    pub out: BTreeSet<MemberName>,
    pub services: BTreeMap<MemberName, Service>,
    /// Members with the new release.
    pub new: BTreeSet<MemberName>,
    /// What agents have begun.
    pub attempts: BTreeMap<AttemptRef, Stage>,
}

impl Outside {
    /// Everybody serves the old release.
    pub fn new(members: &[MemberName]) -> Self {
        Self {
            schema: 0,
            saved: false,
            open: true,
            admitted: None,
            ledger: None,
            closed: false,
            inside: BTreeSet::new(),
            succeeded: false,
            out: BTreeSet::new(),
            services: members.iter().map(|member| (member.clone(), Service::Proven)).collect(),
            new: BTreeSet::new(),
            attempts: BTreeMap::new(),
        }
    }

    /// What a version query would answer.
    pub const fn schema_text(&self) -> &'static str {
        match self.schema {
            0 => "23",
            1 => "24",
            _ => "26",
        }
    }

    /// What the judge would say.
    pub const fn verdict(&self) -> Verdict {
        match self.schema {
            0 => Verdict::Untouched,
            1 => Verdict::Touched,
            _ => Verdict::Finished,
        }
    }

    /// An agent begins; for an upgrade this is the tool's log-in.
    pub fn begin(&mut self, attempt: &AttemptRef, step: &Step) -> Result<(), Broken> {
        let mut stage = Stage::Begun;
        if matches!(step.action, Action::UpgradeDatabase(_)) {
            if self.admitted != Some(attempt.token) {
                stage = Stage::Refused;
            } else if !self.inside.is_empty() {
                return broken("one_upgrader", format!("{} begins while another is inside", attempt.member));
            } else if self.succeeded {
                return broken("one_upgrader", format!("{} begins although it is upgraded", attempt.member));
            } else if !self.saved {
                return broken("backup_before", format!("{} begins and no backup is proven", attempt.member));
            } else if self.open {
                return broken("door_shut", format!("{} begins and the door is open", attempt.member));
            } else {
                self.inside.insert(attempt.token);
            }
        }
        self.attempts.insert(attempt.clone(), stage);
        Ok(())
    }

    /// The tool writes a part.
    pub fn touch(&mut self) {
        self.schema = 1;
    }

    /// The effect lands.
    pub fn land(&mut self, attempt: &AttemptRef, step: &Step) -> Result<(), Broken> {
        let token = attempt.token;
        let landed = match &step.action {
            Action::Drain(s) => {
                self.out.insert(s.member.clone());
                true
            }
            Action::Admit(s) => {
                if self.services.get(&s.member) != Some(&Service::Proven) {
                    return broken("proven_before_admit", format!("{} is admitted", s.member));
                }
                self.out.remove(&s.member);
                true
            }
            Action::StopService(_) => {
                if !self.out.contains(&attempt.member) {
                    return broken("drained_before_stop", format!("{} is stopped", attempt.member));
                }
                self.services.insert(attempt.member.clone(), Service::Stopped);
                true
            }
            Action::StartService(_) => {
                let other = |(member, service): (&MemberName, &Service)| {
                    *member != attempt.member && *service == Service::Started
                };
                if let Some((member, _)) = self.services.iter().find(|(m, s)| other((m, s))) {
                    return broken("serial_start", format!("{} is started beside {member}", attempt.member));
                }
                self.services.insert(attempt.member.clone(), Service::Started);
                true
            }
            Action::Prove(_) => {
                let fits = self.new.contains(&attempt.member) == (self.schema == 2);
                let runs = self.services.get(&attempt.member) != Some(&Service::Stopped);
                if fits && runs {
                    self.services.insert(attempt.member.clone(), Service::Proven);
                }
                fits && runs
            }
            Action::SwitchRelease(s) => {
                if s.version.as_str() == crate::world::NEW.0 {
                    self.new.insert(attempt.member.clone());
                } else {
                    self.new.remove(&attempt.member);
                }
                true
            }
            Action::ProveBackup(_) => {
                self.saved = true;
                true
            }
            Action::ShutDoor(_) => {
                self.open = false;
                true
            }
            Action::OpenDoor(_) => {
                if self.admitted.is_some() || !self.inside.is_empty() {
                    return broken("door_shut", "it is opened while a holder may come in");
                }
                self.open = true;
                true
            }
            Action::AdmitHolder(_) => {
                let claimed = self.claim(token) && !self.closed;
                if claimed {
                    self.admitted = Some(token);
                }
                claimed
            }
            Action::CloseGrant(_) => {
                let claimed = self.claim(token);
                if claimed {
                    self.closed = true;
                    self.admitted = None;
                    self.inside.clear();
                }
                claimed
            }
            Action::UpgradeDatabase(_) => {
                let inside = self.inside.remove(&token);
                if inside {
                    self.schema = 2;
                    self.succeeded = true;
                }
                inside
            }
            Action::RestoreDatabase(_) => {
                if self.admitted.is_some() || !self.inside.is_empty() {
                    return broken("door_shut", "it is restored while a holder may come in");
                } else if !self.saved {
                    return broken("one_set", "it is restored and no backup is proven");
                }
                self.schema = 0;
                self.succeeded = false;
                true
            }
            Action::StageRelease(_)
            | Action::ProveNoWriters(_)
            | Action::Backup(_)
            | Action::MintCredential(_)
            | Action::JudgeSchema(_)
            | Action::Run(_) => true,
        };
        let stage = if landed { Stage::Landed } else { Stage::Refused };
        self.attempts.insert(attempt.clone(), stage);
        Ok(())
    }

    /// The ledger takes no token below the highest.
    fn claim(&mut self, token: Token) -> bool {
        let takes = self.ledger.is_none_or(|highest| token >= highest);
        if takes {
            self.closed &= self.ledger == Some(token);
            self.ledger = Some(token);
        }
        takes
    }

    /// Nothing may be left turned at the end.
    pub fn judge_end(&self, completed: bool) -> Result<(), Broken> {
        if !self.out.is_empty() || !self.open || self.admitted.is_some() {
            return broken("owed_settled", format!("out {:?}, door open {}", self.out, self.open));
        }
        let right = if completed { self.new.len() == self.services.len() } else { self.new.is_empty() };
        if !right || self.services.values().any(|service| *service != Service::Proven) {
            return broken("owed_settled", format!("releases {:?}, services {:?}", self.new, self.services));
        }
        Ok(())
    }
}
