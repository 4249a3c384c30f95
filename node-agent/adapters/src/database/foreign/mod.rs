//! Locks of other migration tools: told from what an engine showed, one tool a file. Pure; how an engine is asked stands
//! in its own folder.
//!
//! A holder is *alive* only when its session was seen, *dead* only when no session that could be it is there, and
//! *unknown* otherwise: who runs the SQL of a lock that is called dead relies on that.

mod advisory;
mod alfresco;
mod flyway;
mod golang_migrate;
mod liquibase;
mod moment;

use lockkeeper_core::observe::{ForeignLock, ForeignLocks, Life, Tool, Writer};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Names of tables that are looked at, in lower case; a table counts whatever the case of its name.
pub const NAMES: [&str; 5] =
    [alfresco::NAME, liquibase::NAME, flyway::NAMES[0], flyway::NAMES[1], golang_migrate::NAME];
/// Rows of one table that are read: more than any product has migrations.
pub const ROWS: usize = 10_000;
/// Sessions told as writers, and locks of one database: enough to see what is wrong.
const TOLD: usize = 100;
/// Sessions named in one sentence.
const NAMED: usize = 3;

/// One row by column.
pub type Row = Map<String, Value>;

/// A table whose name is one of [`NAMES`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Its schema; empty where an engine has none.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// Its rows, at most [`ROWS`]; none were read of a mere marker.
    pub rows: Vec<Row>,
    /// When it was made, where the engine knows.
    pub made: String,
    /// Sessions that hold a lock on it for writing, by id.
    pub busy: BTreeSet<String>,
}

/// A session in the database that is not ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// The engine's number of it: a server process, or a process of this host.
    pub id: String,
    /// Who and from where.
    pub address: String,
    /// Login.
    pub login: String,
    /// What it calls itself.
    pub program: String,
    /// Since when, UTC; empty if unknown.
    pub since: String,
    /// Whether it could hold a lock: it can write, or that is not known, and nobody declared it.
    pub writes: bool,
    /// Whether it changes the schema right now.
    pub alters: bool,
}

/// The key of an advisory lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// One number.
    One(i64),
    /// Two numbers.
    Two(i32, i32),
}

/// An advisory lock that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisory {
    /// Its key.
    pub key: Key,
    /// Who holds it; none: a prepared transaction.
    pub session: Option<Session>,
    /// How many wait for it.
    pub waiting: usize,
}

/// What else is known of the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around {
    /// Its name.
    pub database: String,
    /// Everybody's sessions but ours.
    pub sessions: Vec<Session>,
    /// Why the sessions seen may not be all, or not all be known.
    pub blind: Option<String>,
    /// Advisory locks that are held; none: the engine has no such thing.
    pub advisory: Option<Vec<Advisory>>,
    /// Whether sessions can be asked for, and ended, by SQL.
    pub sql_sessions: bool,
}

/// Whether rows of a table called so are wanted; of a marker its being there is all.
pub fn reads_rows(name: &str) -> bool {
    !name.eq_ignore_ascii_case(alfresco::NAME)
}

/// Every lock, with who could have made them. `unread` is what the engine's side could not read.
pub fn look(tables: &[Table], around: &Around, unread: Vec<String>) -> ForeignLocks {
    let mut seen = ForeignLocks { unread, ..ForeignLocks::default() };
    for table in tables {
        let told = match table.name.to_lowercase().as_str() {
            alfresco::NAME => Ok(alfresco::locks(table, around)),
            liquibase::NAME => liquibase::locks(table, around),
            golang_migrate::NAME => Ok(golang_migrate::locks(table, around)),
            _ => Ok(flyway::locks(table, around)),
        };
        match told {
            Ok(locks) => seen.locks.extend(locks),
            Err(why) => seen.unread.push(format!("table {}: {why}", table.told())),
        }
        if table.rows.len() >= ROWS {
            seen.unread.push(format!("table {}: only its first {ROWS} rows were read", table.told()));
        }
    }
    seen.locks.extend(advisory::locks(tables, around));
    seen.locks.truncate(TOLD);
    seen.writers = around.sessions.iter().filter(|s| s.writes).take(TOLD).map(Session::writer).collect();
    seen
}

impl Table {
    /// For people.
    fn told(&self) -> String {
        if self.schema.is_empty() { self.name.clone() } else { format!("{}.{}", self.schema, self.name) }
    }

    /// For SQL.
    fn quoted(&self) -> String {
        if self.schema.is_empty() {
            name(&self.name)
        } else {
            format!("{}.{}", name(&self.schema), name(&self.name))
        }
    }

    /// The column of this name, however it is written.
    fn column(&self, wanted: &str) -> Option<&str> {
        self.columns.iter().map(String::as_str).find(|column| column.eq_ignore_ascii_case(wanted))
    }

    /// The value of a column in a row; none also for a null and for a column that is not there.
    fn value<'a>(&self, row: &'a Row, wanted: &str) -> Option<&'a Value> {
        row.get(self.column(wanted)?).filter(|value| !value.is_null())
    }

    /// The same as text.
    fn text(&self, row: &Row, wanted: &str) -> String {
        self.value(row, wanted).map(plain).unwrap_or_default()
    }

    /// `column = value` for the columns that are there, joined.
    fn conditions(&self, row: &Row, wanted: &[&str]) -> String {
        let one = |wanted: &&str| {
            Some(format!("{} = {}", name(self.column(wanted)?), literal(self.value(row, wanted)?)))
        };
        wanted.iter().filter_map(one).collect::<Vec<_>>().join(" AND ")
    }
}

impl Session {
    fn writer(&self) -> Writer {
        Writer {
            address: self.address.clone(),
            login: self.login.clone(),
            program: self.program.clone(),
            since: self.since.clone(),
        }
    }

    /// For people.
    fn told(&self) -> String {
        if self.address.is_empty() {
            format!("session {}", self.id)
        } else {
            format!("session {} ({})", self.id, self.writer())
        }
    }
}

/// Whether the holder of a lock of a table lives: `named` are the sessions its text points to, `could` those that could
/// be it at all.
fn life<'a>(
    around: &'a Around,
    table: &Table,
    named: &[&'a Session],
    could: &[&'a Session],
) -> (Life, String, Vec<&'a Session>) {
    let works = |s: &&Session| table.busy.contains(&s.id) || (s.alters && s.writes);
    let working: Vec<&Session> = around.sessions.iter().filter(works).collect();
    if !working.is_empty() {
        return (Life::Alive, format!("{} works on the schema right now", listed(&working)), working);
    }
    if !named.is_empty() {
        return (Life::Alive, format!("{} is there", listed(named)), named.to_vec());
    }
    if let Some(why) = &around.blind {
        return (Life::Unknown, format!("not every session can be looked at: {why}"), Vec::new());
    }
    if could.is_empty() {
        return (Life::Dead, "no session that could hold it is in the database".to_owned(), Vec::new());
    }
    (Life::Unknown, format!("any of these could hold it: {}", listed(could)), could.to_vec())
}

fn listed(sessions: &[&Session]) -> String {
    let mut told: Vec<String> = sessions.iter().take(NAMED).map(|s| s.told()).collect();
    if sessions.len() > NAMED {
        told.push(format!("and {} more", sessions.len() - NAMED));
    }
    told.join("; ")
}

/// Those who could hold a lock that names nobody.
fn writers(around: &Around) -> Vec<&Session> {
    around.sessions.iter().filter(|s| s.writes).collect()
}

/// What to do about a lock whose holder is not proven gone: wait for it or stop it, and look again.
fn not_dead(around: &Around, life: Life, sessions: &[&Session]) -> (String, Vec<String>) {
    let sessions = &sessions[..sessions.len().min(NAMED)];
    let (first, force) = match life {
        Life::Alive => ("let it finish, or stop it where it runs", true),
        Life::Unknown | Life::Dead => {
            ("find out whether one of them migrates, and stop those that do where they run", false)
        }
    };
    let mut next = format!("{first}; then look again with lockkeeper locks");
    if !around.sql_sessions || sessions.is_empty() {
        return (next, Vec::new());
    }
    let numbers: Vec<&str> = sessions.iter().map(|s| s.id.as_str()).collect();
    let mut sql = vec![format!(
        "SELECT pid, usename, client_addr, application_name, state, xact_start, query FROM pg_stat_activity WHERE pid IN ({});",
        numbers.join(", ")
    )];
    if let (true, [only]) = (force, sessions)
        && !only.since.is_empty()
    {
        // A process number is used again; the second of its start is not.
        sql.push(format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {} AND date_trunc('second', backend_start) = {};",
            only.id,
            text(&only.since)
        ));
        next += ". The first statement shows what it does; the second ends it by force, which is for one that hangs or \
                 whose host is gone";
    }
    (next, sql)
}

/// A name, quoted.
fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A text, quoted.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A value as SQL.
fn literal(value: &Value) -> String {
    match value {
        Value::Bool(true) => "TRUE".to_owned(),
        Value::Bool(false) => "FALSE".to_owned(),
        Value::Number(number) => number.to_string(),
        other => text(&plain(other)),
    }
}

/// A value as it reads.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a column says yes; engines and products differ in how. None: neither yes nor no.
fn truth(value: Option<&Value>) -> Option<bool> {
    match plain(value?).trim().to_lowercase().as_str() {
        "true" | "t" | "1" | "y" | "yes" => Some(true),
        "false" | "f" | "0" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// The opposite in the column's own manner.
fn no_like(value: Option<&Value>) -> &'static str {
    match value {
        Some(Value::Number(_)) => "0",
        Some(Value::String(_)) => "'0'",
        _ => "FALSE",
    }
}

#[cfg(test)]
mod tests;
