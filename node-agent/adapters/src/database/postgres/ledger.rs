//! The grant ledger: a small database of our own beside the target, and the only place roles are changed from.
//!
//! Every act is one transaction that first locks the target's row, compares places and tokens, then changes roles and
//! rows together. Role changes are shared by all databases of a server, so they commit or vanish with the ledger.

use super::{
    session::{Instance, Login, Purpose, Session},
    sql,
};
use crate::{
    database::{Answer, DatabaseCode},
    door::ledger::{DoorRow, DoorState, GrantRow, GrantState, LedgerRows, nonce_word, parse_nonce},
};
use lockkeeper_core::{
    ids::{ClusterId, Generation, LogIndex, RolloutId, Token},
    rollout::Mark,
};
use std::collections::BTreeSet;
use tokio_postgres::{error::SqlState, types::ToSql};

/// Name of the ledger's database.
pub const LEDGER: &str = "lockkeeper";

/// Databases a server has from its making; one of them is needed to make the ledger from.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// The ledger's tables. Nothing here is ever altered after release; a new shape gets a new schema's name.
const TABLES: &str = "
create schema if not exists ledger_1;
create table if not exists ledger_1.target (
    system text not null, database text not null, name text not null,
    timeline bigint not null, address text not null, fingerprint text not null, instances text not null,
    seen timestamptz not null default clock_timestamp(),
    primary key (system, database));
create table if not exists ledger_1.upgrade_grant (
    system text not null, database text not null, timeline bigint not null, grp text not null,
    generation bigint not null, idx bigint not null, rollout bigint not null, member text not null,
    login text not null, state text not null, changed timestamptz not null default clock_timestamp(),
    primary key (system, database, grp, generation, idx));
create table if not exists ledger_1.door (
    system text not null, database text not null, grp text not null,
    generation bigint not null, idx bigint not null, state text not null, captured text not null,
    changed timestamptz not null default clock_timestamp(),
    primary key (system, database, grp));
create table if not exists ledger_1.mark (
    system text not null, database text not null, grp text not null,
    generation bigint not null, idx bigint not null, nonce text not null, member text not null,
    changed timestamptz not null default clock_timestamp(),
    primary key (system, database, grp));
create table if not exists ledger_1.audit (
    id bigint generated always as identity primary key, at timestamptz not null default clock_timestamp(),
    system text not null, database text not null, grp text not null, generation bigint not null,
    idx bigint not null, rollout bigint not null, member text not null, act text not null, detail text not null,
    login text not null default session_user, backend_start timestamptz);
revoke all on schema ledger_1 from public;
revoke connect, temporary on database lockkeeper from public;
";

/// Whether the tables are there; the last one made tells for all, as they are made in one transaction.
const MADE: &str = "select (to_regclass('ledger_1.audit') is not null)::text";

/// Advisory lock that keeps two executors from making the tables at once; any fixed number will do.
const MAKING: i64 = 7_809_632_617;

/// Which database on which server, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The server's system identifier.
    pub system: String,
    /// The database's oid.
    pub database: String,
    /// The server's timeline.
    pub timeline: u64,
    /// Where the server says it listens for this connection.
    pub address: String,
    /// Digest of the server host's machine id; empty when the administrator may not read it.
    pub fingerprint: String,
    /// The instance it was found by, as the cluster file writes it.
    pub instance: String,
    /// All instances of the cluster file.
    pub instances: BTreeSet<String>,
}

/// A session on a server, on the ledger if there is one.
#[derive(Debug)]
pub struct Server {
    /// The connection.
    pub session: Session,
    /// Which instance it is.
    pub instance: Instance,
    /// Whether the session is on the ledger; otherwise the server has none yet.
    pub has_ledger: bool,
    /// Whether it replays another server's log.
    pub standby: bool,
}

impl Server {
    /// Logs in on an instance.
    pub async fn open(instance: &Instance, login: &Login, purpose: Purpose) -> Answer<Self> {
        for database in [LEDGER].into_iter().chain(MAINTENANCE) {
            if let Some(session) = Session::open(instance, database, login, purpose).await? {
                let standby = session.value("select pg_is_in_recovery()::text", &[]).await? == "true";
                return Ok(Self {
                    session,
                    instance: instance.clone(),
                    has_ledger: database == LEDGER,
                    standby,
                });
            }
        }
        Err(DatabaseCode::Admin
            .refuse(format!("{instance} has none of the databases {LEDGER}, {}", MAINTENANCE.join(", "))))
    }

    /// Which database `name` is, and where.
    pub async fn place(&self, name: &str, instances: &[Instance]) -> Answer<Place> {
        let rows = self
            .session
            .rows(
                "select (select system_identifier::text from pg_control_system()),
                        (select oid::text from pg_database where datname = $1),
                        ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int::text,
                        coalesce(host(inet_server_addr()), 'local') || ':'
                            || coalesce(inet_server_port()::text, current_setting('port'))",
                &[&name],
            )
            .await?;
        let Some([Some(system), oid, Some(timeline), Some(address)]) =
            rows.into_iter().next().and_then(|row| <[Option<String>; 4]>::try_from(row).ok())
        else {
            return Err(DatabaseCode::QueryShape.refuse("the server did not say which one it is"));
        };
        let Some(database) = oid else {
            return Err(DatabaseCode::Statement.refuse(format!("{} has no database {name}", self.instance)));
        };
        // A server's host may have no machine id, and an administrator who is not superuser may not read it.
        let machine = self.session.column("select pg_read_file('/etc/machine-id', 0, 64, true)", &[]).await;
        let fingerprint = match machine {
            Ok(text) => {
                let text = text.concat();
                if text.is_empty() { text } else { blake3::hash(text.as_bytes()).to_hex()[..16].to_owned() }
            }
            Err(refusal) if refusal.code == DatabaseCode::Admin => String::new(),
            Err(refusal) => return Err(refusal),
        };
        let timeline =
            timeline.parse().map_err(|_| DatabaseCode::QueryShape.refuse("a timeline that is no number"))?;
        Ok(Place {
            system,
            database,
            timeline,
            address,
            fingerprint,
            instance: self.instance.to_string(),
            instances: instances.iter().map(ToString::to_string).collect(),
        })
    }

    /// Goes on in the ledger, which is made if it is missing.
    pub async fn into_ledger(self, login: &Login) -> Answer<Self> {
        if self.has_ledger {
            return Ok(self);
        }
        let made = self
            .session
            .try_run(&format!("create database {} template template0", sql::name(LEDGER)))
            .await?;
        match made {
            Ok(()) => {}
            // Another executor was faster.
            Err(code) if code == SqlState::DUPLICATE_DATABASE || code == SqlState::UNIQUE_VIOLATION => {}
            Err(code) => {
                return Err(DatabaseCode::Ledger
                    .refuse(format!("cannot make the database {LEDGER}: SQLSTATE {}", code.code())));
            }
        }
        let session = Session::open(&self.instance, LEDGER, login, Purpose::Ledger)
            .await?
            .ok_or_else(|| DatabaseCode::Ledger.refuse(format!("the database {LEDGER} vanished")))?;
        Ok(Self { session, has_ledger: true, ..self })
    }
}

/// What the ledger holds, read without a lock; nothing when the server has none.
pub async fn look(server: &Server, place: &Place) -> Answer<LedgerRows> {
    if !server.has_ledger || server.session.value(MADE, &[]).await? != "true" {
        return Ok(LedgerRows::default());
    }
    same_place(&server.session, place).await?;
    rows(&server.session, place).await
}

/// One act: the target's row is locked until [`Act::commit`]. Dropped without it, nothing was done.
#[derive(Debug)]
pub struct Act<'s> {
    session: &'s Session,
    place: &'s Place,
    /// What the ledger held when the lock was got.
    pub rows: LedgerRows,
}

impl<'s> Act<'s> {
    /// Makes the tables if they are missing, begins, locks and reads.
    pub async fn begin(server: &'s Server, place: &'s Place, name: &str) -> Answer<Act<'s>> {
        let session = &server.session;
        // An earlier act on this session may have been refused half-way.
        session.run("rollback").await?;
        if session.value(MADE, &[]).await? != "true" {
            session.run(&format!("begin; select pg_advisory_xact_lock({MAKING});{TABLES}commit")).await?;
        }
        session.run("begin").await?;
        let instances = listed(&place.instances);
        let timeline = number(place.timeline)?;
        session
            .rows(
                "insert into ledger_1.target (system, database, name, timeline, address, fingerprint, instances)
                 values ($1, $2, $3, $4, $5, $6, $7) on conflict (system, database) do nothing",
                &[
                    &place.system,
                    &place.database,
                    &name,
                    &timeline,
                    &place.address,
                    &place.fingerprint,
                    &instances,
                ],
            )
            .await?;
        session
            .rows(
                "select system from ledger_1.target where system = $1 and database = $2 for update",
                &[&place.system, &place.database],
            )
            .await?;
        let known = same_place(session, place).await?;
        let instances = listed(&known.union(&place.instances).cloned().collect());
        session
            .rows(
                "update ledger_1.target set timeline = $3, address = $4, fingerprint = $5, instances = $6
                 where system = $1 and database = $2",
                &[&place.system, &place.database, &timeline, &place.address, &place.fingerprint, &instances],
            )
            .await?;
        let rows = rows(session, place).await?;
        Ok(Act { session, place, rows })
    }

    /// The session, to change roles with.
    pub const fn session(&self) -> &Session {
        self.session
    }

    /// Writes a grant's row.
    pub async fn put_grant(&self, row: &GrantRow, login: &str) -> Answer<()> {
        self.session
            .rows(
                "insert into ledger_1.upgrade_grant
                     (system, database, timeline, grp, generation, idx, rollout, member, login, state)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                 on conflict (system, database, grp, generation, idx)
                 do update set state = excluded.state, changed = clock_timestamp()",
                &[
                    &self.place.system,
                    &self.place.database,
                    &number(row.timeline)?,
                    &row.group.0,
                    &number(row.token.generation.0)?,
                    &number(row.token.index.0)?,
                    &number(row.rollout.0)?,
                    &row.member,
                    &login,
                    &row.state.as_str(),
                ],
            )
            .await?;
        Ok(())
    }

    /// Writes the group's door.
    pub async fn put_door(&self, row: &DoorRow) -> Answer<()> {
        self.session
            .rows(
                "insert into ledger_1.door (system, database, grp, generation, idx, state, captured)
                 values ($1, $2, $3, $4, $5, $6, $7)
                 on conflict (system, database, grp)
                 do update set generation = excluded.generation, idx = excluded.idx, state = excluded.state,
                               captured = excluded.captured, changed = clock_timestamp()",
                &[
                    &self.place.system,
                    &self.place.database,
                    &row.group.0,
                    &number(row.token.generation.0)?,
                    &number(row.token.index.0)?,
                    &row.state.as_str(),
                    &row.captured,
                ],
            )
            .await?;
        Ok(())
    }

    /// Goes on with the database that is called `name` now: grants, door and mark follow it, with the door as `row` says.
    /// What was called so before keeps nothing but its audit.
    pub async fn follow(&self, name: &str, row: &DoorRow) -> Answer<()> {
        self.put_door(row).await?;
        let found =
            self.session.column("select oid::text from pg_database where datname = $1", &[&name]).await?;
        let [database] = found.as_slice() else {
            return Err(DatabaseCode::Ledger.refuse(format!("{name} is not there after the swap")));
        };
        let values: [&(dyn ToSql + Sync); 3] = [&self.place.system, &self.place.database, &database];
        self.session
            .rows(
                "insert into ledger_1.target (system, database, name, timeline, address, fingerprint, instances)
                 select system, $3, name, timeline, address, fingerprint, instances from ledger_1.target
                 where system = $1 and database = $2",
                &values,
            )
            .await?;
        for table in ["upgrade_grant", "door", "mark"] {
            let moved =
                format!("update ledger_1.{table} set database = $3 where system = $1 and database = $2");
            self.session.rows(&moved, &values).await?;
        }
        Ok(())
    }

    /// Writes the group's last effect and ends the act.
    pub async fn mark(self, group: &ClusterId, member: &str, mark: Mark) -> Answer<()> {
        self.session
            .rows(
                "insert into ledger_1.mark (system, database, grp, generation, idx, nonce, member)
                 values ($1, $2, $3, $4, $5, $6, $7)
                 on conflict (system, database, grp)
                 do update set generation = excluded.generation, idx = excluded.idx, nonce = excluded.nonce,
                               member = excluded.member, changed = clock_timestamp()",
                &[
                    &self.place.system,
                    &self.place.database,
                    &group.0,
                    &number(mark.token.generation.0)?,
                    &number(mark.token.index.0)?,
                    &nonce_word(mark.nonce),
                    &member,
                ],
            )
            .await?;
        self.session.run("commit").await
    }

    /// Writes what is done, by whom, and ends the act.
    pub async fn commit(self, audit: &Audit<'_>) -> Answer<()> {
        self.session
            .rows(
                "insert into ledger_1.audit
                     (system, database, grp, generation, idx, rollout, member, act, detail, backend_start)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9,
                         (select backend_start from pg_stat_activity where pid = pg_backend_pid()))",
                &[
                    &self.place.system,
                    &self.place.database,
                    &audit.group.0,
                    &number(audit.token.generation.0)?,
                    &number(audit.token.index.0)?,
                    &number(audit.rollout.0)?,
                    &audit.member,
                    &audit.act,
                    &audit.detail,
                ],
            )
            .await?;
        self.session.run("commit").await
    }
}

/// One line of the ledger's audit.
#[derive(Debug)]
pub struct Audit<'a> {
    /// Whose act.
    pub group: &'a ClusterId,
    /// Under which token.
    pub token: Token,
    /// Of which rollout.
    pub rollout: RolloutId,
    /// The acting executor.
    pub member: &'a str,
    /// What was done.
    pub act: &'a str,
    /// To what.
    pub detail: &'a str,
}

/// Refuses when the ledger knows this very database at another address or on another host: one of both is a copy.
/// Only a fail-over moves a database: to a later timeline, and to an instance that was declared before it. Answers the
/// instances that were ever declared.
async fn same_place(session: &Session, place: &Place) -> Answer<BTreeSet<String>> {
    let known = session
        .rows(
            "select timeline::text, address, fingerprint, instances from ledger_1.target
             where system = $1 and database = $2",
            &[&place.system, &place.database],
        )
        .await?;
    let Some(row) = known.into_iter().next() else { return Ok(BTreeSet::new()) };
    let [timeline, address, fingerprint, instances] = texts(row)?;
    let instances: BTreeSet<String> = instances.lines().map(str::to_owned).collect();
    let other_host =
        !fingerprint.is_empty() && !place.fingerprint.is_empty() && fingerprint != place.fingerprint;
    let moved = address != place.address || other_host;
    let before = count(&timeline)?;
    let failed_over = place.timeline > before && instances.contains(&place.instance);
    if place.timeline < before || (moved && !failed_over) {
        return Err(DatabaseCode::TwinDatabase.refuse(format!(
            "server {} database {} was known at {address} (timeline {timeline}, host {fingerprint:?}) and is now found \
             at {} (timeline {}, host {:?}): one of both is a copy",
            place.system, place.database, place.address, place.timeline, place.fingerprint
        )));
    }
    Ok(instances)
}

/// Instances as the ledger keeps them.
fn listed(instances: &BTreeSet<String>) -> String {
    instances.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
}

async fn rows(session: &Session, place: &Place) -> Answer<LedgerRows> {
    let grants = session
        .rows(
            "select grp, generation::text, idx::text, rollout::text, member, state, timeline::text
             from ledger_1.upgrade_grant where system = $1 and database = $2 order by grp, generation, idx",
            &[&place.system, &place.database],
        )
        .await?;
    let doors = session
        .rows(
            "select grp, generation::text, idx::text, state, captured
             from ledger_1.door where system = $1 and database = $2 order by grp",
            &[&place.system, &place.database],
        )
        .await?;
    let marks = session
        .rows(
            "select grp, generation::text, idx::text, nonce
             from ledger_1.mark where system = $1 and database = $2 order by grp",
            &[&place.system, &place.database],
        )
        .await?;
    let mut found = LedgerRows::default();
    for row in marks {
        let [group, generation, index, nonce] = texts(row)?;
        let mark = Mark { token: token(&generation, &index)?, nonce: parse_nonce(&nonce)? };
        found.marks.push((ClusterId(group), mark));
    }
    for row in grants {
        let [group, generation, index, rollout, member, state, timeline] = texts(row)?;
        found.grants.push(GrantRow {
            group: ClusterId(group),
            token: token(&generation, &index)?,
            rollout: RolloutId(count(&rollout)?),
            member,
            state: GrantState::parse(&state)?,
            timeline: count(&timeline)?,
            file: String::new(),
        });
    }
    for row in doors {
        let [group, generation, index, state, captured] = texts(row)?;
        found.doors.push(DoorRow {
            group: ClusterId(group),
            token: token(&generation, &index)?,
            state: DoorState::parse(&state)?,
            captured,
            live: String::new(),
        });
    }
    Ok(found)
}

fn texts<const N: usize>(row: Vec<Option<String>>) -> Answer<[String; N]> {
    <[Option<String>; N]>::try_from(row)
        .map(|columns| columns.map(Option::unwrap_or_default))
        .map_err(|_| DatabaseCode::Ledger.refuse("a row of the ledger has another shape"))
}

fn token(generation: &str, index: &str) -> Answer<Token> {
    Ok(Token { generation: Generation(count(generation)?), index: LogIndex(count(index)?) })
}

fn count(text: &str) -> Answer<u64> {
    text.parse().map_err(|_| DatabaseCode::Ledger.refuse(format!("the ledger holds {text:?} for a number")))
}

/// PostgreSQL has no unsigned numbers; a token that does not fit was never made by a group.
fn number(value: u64) -> Answer<i64> {
    i64::try_from(value).map_err(|_| DatabaseCode::Ledger.refuse(format!("{value} does not fit the ledger")))
}
