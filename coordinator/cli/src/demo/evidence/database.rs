//! What the live database and the backup say of who wrote when. Opens copies' and originals' files read-only.

use anyhow::Context as _;
use lockkeeper_core::plan::{Action, Plan};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// One row of the application's audit, in the order of commits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AuditRow {
    /// Its number.
    pub id: i64,
    /// When, Unix milliseconds.
    pub at: u64,
    /// Who.
    pub member: String,
    /// Which process.
    pub pid: u32,
    /// As which version.
    pub version: String,
    /// Under which token.
    pub token: Option<String>,
    /// What.
    pub what: String,
}

/// The live database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Its file.
    pub file: String,
    /// The schema's version.
    pub schema: i64,
    /// Who did what.
    pub audit: Vec<AuditRow>,
    /// Misuse the application found.
    pub corruption: Vec<String>,
}

/// The plan's backup set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its name.
    pub set: String,
    /// Whether a proof by restore lies beside it.
    pub proven: bool,
    /// The schema's version in it.
    pub schema: i64,
    /// The last audit row in it: everything up to there was saved.
    pub last_row: i64,
}

/// A file in which an upgrade began and that was cut off before it ended on the live database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutOff {
    /// Its name.
    pub file: String,
    /// The upgrade's run.
    pub run: String,
    /// Under which token.
    pub token: Option<String>,
    /// Notes it had migrated in the end.
    pub done: u64,
    /// Whether it came to its end there.
    pub ended: bool,
}

impl CutOff {
    /// Reads every fenced file of a directory in which an upgrade began. A file that several of them were copied from
    /// says so of the last upgrade in it.
    pub fn all(db: &Path) -> anyhow::Result<Vec<Self>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(db).with_context(|| format!("cannot list {}", db.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "fenced") {
                let head = std::fs::read(&path).unwrap_or_default();
                if head.starts_with(b"SQLite format 3") {
                    all.extend(Self::read(&path).with_context(|| format!("in {}", path.display()))?);
                }
            }
        }
        all.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(all)
    }

    fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let connection = open(path)?;
        let begun = "select detail, token from audit where what = 'upgrade-begin' order by id desc limit 1";
        let begun = connection.query_row(begun, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((run, token)) = begun else { return Ok(None) };
        let left: Option<i64> =
            connection.query_row("select done from upgrade", [], |row| row.get(0)).optional()?;
        let done: i64 = match left {
            Some(done) => done,
            None => connection.query_row("select count(*) from notes", [], |row| row.get(0))?,
        };
        let done = u64::try_from(done).unwrap_or(0);
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Some(Self { file, run, token, done, ended: left.is_none() }))
    }
}

impl Live {
    /// Reads the live database of a directory.
    pub fn read(db: &Path) -> anyhow::Result<Self> {
        let path = crate::demo::figures::live_file(db)?;
        let connection = open(&path)?;
        let corruption = connection
            .prepare("select member || ': ' || found from corruption order by id")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(Self {
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            schema: schema(&connection)?,
            audit: audit(&connection)?,
            corruption,
        })
    }
}

impl Backup {
    /// Finds the set the plan names.
    pub fn of(backups: &Path, plan: &Plan) -> anyhow::Result<Option<Self>> {
        let set = plan.steps.iter().find_map(|step| {
            if let Action::Backup(action) = &step.action { Some(action.set.clone()) } else { None }
        });
        let Some(set) = set else { return Ok(None) };
        let directory = backups.join(&set);
        let Some(file) = sqlite_file(&directory)? else { return Ok(None) };
        let connection = open(&file)?;
        let last_row =
            connection.query_row("select coalesce(max(id), 0) from audit", [], |row| row.get(0))?;
        let proven = directory.join("proof.json").is_file();
        Ok(Some(Self { set, proven, schema: schema(&connection)?, last_row }))
    }
}

/// The one SQLite file of a set.
fn sqlite_file(directory: &Path) -> anyhow::Result<Option<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(None) };
    for entry in entries {
        let path = entry?.path();
        let head = std::fs::read(&path).unwrap_or_default();
        if head.starts_with(b"SQLite format 3") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn open(path: &Path) -> anyhow::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("cannot open {}", path.display()))
}

fn schema(connection: &Connection) -> anyhow::Result<i64> {
    Ok(connection.query_row("select version from schema_version", [], |row| row.get(0))?)
}

fn audit(connection: &Connection) -> anyhow::Result<Vec<AuditRow>> {
    let mut select =
        connection.prepare("select id, at, member, pid, version, token, what from audit order by id")?;
    let rows = select.query_map([], |row| {
        Ok(AuditRow {
            id: row.get(0)?,
            at: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
            member: row.get(2)?,
            pid: row.get(3)?,
            version: row.get(4)?,
            token: row.get(5)?,
            what: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
