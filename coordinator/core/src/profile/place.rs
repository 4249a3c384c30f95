//! Which slots have a meaning at which place of a profile.

use super::template::{Runtime, Slot};

/// What is known where a template stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// One member is meant.
    pub member: bool,
    /// One database is meant.
    pub database: bool,
    /// The versions of the upgrade are known.
    pub versions: bool,
    /// What the executing host fills in.
    pub runtime: RuntimeUse,
}

/// Which run-time slots a place allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuntimeUse {
    /// None: the text is shown, logged or sent around.
    Nothing,
    /// All but the password: every process of a host can read argument lists.
    Arguments,
    /// All: environments and files of the command alone.
    Everything,
}

/// Why a slot may not stand at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Only the executing host knows it.
    Runtime,
    /// A password in an argument list.
    Password,
    /// No member is meant here.
    NoMember,
    /// No database is meant here.
    NoDatabase,
    /// The versions are not known here.
    NoVersions,
}

impl Place {
    /// Where only parameters are known: the ladder's neighbours, queries, layouts.
    pub const PLAIN: Place =
        Place { member: false, database: false, versions: false, runtime: RuntimeUse::Nothing };

    /// The same place with one member meant.
    #[must_use]
    pub const fn of_member(self) -> Self {
        Self { member: true, ..self }
    }

    /// The same place with one database meant.
    #[must_use]
    pub const fn of_database(self) -> Self {
        Self { database: true, ..self }
    }

    /// The same place with versions known.
    #[must_use]
    pub const fn with_versions(self) -> Self {
        Self { versions: true, ..self }
    }

    /// The same place with run-time slots.
    #[must_use]
    pub const fn with_runtime(self, runtime: RuntimeUse) -> Self {
        Self { runtime, ..self }
    }

    /// What is allowed at both places.
    #[must_use]
    pub fn and(self, other: Place) -> Self {
        Self {
            member: self.member && other.member,
            database: self.database && other.database,
            versions: self.versions && other.versions,
            runtime: self.runtime.min(other.runtime),
        }
    }

    /// Why this slot may not stand here.
    pub fn refuses(&self, slot: &Slot) -> Option<Refusal> {
        match slot {
            Slot::MemberName | Slot::MemberHost | Slot::MemberValue(_) => {
                (!self.member).then_some(Refusal::NoMember)
            }
            // The layout of releases may itself name the member, so both are asked for.
            Slot::Release => {
                if !self.versions {
                    Some(Refusal::NoVersions)
                } else {
                    (!self.member).then_some(Refusal::NoMember)
                }
            }
            Slot::ReleaseLink => (!self.member).then_some(Refusal::NoMember),
            Slot::Version | Slot::From | Slot::To => (!self.versions).then_some(Refusal::NoVersions),
            Slot::Database => (!self.database).then_some(Refusal::NoDatabase),
            Slot::Parameter(_) => None,
            Slot::Runtime(runtime) => match (self.runtime, runtime) {
                (RuntimeUse::Everything, _) => None,
                (RuntimeUse::Arguments, Runtime::CredentialPassword) => Some(Refusal::Password),
                (
                    RuntimeUse::Arguments,
                    Runtime::CredentialUser
                    | Runtime::CredentialFile
                    | Runtime::DatabasePath(_)
                    | Runtime::Token,
                ) => None,
                (RuntimeUse::Nothing, _) => Some(Refusal::Runtime),
            },
        }
    }
}

impl Refusal {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Refusal::Runtime => {
                "only the executing host knows it; allowed in commands, environments and files"
            }
            Refusal::Password => {
                "every process of the host can read argument lists; use the environment or a file"
            }
            Refusal::NoMember => "no single member is meant here",
            Refusal::NoDatabase => "no single database is meant here",
            Refusal::NoVersions => "the versions are not known here",
        }
    }
}
