//! What is in a SQLite file, and copies of it from the last committed snapshot.

use super::place::{BESIDE, unfit, with_suffix};
use crate::{
    backup::durable,
    database::{Answer, DatabaseCode, Refusal},
};
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

/// How long a reading waits for a writer; nobody should write while we look.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// How long moving the write-ahead log waits for whoever is in the file: it moves what it can in any case, and a frozen
/// process would never let go, in the middle of an outage.
const SETTLE_LIMIT: Duration = Duration::from_millis(500);

/// How many differences are told.
const TOLD: usize = 5;

/// A file's schema, settings and rows, comparable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// One line for each setting and each object of the schema.
    schema: Vec<String>,
    /// Count and order-independent digest of each table's rows.
    tables: BTreeMap<String, (u64, u128)>,
}

/// Opens a file that exists, for reading only.
pub fn reader(file: &Path) -> Answer<Connection> {
    // Opened for writing all the same: SQLite then tidies up its own files when the last one closes.
    let connection = open(file)?;
    connection.pragma_update(None, "query_only", true).map_err(|e| failed("open", file, &e))?;
    Ok(connection)
}

fn open(file: &Path) -> Answer<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(|e| failed("open", file, &e))?;
    connection.busy_timeout(BUSY_LIMIT).map_err(|e| failed("open", file, &e))?;
    Ok(connection)
}

/// The one value a query answers, as text; a null is an empty text.
pub fn value(file: &Path, sql: &str) -> Answer<String> {
    let connection = reader(file)?;
    let mut statement = connection.prepare(sql).map_err(|e| failed("ask", file, &e))?;
    if statement.column_count() != 1 {
        return Err(DatabaseCode::QueryShape
            .refuse(format!("the query must answer one column, it has {}", statement.column_count())));
    }
    let mut rows = statement.query([]).map_err(|e| failed("ask", file, &e))?;
    let text = match rows.next().map_err(|e| failed("ask", file, &e))? {
        Some(row) => match row.get_ref(0).map_err(|e| failed("ask", file, &e))? {
            ValueRef::Null => String::new(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            ValueRef::Blob(_) => return Err(DatabaseCode::QueryShape.refuse("the query answers a blob")),
        },
        None => return Err(DatabaseCode::QueryShape.refuse("the query answered no row")),
    };
    if rows.next().map_err(|e| failed("ask", file, &e))?.is_some() {
        return Err(DatabaseCode::QueryShape.refuse("the query answered more than one row"));
    }
    Ok(text)
}

/// Puts the last committed snapshot of `from` at `to`, whole or not at all, with the same rights and journal mode.
/// What is at `to` is replaced. Works also while a frozen process holds `from` open, unless it froze within a commit.
pub fn copy(from: &Path, to: &Path) -> Answer<()> {
    let part = with_suffix(to, ".part");
    remove(&part)?;
    let connection = open(from)?;
    let mode: String = connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .map_err(|e| failed("look at", from, &e))?;
    let name = part.to_str().ok_or_else(|| {
        DatabaseCode::DoorFiles.refuse(format!("{} is not a name SQLite can be given", part.display()))
    })?;
    connection.execute("vacuum into ?1", [name]).map_err(|e| failed("copy", from, &e))?;
    drop(connection);
    if mode.eq_ignore_ascii_case("wal") {
        let copy = open(&part)?;
        copy.pragma_update_and_check(None, "journal_mode", "wal", |_row| Ok(()))
            .map_err(|e| failed("open", &part, &e))?;
    }
    let rights = fs::metadata(from).map_err(|e| unfit("look at", from, &e))?;
    fs::set_permissions(&part, rights.permissions()).map_err(|e| unfit("set the rights of", &part, &e))?;
    keep_owner(&part, &rights)?;
    durable::sync_file(&part).map_err(|e| unfit("sync", &part, &e))?;
    for suffix in BESIDE {
        remove(&with_suffix(to, suffix))?;
        remove(&with_suffix(&part, suffix))?;
    }
    durable::rename(&part, to).map_err(|e| unfit("name", to, &e))
}

/// Moves the write-ahead log into the file, as far as whoever holds it open allows.
pub fn settle(file: &Path) -> Answer<()> {
    let connection = open(file)?;
    connection.busy_timeout(SETTLE_LIMIT).map_err(|e| failed("open", file, &e))?;
    let moved: rusqlite::Result<i64> =
        connection.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0));
    if !matches!(moved, Ok(0)) {
        tracing::info!(file = %file.display(), "the write-ahead log stays, somebody holds the file open");
    }
    Ok(())
}

/// Puts the bytes of a file nobody has open at `to`, whole or not at all.
pub fn place(from: &Path, to: &Path) -> Answer<()> {
    let part = with_suffix(to, ".part");
    remove(&part)?;
    fs::copy(from, &part).map_err(|e| unfit("copy", from, &e))?;
    durable::sync_file(&part).map_err(|e| unfit("sync", &part, &e))?;
    durable::rename(&part, to).map_err(|e| unfit("name", to, &e))
}

/// The copy belongs to whom the original belongs, as far as this agent may give it away.
fn keep_owner(file: &Path, wanted: &fs::Metadata) -> Answer<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let found = fs::metadata(file).map_err(|e| unfit("look at", file, &e))?;
    if (found.uid(), found.gid()) == (wanted.uid(), wanted.gid()) {
        return Ok(());
    }
    chown(file, Some(wanted.uid()), Some(wanted.gid())).map_err(|e| unfit("give away", file, &e))
}

/// Removes a database file with what belongs to it.
pub fn remove_database(file: &Path) -> Answer<()> {
    for suffix in [""].into_iter().chain(BESIDE) {
        remove(&with_suffix(file, suffix))?;
    }
    Ok(())
}

fn remove(file: &Path) -> Answer<()> {
    durable::remove_file_if_there(file).map_err(|e| unfit("remove", file, &e))
}

impl Content {
    /// Reads a whole file in one snapshot.
    pub fn read(file: &Path) -> Answer<Self> {
        let connection = reader(file)?;
        let wrong = |e: rusqlite::Error| failed("read", file, &e);
        connection.execute_batch("begin").map_err(wrong)?;
        let mut schema = Vec::new();
        for pragma in ["application_id", "user_version", "encoding", "auto_vacuum"] {
            let value = connection
                .pragma_query_value(None, pragma, |row| row.get_ref(0).map(|value| format!("{value:?}")))
                .map_err(wrong)?;
            schema.push(format!("{pragma} {value}"));
        }
        let mut objects = connection
            .prepare("select type, name, tbl_name, coalesce(sql, '') from sqlite_schema order by type, name")
            .map_err(wrong)?;
        let objects = objects
            .query_map([], |row| {
                let [kind, name, table, sql] =
                    [row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, String>(3)?];
                Ok([kind, name, table, sql])
            })
            .map_err(wrong)?
            .collect::<rusqlite::Result<Vec<[String; 4]>>>()
            .map_err(wrong)?;
        let mut tables = BTreeMap::new();
        for [kind, name, table, sql] in objects {
            // A virtual table keeps its rows in tables of its own, which are listed too.
            let has_rows = kind == "table"
                && !sql.get(..14).is_some_and(|head| head.eq_ignore_ascii_case("create virtual"));
            if has_rows && !name.starts_with("sqlite_stat") {
                let rows = digest(&connection, &name).map_err(wrong)?;
                tables.insert(name.clone(), rows);
            }
            schema.push(format!("{kind} {name} on {table}: {sql}"));
        }
        Ok(Self { schema, tables })
    }

    /// One text that changes when anything does.
    pub fn counter(&self) -> String {
        blake3::hash(format!("{self:?}").as_bytes()).to_hex()[..32].to_owned()
    }

    /// What was compared, for people.
    pub fn told(&self) -> String {
        let rows: u64 = self.tables.values().map(|(count, _)| count).sum();
        format!("{} lines of schema, {} tables, {rows} rows", self.schema.len(), self.tables.len())
    }

    /// The first differences; empty when both are equal.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut told: Vec<String> = Vec::new();
        told.extend(
            self.schema
                .iter()
                .filter(|line| !other.schema.contains(line))
                .map(|line| format!("only live: {line}")),
        );
        told.extend(
            other
                .schema
                .iter()
                .filter(|line| !self.schema.contains(line))
                .map(|line| format!("only restored: {line}")),
        );
        for (table, mine) in &self.tables {
            match other.tables.get(table) {
                Some(theirs) if theirs == mine => {}
                Some(theirs) => told
                    .push(format!("{table}: {} rows live, {} restored, or other values", mine.0, theirs.0)),
                None => told.push(format!("{table} is not in the restored copy")),
            }
        }
        told.truncate(TOLD);
        told
    }
}

/// Whether SQLite itself finds the file whole.
pub fn whole(file: &Path) -> Answer<()> {
    let damaged = |why: String| DatabaseCode::BackupDamaged.refuse(format!("{}: {why}", file.display()));
    let connection = reader(file)?;
    let answer: String = connection
        .query_row("pragma integrity_check(1)", [], |row| row.get(0))
        .map_err(|e| damaged(e.to_string()))?;
    if answer == "ok" { Ok(()) } else { Err(damaged(answer)) }
}

fn digest(connection: &Connection, table: &str) -> rusqlite::Result<(u64, u128)> {
    let mut statement = connection.prepare(&format!("select * from \"{}\"", table.replace('"', "\"\"")))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let (mut count, mut sum) = (0_u64, 0_u128);
    while let Some(row) = rows.next()? {
        let mut hasher = blake3::Hasher::new();
        for column in 0..columns {
            let (kind, bytes): (u8, Vec<u8>) = match row.get_ref(column)? {
                ValueRef::Null => (0, Vec::new()),
                ValueRef::Integer(number) => (1, number.to_be_bytes().to_vec()),
                ValueRef::Real(number) => (2, number.to_bits().to_be_bytes().to_vec()),
                ValueRef::Text(text) => (3, text.to_vec()),
                ValueRef::Blob(blob) => (4, blob.to_vec()),
            };
            hasher.update(&[kind]).update(&(bytes.len() as u64).to_be_bytes()).update(&bytes);
        }
        let mut first = [0_u8; 16];
        hasher.finalize_xof().fill(&mut first);
        sum = sum.wrapping_add(u128::from_be_bytes(first));
        count += 1;
    }
    Ok((count, sum))
}

pub fn failed(act: &str, file: &Path, error: &rusqlite::Error) -> Refusal {
    DatabaseCode::Statement.refuse(format!("cannot {act} {}: {error}", file.display()))
}
