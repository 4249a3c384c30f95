//! The shared database: how it is opened, and the tables both schemas have. Knows nothing about notes.

use super::journal::Who;
use crate::demo::clock::unix_ms;
use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use std::path::Path;
use std::time::Duration;

/// How long a statement waits for another process's transaction. The longest of ours is one batch of the
/// migration, some 20 ms; a slow disk and two busy cores are the reason for the rest.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// The tables that do not change between the schemas. `upgrade` has a row while a migration is open; its
/// columns `done` and `total` are the progress. `judge` is what a profile's probe asks: one row, one word.
pub const COMMON_TABLES: &str = "
    create table schema_version (version integer not null);
    create table settings (name text primary key, value integer not null) without rowid;
    create table audit (
        id integer primary key autoincrement,
        at integer not null, member text not null, pid integer not null, version text not null, token text,
        what text not null, detail text not null
    );
    create table corruption (
        id integer primary key autoincrement,
        at integer not null, member text not null, pid integer not null, version text not null, token text,
        found text not null
    );
    create table upgrade (
        run text not null, member text not null, pid integer not null, token text,
        last_id integer not null, done integer not null, total integer not null
    );
    create view judge as select case
        when (select count(*) from upgrade) > 0 then 'touched'
        when (select max(version) from schema_version) >= 2 then 'finished'
        else 'untouched' end as verdict;
";

/// What an audit row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The application started to serve.
    Start,
    /// The migration begins; committed before anything else of it.
    UpgradeBegin,
    /// The migration is done; committed together with the new schema version.
    UpgradeEnd,
    /// A migration found nothing to do.
    UpgradeNoop,
    /// A note was written; committed together with the note.
    Write,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            What::Start => "start",
            What::UpgradeBegin => "upgrade-begin",
            What::UpgradeEnd => "upgrade-end",
            What::UpgradeNoop => "upgrade-noop",
            What::Write => "write",
        }
    }
}

/// Opens an existing database; a missing one is an error, never a new one.
pub fn open(path: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .with_context(|| format!("cannot open the database {}", path.display()))?;
    prepare(&connection).with_context(|| format!("cannot prepare the database {}", path.display()))?;
    Ok(connection)
}

/// Sets what every connection needs: WAL, and a commit that is on the disk before it is acknowledged.
pub fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_LIMIT)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")
}

/// One number from `settings`.
pub fn setting(connection: &Connection, name: &str) -> anyhow::Result<u32> {
    connection
        .query_row("select value from settings where name = ?1", [name], |row| row.get(0))
        .with_context(|| format!("cannot read the setting {name:?}"))
}

/// The schema's version, or none if the row is missing.
pub fn schema_version(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    connection.query_row("select version from schema_version", [], |row| row.get(0)).optional()
}

/// Adds an audit row.
pub fn audit(connection: &Connection, who: &Who, what: What, detail: &str) -> rusqlite::Result<()> {
    connection.execute(
        "insert into audit (at, member, pid, version, token, what, detail) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![now(), who.member.as_str(), who.pid, who.version.as_str(), who.token, what.as_str(), detail],
    )?;
    Ok(())
}

/// Adds a row that says which misuse was found, and by whom.
pub fn corrupt(connection: &Connection, who: &Who, found: &str) -> rusqlite::Result<()> {
    connection.execute(
        "insert into corruption (at, member, pid, version, token, found) values (?1, ?2, ?3, ?4, ?5, ?6)",
        params![now(), who.member.as_str(), who.pid, who.version.as_str(), who.token, found],
    )?;
    Ok(())
}

/// SQLite's integers are signed.
pub fn now() -> i64 {
    i64::try_from(unix_ms()).unwrap_or(i64::MAX)
}
