//! The grant ledger beside SQLite databases: `ledger.db` in their directory, one immediate transaction an act.

use super::place::Place;
use crate::{
    database::{Answer, DatabaseCode, Refusal},
    door::ledger::{DoorRow, DoorState, GrantRow, GrantState, LedgerRows, nonce_word, parse_nonce},
};
use lockkeeper_agent::host::Work;
use lockkeeper_core::{
    ids::{ClusterId, Generation, LogIndex, RolloutId, Token},
    rollout::Mark,
};
use rusqlite::{Connection, OpenFlags, Row, Transaction, TransactionBehavior, params};
use std::{collections::BTreeMap, time::Duration};

/// How long an act waits for another one: longer than any but one that is frozen, and then a person must look.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// The ledger's tables. Nothing here is ever altered after release; a new shape gets new names.
const TABLES: &str = "
create table if not exists target_1 (stem text primary key, inode text not null, directory text not null) strict;
create table if not exists grant_1 (
    stem text not null, grp text not null, generation integer not null, idx integer not null,
    rollout integer not null, member text not null, state text not null, file text not null,
    changed text not null default current_timestamp, primary key (stem, grp, generation, idx)) strict;
create table if not exists door_1 (
    stem text not null, grp text not null, generation integer not null, idx integer not null, state text not null,
    captured text not null, live text not null, changed text not null default current_timestamp,
    primary key (stem, grp)) strict;
create table if not exists fenced_1 (stem text not null, file text not null, mark text not null,
    changed text not null default current_timestamp, primary key (stem, file)) strict;
create table if not exists mark_1 (
    stem text not null, grp text not null, generation integer not null, idx integer not null, nonce text not null,
    member text not null, changed text not null default current_timestamp, primary key (stem, grp)) strict;
create table if not exists audit_1 (
    id integer primary key autoincrement, at text not null default current_timestamp, stem text not null,
    grp text not null, generation integer not null, idx integer not null, rollout integer not null,
    member text not null, act text not null, detail text not null) strict;
";

/// What the ledger holds, without a lock; nothing when there is none.
pub fn look(place: &Place) -> Answer<LedgerRows> {
    if !place.ledger().exists() {
        return Ok(LedgerRows::default());
    }
    let connection = open(place, OpenFlags::empty())?;
    if !made(&connection)? {
        return Ok(LedgerRows::default());
    }
    same_place(&connection, place)?;
    rows(&connection, place)
}

/// Whether the tables are there; they are made in one transaction.
fn made(connection: &Connection) -> Answer<bool> {
    connection
        .query_row("select count(*) from sqlite_schema where name = 'audit_1'", [], |row| count(row, 0))
        .map(|found| found == 1)
        .map_err(|e| unusable("read", &e))
}

/// Commits what `act` does with the ledger locked, or nothing when it refuses.
pub fn act<T>(place: &Place, act: impl FnOnce(&Act<'_>) -> Answer<T>) -> Answer<T> {
    let mut connection = open(place, OpenFlags::SQLITE_OPEN_CREATE)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|e| unusable("lock", &e))?;
    transaction.execute_batch(TABLES).map_err(|e| unusable("make", &e))?;
    transaction
        .execute(
            "insert into target_1 (stem, inode, directory) values (?1, ?2, ?3) on conflict do nothing",
            params![place.stem, place.inode()?.to_string(), place.directory.to_string_lossy()],
        )
        .map_err(|e| unusable("write", &e))?;
    same_place(&transaction, place)?;
    let rows = rows(&transaction, place)?;
    let done = act(&Act { transaction: &transaction, place, rows })?;
    transaction.commit().map_err(|e| unusable("commit", &e))?;
    Ok(done)
}

/// An act that has the ledger to itself until it ends.
pub struct Act<'t> {
    transaction: &'t Transaction<'t>,
    place: &'t Place,
    /// What the ledger held when the lock was got.
    pub rows: LedgerRows,
}

impl Act<'_> {
    /// Writes a grant's row.
    pub fn put_grant(&self, row: &GrantRow) -> Answer<()> {
        self.write(
            "insert into grant_1 (stem, grp, generation, idx, rollout, member, state, file)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) on conflict (stem, grp, generation, idx)
             do update set state = excluded.state, file = excluded.file, changed = current_timestamp",
            params![
                self.place.stem,
                row.group.0,
                number(row.token.generation.0)?,
                number(row.token.index.0)?,
                number(row.rollout.0)?,
                row.member,
                row.state.as_str(),
                row.file
            ],
        )
    }

    /// Writes the group's door.
    pub fn put_door(&self, row: &DoorRow) -> Answer<()> {
        self.write(
            "insert into door_1 (stem, grp, generation, idx, state, captured, live)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7) on conflict (stem, grp)
             do update set generation = excluded.generation, idx = excluded.idx, state = excluded.state,
                           captured = excluded.captured, live = excluded.live, changed = current_timestamp",
            params![
                self.place.stem,
                row.group.0,
                number(row.token.generation.0)?,
                number(row.token.index.0)?,
                row.state.as_str(),
                row.captured,
                row.live
            ],
        )
    }

    /// Writes the group's last effect.
    pub fn put_mark(&self, work: &Work, mark: Mark) -> Answer<()> {
        self.write(
            "insert into mark_1 (stem, grp, generation, idx, nonce, member) values (?1, ?2, ?3, ?4, ?5, ?6)
             on conflict (stem, grp)
             do update set generation = excluded.generation, idx = excluded.idx, nonce = excluded.nonce,
                           member = excluded.member, changed = current_timestamp",
            params![
                self.place.stem,
                work.cluster.0,
                number(mark.token.generation.0)?,
                number(mark.token.index.0)?,
                nonce_word(mark.nonce),
                work.me.as_str()
            ],
        )
    }

    /// Remembers how far a file was written when it was fenced.
    pub fn put_fenced(&self, file: &str, mark: &str) -> Answer<()> {
        self.write(
            "insert into fenced_1 (stem, file, mark) values (?1, ?2, ?3) on conflict do nothing",
            params![self.place.stem, file, mark],
        )
    }

    /// Writes what is done and by whom.
    pub fn audit(&self, work: &Work, act: &str, detail: &str) -> Answer<()> {
        self.write(
            "insert into audit_1 (stem, grp, generation, idx, rollout, member, act, detail)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                self.place.stem,
                work.cluster.0,
                number(work.token.generation.0)?,
                number(work.token.index.0)?,
                number(work.rollout.0)?,
                work.me.as_str(),
                act,
                detail
            ],
        )
    }

    fn write(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Answer<()> {
        self.transaction.execute(sql, values).map(drop).map_err(|e| unusable("write", &e))
    }
}

/// Fenced files with the mark of each.
pub fn fenced(place: &Place) -> Answer<BTreeMap<String, String>> {
    if !place.ledger().exists() {
        return Ok(BTreeMap::new());
    }
    let connection = open(place, OpenFlags::empty())?;
    if !made(&connection)? {
        return Ok(BTreeMap::new());
    }
    collect(&connection, "select file, mark from fenced_1 where stem = ?1", &place.stem, |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
    .map(BTreeMap::from_iter)
}

fn open(place: &Place, more: OpenFlags) -> Answer<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = Connection::open_with_flags(place.ledger(), flags).map_err(|e| unusable("open", &e))?;
    connection.busy_timeout(BUSY_LIMIT).map_err(|e| unusable("open", &e))?;
    // A lost ledger row could let a second holder in: every commit reaches the disk.
    connection.pragma_update(None, "synchronous", "extra").map_err(|e| unusable("open", &e))?;
    Ok(connection)
}

/// Refuses when the ledger was made in another directory: one of both is a copy.
fn same_place(connection: &Connection, place: &Place) -> Answer<()> {
    let now = place.inode()?.to_string();
    let known =
        collect(connection, "select inode, directory from target_1 where stem = ?1", &place.stem, |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
    match known.into_iter().find(|(inode, _)| *inode != now) {
        None => Ok(()),
        Some((inode, directory)) => Err(DatabaseCode::TwinDatabase.refuse(format!(
            "the ledger in {} was made in {directory} (inode {inode}) and is now in inode {now}: one of both is a copy",
            place.directory.display()
        ))),
    }
}

fn rows(connection: &Connection, place: &Place) -> Answer<LedgerRows> {
    let grants = collect(
        connection,
        "select grp, generation, idx, rollout, member, state, file from grant_1 where stem = ?1
         order by grp, generation, idx",
        &place.stem,
        |row| {
            Ok((group(row)?, count(row, 3)?, row.get::<_, String>(4)?, row.get::<_, String>(5)?, row.get(6)?))
        },
    )?;
    let doors = collect(
        connection,
        "select grp, generation, idx, state, captured, live from door_1 where stem = ?1 order by grp",
        &place.stem,
        |row| Ok((group(row)?, row.get::<_, String>(3)?, row.get(4)?, row.get(5)?)),
    )?;
    let marks = collect(
        connection,
        "select grp, generation, idx, nonce from mark_1 where stem = ?1 order by grp",
        &place.stem,
        |row| Ok((group(row)?, row.get::<_, String>(3)?)),
    )?;
    let mut found = LedgerRows::default();
    for ((group, token), nonce) in marks {
        found.marks.push((group, Mark { token, nonce: parse_nonce(&nonce)? }));
    }
    for ((group, token), rollout, member, state, file) in grants {
        let state = GrantState::parse(&state)?;
        found.grants.push(GrantRow {
            group,
            token,
            rollout: RolloutId(rollout),
            member,
            state,
            timeline: 0,
            file,
        });
    }
    for ((group, token), state, captured, live) in doors {
        found.doors.push(DoorRow { group, token, state: DoorState::parse(&state)?, captured, live });
    }
    Ok(found)
}

fn group(row: &Row<'_>) -> rusqlite::Result<(ClusterId, Token)> {
    Ok((
        ClusterId(row.get(0)?),
        Token { generation: Generation(count(row, 1)?), index: LogIndex(count(row, 2)?) },
    ))
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn collect<T>(
    connection: &Connection,
    sql: &str,
    stem: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Answer<Vec<T>> {
    let mut statement = connection.prepare(sql).map_err(|e| unusable("read", &e))?;
    let rows = statement.query_map([stem], read).map_err(|e| unusable("read", &e))?;
    rows.collect::<rusqlite::Result<Vec<T>>>().map_err(|e| unusable("read", &e))
}

fn number(value: u64) -> Answer<i64> {
    i64::try_from(value).map_err(|_| DatabaseCode::Ledger.refuse(format!("{value} does not fit the ledger")))
}

fn unusable(act: &str, error: &rusqlite::Error) -> Refusal {
    DatabaseCode::Ledger.refuse(format!("cannot {act} the ledger: {error}"))
}
