//! Locks of other tools in a target database: whoever migrates it behind Lockkeeper's back, or did and left the lock.
//!
//! Nothing here is ever released by Lockkeeper. A person is told who holds it, whether they live, and what may be run.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What was seen in one database. Reading changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignLocks {
    /// Locks that are held, or were left.
    pub locks: Vec<ForeignLock>,
    /// Sessions that can write, are not ours and not declared as infrastructure. The members' own are among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writers: Vec<Writer>,
    /// What could not be read, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// One lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignLock {
    /// Whose kind of lock it is.
    pub tool: Tool,
    /// What it is, such as `table public.databasechangeloglock, row 1`.
    pub lock: String,
    /// Who holds it, as far as it tells; empty: it does not.
    pub holder: String,
    /// Since when, as the lock itself says; empty: it does not. Not every tool writes UTC.
    pub since: String,
    /// Whether the holder lives.
    pub life: Life,
    /// What says so.
    pub proof: String,
    /// The safe next step.
    pub next: String,
    /// SQL that a person may run in that database, in this order; Lockkeeper never runs it.
    pub sql: Vec<String>,
}

/// A session that can write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// Client address, `local` for a unix socket or a process of the database's host.
    pub address: String,
    /// Login; empty where there is none.
    pub login: String,
    /// What it calls itself.
    pub program: String,
    /// Since when, UTC.
    pub since: String,
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {}, program {:?}", self.address, self.program)?;
        if !self.login.is_empty() {
            write!(f, ", login {}", self.login)?;
        }
        write!(f, ", since {}", self.since)
    }
}

/// Whose lock it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// Alfresco's marker table.
    Alfresco,
    /// Liquibase's lock table.
    Liquibase,
    /// Flyway's history and its advisory lock.
    Flyway,
    /// The `dirty` flag of golang-migrate and its advisory lock.
    GolangMigrate,
    /// The advisory lock of Prisma Migrate.
    Prisma,
    /// The advisory lock of Rails' migrations.
    Rails,
    /// An advisory lock nobody here knows: a migration's, or part of the application's daily work.
    Advisory,
}

impl Tool {
    /// The word in views.
    pub const fn word(self) -> &'static str {
        match self {
            Tool::Alfresco => "alfresco",
            Tool::Liquibase => "liquibase",
            Tool::Flyway => "flyway",
            Tool::GolangMigrate => "golang-migrate",
            Tool::Prisma => "prisma",
            Tool::Rails => "rails",
            Tool::Advisory => "advisory",
        }
    }
}

/// Whether a holder lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// Its session is there.
    Alive,
    /// Proven gone.
    Dead,
    /// Neither is proven.
    Unknown,
}

impl Life {
    /// The word in views.
    pub const fn word(self) -> &'static str {
        match self {
            Life::Alive => "alive",
            Life::Dead => "dead",
            Life::Unknown => "unknown",
        }
    }
}

impl ForeignLock {
    /// Whether a rollout must not start beside it: somebody migrates, or it is not proven that nobody does. One that is
    /// left by the dead, and one that may be part of the application's daily work, is only told.
    pub const fn blocks(&self) -> bool {
        match (self.tool, self.life) {
            (Tool::Advisory, _) | (_, Life::Dead) => false,
            (_, Life::Alive | Life::Unknown) => true,
        }
    }

    /// What is held, by whom and since when, for people.
    pub fn told(&self) -> String {
        let mut text = format!("{}: {}", self.tool.word(), self.lock);
        if !self.holder.is_empty() {
            text += &format!(", held by {}", self.holder);
        }
        if !self.since.is_empty() {
            text += &format!(" since {}", self.since);
        }
        text + &format!("; its holder is {}: {}", self.life.word(), self.proof)
    }

    /// The next step with its SQL, on one line.
    pub fn remedy(&self) -> String {
        if self.sql.is_empty() { self.next.clone() } else { format!("{}: {}", self.next, self.sql.join(" ")) }
    }
}
