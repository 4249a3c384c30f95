//! Reason and error codes of the database adapters. Each has a page in `deploy/errors/`, paired by a test.
//!
//! Knows nothing about engines: a code says what is wrong, the text beside it says where.

use super::evidence;
use lockkeeper_agent::host::{Blocked, Failure, Postcheck, Precheck};

/// Why a database adapter says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DatabaseCode {
    /// A higher token was seen at this database.
    StaleToken,
    /// Somebody unknown has a session and can write.
    ForgottenNode,
    /// A prepared transaction waits in the database.
    PreparedTransaction,
    /// The ledger knows this database at another place.
    TwinDatabase,
    /// Another group holds the grant or the door.
    ForeignGroup,
    /// An earlier grant of this group is not closed.
    GrantStillOpen,
    /// This grant was closed; a closed grant never opens again.
    GrantClosed,
    /// The door is not shut by this group.
    DoorNotShut,
    /// A superuser who is not ours could enter.
    Superuser,
    /// The captured value is larger than the log may hold.
    CapturedTooLarge,
    /// A session appeared after the door was shut.
    StrangerAfterShut,
    /// The verifier is missing or not a SCRAM-SHA-256 verifier.
    Verifier,
    /// The minted login's name is taken or too long.
    LoginName,
    /// The owner role could open the door itself.
    MightyOwner,
    /// An instance does not answer.
    Unreachable,
    /// There is not exactly one primary.
    Primary,
    /// The administrator's login is missing or may not do what is needed.
    Admin,
    /// A statement failed.
    Statement,
    /// A query did not answer exactly one value.
    QueryShape,
    /// A program of the engine failed.
    Program,
    /// A backup set is incomplete or altered.
    BackupDamaged,
    /// The restored set differs from the live database.
    BackupDiffers,
    /// Something was written after the backup was taken.
    WrittenSinceBackup,
    /// The place for backup sets cannot be used.
    BackupPlace,
    /// A secret cannot be resolved, made or kept.
    Secret,
    /// Sessions could not be ended.
    SessionsRemain,
    /// What was given back does not equal what was captured.
    NotReturned,
    /// The engine has no such door or action.
    Unsupported,
    /// Another primary, or another timeline, since the grant was opened.
    PrimaryChanged,
    /// The link or the files of a `path-per-epoch` door are not as the ledger says.
    DoorFiles,
    /// The ledger cannot be read or written.
    Ledger,
    /// The grant's secret is not on this host.
    NoCredential,
    /// The executor is the holder.
    ExecutorIsHolder,
    /// A login can enter although the door is shut.
    DoorLeaks,
    /// A file of a backup set is shorter than it was.
    BackupTruncated,
    /// A file of a backup set has other bytes.
    BackupAltered,
    /// Parts of two backup sets.
    BackupMixed,
    /// A backup set was not proven in this rollout.
    BackupUnproven,
    /// The last effect in the ledger is of another group under the same name.
    TwinGroup,
}

impl DatabaseCode {
    /// Every code, in the order of its number.
    pub const ALL: [DatabaseCode; 39] = [
        DatabaseCode::StaleToken,
        DatabaseCode::ForgottenNode,
        DatabaseCode::PreparedTransaction,
        DatabaseCode::TwinDatabase,
        DatabaseCode::ForeignGroup,
        DatabaseCode::GrantStillOpen,
        DatabaseCode::GrantClosed,
        DatabaseCode::DoorNotShut,
        DatabaseCode::Superuser,
        DatabaseCode::CapturedTooLarge,
        DatabaseCode::StrangerAfterShut,
        DatabaseCode::Verifier,
        DatabaseCode::LoginName,
        DatabaseCode::MightyOwner,
        DatabaseCode::Unreachable,
        DatabaseCode::Primary,
        DatabaseCode::Admin,
        DatabaseCode::Statement,
        DatabaseCode::QueryShape,
        DatabaseCode::Program,
        DatabaseCode::BackupDamaged,
        DatabaseCode::BackupDiffers,
        DatabaseCode::WrittenSinceBackup,
        DatabaseCode::BackupPlace,
        DatabaseCode::Secret,
        DatabaseCode::SessionsRemain,
        DatabaseCode::NotReturned,
        DatabaseCode::Unsupported,
        DatabaseCode::PrimaryChanged,
        DatabaseCode::DoorFiles,
        DatabaseCode::Ledger,
        DatabaseCode::NoCredential,
        DatabaseCode::ExecutorIsHolder,
        DatabaseCode::DoorLeaks,
        DatabaseCode::BackupTruncated,
        DatabaseCode::BackupAltered,
        DatabaseCode::BackupMixed,
        DatabaseCode::BackupUnproven,
        DatabaseCode::TwinGroup,
    ];

    /// The code as it is shown, and the name of its page.
    pub const fn as_str(self) -> &'static str {
        match self {
            DatabaseCode::StaleToken => "LK5201",
            DatabaseCode::ForgottenNode => "LK5202",
            DatabaseCode::PreparedTransaction => "LK5203",
            DatabaseCode::TwinDatabase => "LK5204",
            DatabaseCode::ForeignGroup => "LK5205",
            DatabaseCode::GrantStillOpen => "LK5206",
            DatabaseCode::GrantClosed => "LK5207",
            DatabaseCode::DoorNotShut => "LK5208",
            DatabaseCode::Superuser => "LK5209",
            DatabaseCode::CapturedTooLarge => "LK5210",
            DatabaseCode::StrangerAfterShut => "LK5211",
            DatabaseCode::Verifier => "LK5212",
            DatabaseCode::LoginName => "LK5213",
            DatabaseCode::MightyOwner => "LK5214",
            DatabaseCode::Unreachable => "LK5215",
            DatabaseCode::Primary => "LK5216",
            DatabaseCode::Admin => "LK5217",
            DatabaseCode::Statement => "LK5218",
            DatabaseCode::QueryShape => "LK5219",
            DatabaseCode::Program => "LK5220",
            DatabaseCode::BackupDamaged => "LK5221",
            DatabaseCode::BackupDiffers => "LK5222",
            DatabaseCode::WrittenSinceBackup => "LK5223",
            DatabaseCode::BackupPlace => "LK5224",
            DatabaseCode::Secret => "LK5225",
            DatabaseCode::SessionsRemain => "LK5226",
            DatabaseCode::NotReturned => "LK5227",
            DatabaseCode::Unsupported => "LK5228",
            DatabaseCode::PrimaryChanged => "LK5229",
            DatabaseCode::DoorFiles => "LK5230",
            DatabaseCode::Ledger => "LK5231",
            DatabaseCode::NoCredential => "LK5232",
            DatabaseCode::ExecutorIsHolder => "LK5233",
            DatabaseCode::DoorLeaks => "LK5234",
            DatabaseCode::BackupTruncated => "LK5235",
            DatabaseCode::BackupAltered => "LK5236",
            DatabaseCode::BackupMixed => "LK5237",
            DatabaseCode::BackupUnproven => "LK5238",
            DatabaseCode::TwinGroup => "LK5239",
        }
    }

    /// The word of the code, as design and logs use it.
    pub const fn word(self) -> &'static str {
        match self {
            DatabaseCode::StaleToken => "stale-token",
            DatabaseCode::ForgottenNode => "forgotten-node",
            DatabaseCode::PreparedTransaction => "prepared-transaction",
            DatabaseCode::TwinDatabase => "twin-database",
            DatabaseCode::ForeignGroup => "foreign-group",
            DatabaseCode::GrantStillOpen => "grant-still-open",
            DatabaseCode::GrantClosed => "grant-closed",
            DatabaseCode::DoorNotShut => "door-not-shut",
            DatabaseCode::Superuser => "superuser-can-enter",
            DatabaseCode::CapturedTooLarge => "captured-too-large",
            DatabaseCode::StrangerAfterShut => "stranger-after-shut",
            DatabaseCode::Verifier => "verifier",
            DatabaseCode::LoginName => "login-name",
            DatabaseCode::MightyOwner => "mighty-owner",
            DatabaseCode::Unreachable => "database-unreachable",
            DatabaseCode::Primary => "primary",
            DatabaseCode::Admin => "administrator",
            DatabaseCode::Statement => "statement-failed",
            DatabaseCode::QueryShape => "query-shape",
            DatabaseCode::Program => "program-failed",
            DatabaseCode::BackupDamaged => "backup-damaged",
            DatabaseCode::BackupDiffers => "backup-differs",
            DatabaseCode::WrittenSinceBackup => "written-since-backup",
            DatabaseCode::BackupPlace => "backup-place",
            DatabaseCode::Secret => "secret",
            DatabaseCode::SessionsRemain => "sessions-remain",
            DatabaseCode::NotReturned => "not-returned",
            DatabaseCode::Unsupported => "unsupported",
            DatabaseCode::PrimaryChanged => "primary-changed",
            DatabaseCode::DoorFiles => "door-files",
            DatabaseCode::Ledger => "ledger",
            DatabaseCode::NoCredential => "no-credential",
            DatabaseCode::ExecutorIsHolder => "executor-is-holder",
            DatabaseCode::DoorLeaks => "door-leaks",
            DatabaseCode::BackupTruncated => "backup-truncated",
            DatabaseCode::BackupAltered => "backup-altered",
            DatabaseCode::BackupMixed => "backup-mixed",
            DatabaseCode::BackupUnproven => "backup-unproven",
            DatabaseCode::TwinGroup => "twin-group",
        }
    }

    /// What can be done about it, when somebody else must act before the step can go on. `None`: waiting and looking
    /// again would not help, so the attempt fails.
    pub const fn remedy(self) -> Option<&'static str> {
        match self {
            DatabaseCode::ForgottenNode => {
                Some("stop what holds the session, or permit it: lockkeeper exclude --address A --reason R")
            }
            DatabaseCode::PreparedTransaction => {
                Some("COMMIT PREPARED or ROLLBACK PREPARED it in the database")
            }
            DatabaseCode::TwinDatabase => Some(
                "one of two copies is looked at; point the cluster file at the right one, or accept the move in the ledger",
            ),
            DatabaseCode::ForeignGroup => Some("let the other group finish or close its grant"),
            DatabaseCode::Superuser => Some(
                "declare the login under `infrastructure` of the database, or take LOGIN or SUPERUSER from it",
            ),
            DatabaseCode::MightyOwner => Some(
                "give the database to a role that is neither superuser nor CREATEROLE, or name such an `owner`",
            ),
            DatabaseCode::Unreachable => Some("bring the instance back, or take it out of `instances`"),
            DatabaseCode::Primary => Some("settle which instance is the primary, then it goes on by itself"),
            DatabaseCode::BackupPlace => Some("make room or give the agent the right to write there"),
            DatabaseCode::StaleToken
            | DatabaseCode::GrantStillOpen
            | DatabaseCode::GrantClosed
            | DatabaseCode::DoorNotShut
            | DatabaseCode::CapturedTooLarge
            | DatabaseCode::StrangerAfterShut
            | DatabaseCode::Verifier
            | DatabaseCode::LoginName
            | DatabaseCode::Admin
            | DatabaseCode::Statement
            | DatabaseCode::QueryShape
            | DatabaseCode::Program
            | DatabaseCode::BackupDamaged
            | DatabaseCode::BackupDiffers
            | DatabaseCode::WrittenSinceBackup
            | DatabaseCode::Secret
            | DatabaseCode::SessionsRemain
            | DatabaseCode::NotReturned
            | DatabaseCode::Unsupported
            | DatabaseCode::PrimaryChanged
            | DatabaseCode::DoorFiles
            | DatabaseCode::Ledger
            | DatabaseCode::NoCredential
            | DatabaseCode::ExecutorIsHolder
            | DatabaseCode::DoorLeaks
            | DatabaseCode::BackupTruncated
            | DatabaseCode::BackupAltered
            | DatabaseCode::BackupMixed
            | DatabaseCode::BackupUnproven
            | DatabaseCode::TwinGroup => None,
        }
    }

    /// A refusal with this code.
    pub fn refuse(self, text: impl Into<String>) -> Refusal {
        Refusal { code: self, text: text.into() }
    }
}

impl std::fmt::Display for DatabaseCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A no with its code; the text says what was attempted, expected and found, and never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} ({}): {text}", code.as_str(), code.word())]
pub struct Refusal {
    /// Which one.
    pub code: DatabaseCode,
    /// A sentence for the operator.
    pub text: String,
}

/// What the adapters answer inside.
pub type Answer<T> = Result<T, Refusal>;

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure {
            code: refusal.code.as_str().to_owned(),
            text: evidence::clip(format!("{}: {}", refusal.code.word(), refusal.text)),
        }
    }
}

impl Refusal {
    /// As the answer of a look before the effect: blocked when somebody else can mend it, refused by name where another
    /// group acts, otherwise unknown.
    pub fn into_precheck(self) -> Precheck {
        if self.code == DatabaseCode::TwinGroup {
            return Precheck::Refused(self.into());
        }
        match self.code.remedy() {
            Some(remedy) => Precheck::Blocked(Blocked {
                code: self.code.as_str().to_owned(),
                text: evidence::clip(format!("{}: {}", self.code.word(), self.text)),
                remedy: remedy.to_owned(),
            }),
            None => Precheck::Unknown(evidence::clip(self.to_string())),
        }
    }

    /// As the answer of a look after the effect. What a later look may find mended is not yet a refutation.
    pub fn into_postcheck(self) -> Postcheck {
        if matches!(self.code, DatabaseCode::Unreachable | DatabaseCode::Primary) {
            Postcheck::NotYet(self.to_string())
        } else {
            Postcheck::Refuted(self.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs, path::Path};

    #[test]
    fn codes_and_pages_are_paired() {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/errors");
        let codes: BTreeSet<String> = DatabaseCode::ALL.iter().map(|code| code.as_str().to_owned()).collect();
        assert_eq!(codes.len(), DatabaseCode::ALL.len(), "two codes share a number");
        let words: BTreeSet<&str> = DatabaseCode::ALL.iter().map(|code| code.word()).collect();
        assert_eq!(words.len(), DatabaseCode::ALL.len(), "two codes share a word");
        for code in DatabaseCode::ALL {
            let page = fs::read_to_string(pages.join(format!("{code}.md"))).unwrap_or_default();
            assert!(
                page.starts_with(&format!("# {code}: {}", code.word())),
                "{code} must begin with its word"
            );
            for part in ["**Meaning.**", "**Cause.**", "**Remedy.**"] {
                assert!(page.contains(part), "{code} lacks {part}");
            }
        }
        let written: BTreeSet<String> = fs::read_dir(&pages)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".md").map(str::to_owned))
            .filter(|name| name.starts_with("LK52"))
            .collect();
        assert_eq!(written, codes);
    }

    #[test]
    fn the_list_holds_every_variant() {
        let arms = include_str!("code.rs").lines().filter(|line| line.contains("=> \"LK52")).count();
        assert_eq!(arms, DatabaseCode::ALL.len(), "a variant is missing in ALL");
    }

    #[test]
    fn what_somebody_else_can_mend_blocks_and_the_rest_is_unknown() {
        for code in DatabaseCode::ALL {
            match (code.remedy(), code.refuse("x").into_precheck()) {
                (Some(_), Precheck::Blocked(blocked)) => assert_eq!(blocked.code, code.as_str()),
                (None, Precheck::Refused(failure)) if code == DatabaseCode::TwinGroup => {
                    assert_eq!(failure.code, code.as_str());
                }
                (None, Precheck::Unknown(text)) => assert!(text.starts_with(code.as_str())),
                (remedy, answer) => panic!("{code}: {remedy:?} {answer:?}"),
            }
        }
    }
}
