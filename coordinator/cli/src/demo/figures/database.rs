//! What the databases of a finished demo say: upgrades, misuse, and whether every acknowledged note is there.

use crate::demo::client::Record;
use anyhow::Context as _;
use lockkeeper_core::ids::MemberName;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The live database, and what was cut off beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Database {
    /// The schema's version.
    pub schema: i64,
    /// Upgrades begun and ended on the live database.
    pub database_upgrades: u64,
    /// Upgrades begun on the live database.
    pub attempts: u64,
    /// Who ended the last upgrade.
    pub upgrader: Option<MemberName>,
    /// The tokens of the ended upgrades, in order.
    pub tokens: Vec<Option<String>>,
    /// Misuse found by the application itself.
    pub corruption: Vec<String>,
    /// Notes acknowledged or seeded that are not there.
    pub rows_lost: u64,
    /// Files behind a shut door, and what was written to them after they were cut off.
    pub fenced: Vec<Fenced>,
}

/// A database file that was renamed away from under its holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fenced {
    /// Its name.
    pub file: String,
    /// Upgrades that ended there: diverted, not lost in the live one.
    pub upgrades: u64,
}

struct AuditRow {
    member: MemberName,
    pid: u32,
    token: Option<String>,
    what: String,
}

impl Database {
    /// Reads the directory `db`; the live database is what `current` points to.
    pub fn read(db: &Path, records: &[&Record]) -> anyhow::Result<Self> {
        let live = live_file(db)?;
        Self::of(&live, db, records).with_context(|| format!("in {}", live.display()))
    }

    fn of(live: &Path, db: &Path, records: &[&Record]) -> anyhow::Result<Self> {
        let connection = open(live)?;
        let audit = audit(&connection)?;
        let ended = ended(&audit);
        let corruption = connection
            .prepare("select member || ': ' || found from corruption order by id")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let schema = connection.query_row("select version from schema_version", [], |row| row.get(0))?;
        Ok(Self {
            schema,
            database_upgrades: ended.len() as u64,
            attempts: audit.iter().filter(|row| row.what == "upgrade-begin").count() as u64,
            upgrader: ended.last().map(|row| row.member.clone()),
            tokens: ended.iter().map(|row| row.token.clone()).collect(),
            corruption,
            rows_lost: seeded_lost(&connection)? + acknowledged_lost(&connection, schema, records)?,
            fenced: fenced(db)?,
        })
    }
}

/// The live database: what `current` points to, or, while a door is shut, the newest file that was not cut off.
pub fn live_file(db: &Path) -> anyhow::Result<PathBuf> {
    if let Ok(live) = std::fs::canonicalize(db.join("current")) {
        return Ok(live);
    }
    let mut newest = None;
    for entry in std::fs::read_dir(db).with_context(|| format!("cannot list {}", db.display()))? {
        let path = entry?.path();
        let database = path.extension().is_some_and(|end| end == "db") && !path.ends_with("ledger.db");
        if database {
            newest = newest.max(Some((std::fs::metadata(&path)?.modified()?, path)));
        }
    }
    newest.map(|(_, path)| path).with_context(|| format!("there is no database in {}", db.display()))
}

fn open(path: &Path) -> anyhow::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("cannot open {}", path.display()))
}

fn audit(connection: &Connection) -> anyhow::Result<Vec<AuditRow>> {
    let mut select = connection.prepare("select member, pid, token, what from audit order by id")?;
    let mut rows = select.query([])?;
    let mut audit = Vec::new();
    while let Some(row) = rows.next()? {
        let member = MemberName::new(row.get::<_, String>(0)?).context("in an audit row")?;
        audit.push(AuditRow { member, pid: row.get(1)?, token: row.get(2)?, what: row.get(3)? });
    }
    Ok(audit)
}

/// The rows that end an upgrade which the same process began under the same token.
fn ended(audit: &[AuditRow]) -> Vec<&AuditRow> {
    let mut open: Vec<&AuditRow> = Vec::new();
    let mut ended = Vec::new();
    for row in audit {
        match row.what.as_str() {
            "upgrade-begin" => open.push(row),
            "upgrade-end" => {
                let begun = open.iter().position(|begun| {
                    (&begun.member, begun.pid, &begun.token) == (&row.member, row.pid, &row.token)
                });
                if let Some(begun) = begun {
                    open.remove(begun);
                    ended.push(row);
                }
            }
            _ => {}
        }
    }
    ended
}

fn seeded_lost(connection: &Connection) -> anyhow::Result<u64> {
    let lost: i64 = connection.query_row(
        "select value - (select count(*) from notes where id <= value) from settings where name = 'seeded'",
        [],
        |row| row.get(0),
    )?;
    Ok(u64::try_from(lost).unwrap_or(0))
}

fn acknowledged_lost(connection: &Connection, schema: i64, records: &[&Record]) -> anyhow::Result<u64> {
    let title = match schema {
        1 => "substr(text, 1, instr(text, char(10)) - 1)",
        _ => "title",
    };
    let mut select = connection.prepare(&format!("select {title} from notes where id = ?1"))?;
    let mut lost = 0;
    for record in records {
        let Some(id) = record.id else { continue };
        let found: Option<String> = select.query_row([id], |row| row.get(0)).optional()?;
        lost += u64::from(found != record.title);
    }
    Ok(lost)
}

fn fenced(db: &Path) -> anyhow::Result<Vec<Fenced>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(db).with_context(|| format!("cannot list {}", db.display()))? {
        files.push(entry?.path());
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "fenced"));
    files.sort();
    let mut fenced = Vec::new();
    for path in files {
        // `-wal` and `-shm` are renamed as well and end in `.fenced` too, but are no databases.
        let Ok(audit) = open(&path).and_then(|connection| audit(&connection)) else { continue };
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        fenced.push(Fenced { file, upgrades: ended(&audit).len() as u64 });
    }
    Ok(fenced)
}
