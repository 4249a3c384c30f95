//! What a server shows of other tools' locks: tables by name, advisory locks, and everybody's sessions. Reads only.

use super::{
    Postgres, principals,
    session::{Purpose, Row, Session},
    sql,
    strangers::{self, Seen, Standing},
};
use crate::database::{
    Answer, DatabaseCode,
    foreign::{self, Advisory, Around, Key, NAMES, ROWS, Table},
};
use lockkeeper_core::observe::ForeignLocks;
use std::collections::{BTreeMap, BTreeSet};

/// Tables of the names in `$1`, with their columns, and when they were made if the server keeps that.
const TABLES: &str = "
    select c.oid::text, n.nspname::text, c.relname::text,
           array_to_string(array(select a.attname::text from pg_attribute a
               where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum), chr(10)),
           case when current_setting('track_commit_timestamp') = 'on' then coalesce(
               to_char(pg_xact_commit_timestamp(c.xmin) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '') else '' end
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f') and c.relpersistence <> 't' and n.nspname !~ '^pg_'
      and lower(c.relname) = any (string_to_array($1, ','))
    order by n.nspname, c.relname limit 100";

/// Locks on relations that users made, as relation, session and whether the schema is changed. A reader holds only the
/// weakest.
const RELATIONS: &str = "
    select relation::text, pid::text, (mode = 'AccessExclusiveLock')::text from pg_locks
    where locktype = 'relation' and granted and pid <> pg_backend_pid() and relation >= 16384
      and mode <> 'AccessShareLock' and database = (select oid from pg_database where datname = current_database())";

/// Advisory locks of this database; a prepared transaction has no session.
const ADVISORY: &str = "
    select classid::text, objid::text, objsubid::text, coalesce(pid::text, ''), granted::text from pg_locks
    where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
    order by classid, objid, objsubid, pid";

/// How long a reading waits for a lock: who changes one of these tables holds it for as long as it migrates.
const WAIT: &str = "set lock_timeout = '1s'";

impl Postgres {
    /// On the instance that takes writes; the others may be away.
    pub(super) async fn foreign(&self) -> Answer<ForeignLocks> {
        let (found, _silent) = self.find_answering().await?;
        let target = self.target(&found.primary.instance, &found.login, Purpose::Inspect).await?;
        target.run(WAIT).await?;
        let writers = principals::writers(&target).await?;
        let judge = self.judge(&found, &writers, None);
        let (mut tables, mut unread) = (Vec::new(), Vec::new());
        let mut oids = BTreeMap::new();
        for row in target.rows(TABLES, &[&NAMES.join(",")]).await? {
            let [Some(oid), Some(schema), Some(name), Some(columns), made] = texts::<5>(row)? else {
                return Err(shape());
            };
            let columns = columns.lines().map(str::to_owned).collect();
            let mut table =
                Table { schema, name, columns, made: made.unwrap_or_default(), ..Table::default() };
            if foreign::reads_rows(&table.name) {
                match rows(&target, &table).await {
                    Ok(rows) => table.rows = rows,
                    Err(refusal) if refusal.code == DatabaseCode::Unreachable => return Err(refusal),
                    Err(refusal) => {
                        unread.push(format!("table {}.{}: {}", table.schema, table.name, refusal.text));
                        continue;
                    }
                }
            }
            oids.insert(oid, tables.len());
            tables.push(table);
        }
        // Locks before sessions: whose session is missing then was gone already.
        let mut alters = BTreeSet::new();
        for row in target.rows(RELATIONS, &[]).await? {
            let [Some(relation), Some(pid), Some(alter)] = texts::<3>(row)? else { continue };
            if alter == "true" {
                alters.insert(pid.clone());
            }
            if let Some(table) = oids.get(&relation).and_then(|at| tables.get_mut(*at)) {
                table.busy.insert(pid);
            }
        }
        let advisory = target.rows(ADVISORY, &[]).await?;
        let (mut sessions, mut ours, mut hidden) = (BTreeMap::new(), BTreeSet::new(), 0_u32);
        for seen in strangers::all(&target, &self.spec.name).await? {
            let standing = judge.standing(&seen);
            if standing == Standing::Ours {
                ours.insert(seen.pid);
                continue;
            }
            // The server does not tell the kind of a session that this login may not look at.
            hidden += u32::from(seen.kind.is_empty());
            let alters = alters.contains(&seen.pid);
            sessions.insert(seen.pid.clone(), session(seen, standing == Standing::Stranger, alters));
        }
        let advisory = held(advisory, &sessions, &ours)?;
        let around = Around {
            database: self.spec.name.clone(),
            sessions: sessions.into_values().collect(),
            blind: (hidden > 0).then(|| {
                format!("{} may not look at {hidden} of them; grant it pg_read_all_stats", judge.admin)
            }),
            advisory: Some(advisory),
            sql_sessions: true,
        };
        Ok(foreign::look(&tables, &around, unread))
    }
}

fn shape() -> crate::database::Refusal {
    DatabaseCode::QueryShape.refuse("the catalog has another shape")
}

fn texts<const N: usize>(row: Row) -> Answer<[Option<String>; N]> {
    row.try_into().map_err(|_| shape())
}

fn session(seen: Seen, writes: bool, alters: bool) -> foreign::Session {
    foreign::Session {
        id: seen.pid,
        address: seen.address,
        login: seen.login,
        program: seen.program,
        since: seen.since,
        writes,
        alters,
    }
}

/// As JSON, so that columns of any type can be read.
async fn rows(target: &Session, table: &Table) -> Answer<Vec<foreign::Row>> {
    let from = format!("{}.{}", sql::name(&table.schema), sql::name(&table.name));
    let texts = target.column(&format!("select to_jsonb(t)::text from {from} t limit {ROWS}"), &[]).await?;
    let read = |text: String| {
        serde_json::from_str(&text)
            .map_err(|error| DatabaseCode::QueryShape.refuse(format!("a row is no JSON: {error}")))
    };
    texts.into_iter().map(read).collect()
}

/// Holders of advisory locks, with how many wait for each.
fn held(
    rows: Vec<Row>,
    sessions: &BTreeMap<String, foreign::Session>,
    ours: &BTreeSet<String>,
) -> Answer<Vec<Advisory>> {
    let (mut held, mut waiting) = (Vec::new(), BTreeMap::<Key, usize>::new());
    for row in rows {
        let [Some(class), Some(object), Some(sub), Some(pid), Some(granted)] = texts::<5>(row)? else {
            return Err(shape());
        };
        if ours.contains(&pid) {
            continue;
        }
        let (class, object): (u32, u32) =
            (class.parse().map_err(|_| shape())?, object.parse().map_err(|_| shape())?);
        let key = match sub.as_str() {
            "2" => Key::Two(class.cast_signed(), object.cast_signed()),
            _ => Key::One(((u64::from(class) << 32) | u64::from(object)).cast_signed()),
        };
        if granted != "true" {
            *waiting.entry(key).or_default() += 1;
            continue;
        }
        let bare = || foreign::Session { id: pid.clone(), ..foreign::Session::default() };
        let session = (!pid.is_empty()).then(|| sessions.get(&pid).cloned().unwrap_or_else(bare));
        held.push(Advisory { key, session, waiting: 0 });
    }
    for lock in &mut held {
        lock.waiting = waiting.get(&lock.key).copied().unwrap_or(0);
    }
    Ok(held)
}
