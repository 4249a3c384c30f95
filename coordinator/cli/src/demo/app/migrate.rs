//! `app migrate`: from schema 1 to schema 2 in batches, as a vendor's tool would do it: nothing in it keeps a
//! second one out. Two at once are found by the row in `upgrade`, which names the run that wrote last.

use super::Installed;
use super::guard::Refused;
use super::journal::{AppLog, Event, Who};
use super::release::AppVersion;
use super::store::{self, What};
use super::work::{self, Rounds};
use crate::demo::layout::SLOW_MIGRATION;
use anyhow::Context as _;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Rows rewritten by one transaction: some 17 ms of hashing, so that progress is seen to move, and an fsync
/// (0.2 to 4 ms here) stays the smaller part.
const BATCH: u32 = 50;

const NOTES_2: &str = "
    create table if not exists notes_2 (
        id integer primary key autoincrement,
        title text not null, author text not null, body text not null,
        slug text not null, digest text not null, at integer not null
    );";

/// How `migrate` is started.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    installed: Installed,
}

/// One run of the migration.
struct Run<'a> {
    log: &'a AppLog,
    who: &'a Who,
    /// Names this run in `upgrade`; process ids come back, this does not.
    id: String,
    rounds: Rounds,
    /// How often each row's work is done.
    times: u32,
}

/// A row of schema 1 and, beside it, what schema 2 wants.
struct Row {
    id: i64,
    title: String,
    author: String,
    body: String,
    slug: String,
    digest: String,
    at: i64,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let log = AppLog::open(&args.installed)?;
    let outcome = upgrade(&log, args);
    match &outcome {
        Ok(line) => writeln!(std::io::stdout(), "{line}").context("cannot write to stdout")?,
        Err(error) if error.is::<Refused>() => log.say(Event::Refused, &format!("{error:#}")),
        Err(error) => log.say(Event::Failed, &format!("{error:#}")),
    }
    log.finish()?;
    outcome.map(|_| ExitCode::SUCCESS)
}

fn upgrade(log: &AppLog, args: &Args) -> anyhow::Result<String> {
    let who = log.who();
    let mut connection = store::open(&args.installed.database)?;
    let found = store::schema_version(&connection)?;
    if found == Some(who.version.schema()) {
        store::audit(&connection, who, What::UpgradeNoop, "nothing to do")?;
        let line = format!("nothing to do: the schema is {} already", who.version.schema());
        log.say(Event::UpgradeNoop, &line);
        return Ok(line);
    }
    if who.version != AppVersion::V2 || found != Some(AppVersion::V1.schema()) {
        let version = who.version;
        let found = found.map_or("none".to_owned(), |schema| schema.to_string());
        return Err(Refused(format!("version {version} cannot migrate from schema {found}")).into());
    }
    let rounds = Rounds(store::setting(&connection, "rounds")?);
    let times = slower(&args.installed.log)?;
    let run = Run { log, who, id: uuid::Uuid::now_v7().to_string(), rounds, times };
    run.migrate(&mut connection)
}

/// How many times slower than usual this run works: once if nothing is said beside the logs.
fn slower(logs: &Path) -> anyhow::Result<u32> {
    let path = logs.join(SLOW_MIGRATION);
    match std::fs::read_to_string(&path) {
        Ok(times) => times.trim().parse().with_context(|| format!("{} is no number", path.display())),
        // No such file, or the log is a file itself.
        Err(_) => Ok(1),
    }
}

impl Run<'_> {
    fn migrate(&self, connection: &mut Connection) -> anyhow::Result<String> {
        let begun = Instant::now();
        let (mut last, mut done, total) = self.begin(connection).context("cannot begin")?;
        let mut said = 0;
        loop {
            let rows = self.read(connection, last).context("cannot read a batch")?;
            let Some(newest) = rows.last().map(|row| row.id) else { break };
            last = newest;
            done += u32::try_from(rows.len()).unwrap_or(u32::MAX);
            let change = self.change(connection)?;
            self.write(&change, &rows, last, done).context("cannot write a batch")?;
            change.commit().context("cannot commit a batch")?;
            let tenth = done * 10 / total.max(1);
            if tenth > said {
                said = tenth;
                self.log.say(Event::UpgradeProgress, &format!("{done} of {total}"));
            }
        }
        self.end(connection)?;
        let took = begun.elapsed().as_millis();
        let line = format!("migrated {done} notes from schema 1 to schema 2 in {took} ms");
        self.log.say(Event::UpgradeEnd, &line);
        Ok(line)
    }

    /// Says in the database that the migration begins and commits that before touching anything. A run that
    /// died left its row and its last id: this one goes on there.
    fn begin(&self, connection: &mut Connection) -> rusqlite::Result<(i64, u32, u32)> {
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        store::audit(&change, self.who, What::UpgradeBegin, &self.id)?;
        let left = change
            .query_row("select last_id, done, run from upgrade", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get::<_, String>(2)?))
            })
            .optional()?;
        let total: u32 = change.query_row("select count(*) from notes", [], |row| row.get(0))?;
        let (last, done) = left.as_ref().map_or((0, 0), |(last, done, _)| (*last, *done));
        change.execute("delete from upgrade", [])?;
        change.execute(
            "insert into upgrade (run, member, pid, token, last_id, done, total) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![self.id, self.who.member.as_str(), self.who.pid, self.who.token, last, done, total],
        )?;
        change.execute_batch(NOTES_2)?;
        change.commit()?;
        let text = match left {
            None => format!("run {} over {total} notes", self.id),
            Some((_, _, run)) => format!("run {} goes on after {done} of {total} of run {run}", self.id),
        };
        self.log.say(Event::UpgradeBegin, &text);
        Ok((last, done, total))
    }

    /// Reads a batch and does the work on it, outside any transaction.
    fn read(&self, connection: &Connection, last: i64) -> anyhow::Result<Vec<Row>> {
        let mut select =
            connection.prepare("select id, text, at from notes where id > ?1 order by id limit ?2")?;
        let found = select.query_map(params![last, BATCH], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
        })?;
        let mut rows = Vec::new();
        for row in found {
            let (id, text, at) = row?;
            for _ in 1..self.times {
                std::hint::black_box(work::digest(&text, self.rounds));
            }
            let split = work::split(&text).with_context(|| format!("note {id} has no author"))?;
            rows.push(Row {
                id,
                title: split.title.to_owned(),
                author: split.author.to_owned(),
                body: split.body.to_owned(),
                slug: work::slug(split.title, id),
                digest: work::digest(&text, self.rounds),
                at,
            });
        }
        Ok(rows)
    }

    /// Opens a writing transaction, if the migration is still this run's; otherwise two ran at once, and what
    /// both wrote is not to be trusted.
    fn change<'c>(&self, connection: &'c mut Connection) -> anyhow::Result<Transaction<'c>> {
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let owner: Option<String> =
            change.query_row("select run from upgrade", [], |row| row.get(0)).optional()?;
        if owner.as_deref() == Some(self.id.as_str()) {
            return Ok(change);
        }
        let found = match owner {
            Some(other) => format!("two migrations at once: {} met {other}", self.id),
            None => format!("two migrations at once: {} found the other one finished", self.id),
        };
        store::corrupt(&change, self.who, &found)?;
        change.commit().context("cannot commit the corruption row")?;
        self.log.say(Event::Corrupt, &found);
        anyhow::bail!("{found}");
    }

    fn write(&self, change: &Transaction<'_>, rows: &[Row], last: i64, done: u32) -> rusqlite::Result<()> {
        let mut insert = change.prepare_cached(
            "insert into notes_2 (id, title, author, body, slug, digest, at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for Row { id, title, author, body, slug, digest, at } in rows {
            insert.execute(params![id, title, author, body, slug, digest, at])?;
        }
        change.execute("update upgrade set last_id = ?1, done = ?2", params![last, done])?;
        Ok(())
    }

    /// Puts the new table in the old one's place. Everything that makes the schema version 2 is one transaction.
    fn end(&self, connection: &mut Connection) -> anyhow::Result<()> {
        let change = self.change(connection)?;
        let count =
            |table: &str| change.query_row(&format!("select count(*) from {table}"), [], |row| row.get(0));
        let (old, new): (i64, i64) = (count("notes")?, count("notes_2")?);
        if old != new {
            let found = format!("notes were written during the migration: {old} before, {new} migrated");
            store::corrupt(&change, self.who, &found)?;
            self.log.say(Event::Corrupt, &found);
        }
        // `notes_2` takes over the highest id ever given, so that an id is never given twice.
        change.execute_batch(
            "update sqlite_sequence set seq = (select seq from sqlite_sequence where name = 'notes') where name = 'notes_2';
             drop table notes;
             alter table notes_2 rename to notes;
             create unique index notes_slug on notes (slug);
             update schema_version set version = 2;
             delete from upgrade;",
        )?;
        store::audit(&change, self.who, What::UpgradeEnd, &self.id)?;
        change.commit().context("cannot commit the new schema")?;
        Ok(())
    }
}
