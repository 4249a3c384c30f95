//! Who is in the database: sessions read from the server, judged one by one, and ended where that is allowed.

use super::session::{PROGRAM, Row, Session};
use crate::database::{Answer, DatabaseCode, Refusal};
use lockkeeper_core::cluster::Infrastructure;
use std::{collections::BTreeSet, fmt, time::Duration};

/// How many readings in a row must agree that nobody is there. A log-in that passed its check before the door was
/// shut shows itself within milliseconds, since the check is the server's last step; a second of readings is ample.
pub const SAMPLES: u32 = 5;
/// Time between two readings.
pub const SAMPLE_GAP: Duration = Duration::from_millis(200);
/// How often sessions are ended and looked at again before the act gives up: a backend notices within one reading
/// unless it is inside an uninterruptible call.
const KILL_ROUNDS: u32 = 100;

/// Everything that runs statements in the database `$1`. Helpers of a listed session and the server's own cleaning
/// are no sessions.
const SESSIONS: &str = "
    select a.pid::text, coalesce(a.usename::text, ''), coalesce(host(a.client_addr), 'local'),
           coalesce(a.application_name, ''), coalesce(a.backend_type, ''),
           coalesce(to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), ''),
           coalesce(a.state, '')
    from pg_stat_activity a
    where a.datname = $1 and a.pid <> pg_backend_pid()
      and coalesce(a.backend_type, '') not in ('autovacuum worker', 'parallel worker')
    order by a.backend_start, a.pid";

/// Sessions of the login `$1` in whatever database: the owner's rights on the database reach across.
const HOLDERS: &str = "
    select a.pid::text, coalesce(a.usename::text, ''), coalesce(host(a.client_addr), 'local'),
           coalesce(a.application_name, ''), coalesce(a.backend_type, ''),
           coalesce(to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), ''),
           coalesce(a.state, '')
    from pg_stat_activity a where a.usename = $1 order by a.backend_start, a.pid";

/// Prepared transactions of the database `$1`: they hold changes that a later COMMIT PREPARED makes real.
const PREPARED: &str = "
    select p.gid || ' of ' || p.owner || ' since '
           || to_char(p.prepared at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
    from pg_prepared_xacts p where p.database = $1 order by 1";

/// One session in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The server process.
    pub pid: String,
    /// Login; empty when the server does not tell.
    pub login: String,
    /// Client address, `local` for a unix socket.
    pub address: String,
    /// What it calls itself.
    pub program: String,
    /// What kind of server process it is.
    pub kind: String,
    /// Since when, UTC.
    pub since: String,
    /// What it does.
    pub state: String,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "address {}, program {:?}, login {}, since {}, {} {}",
            self.address, self.program, self.login, self.since, self.kind, self.state
        )
    }
}

/// What a session is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Lockkeeper's own.
    Ours,
    /// The holder of the open grant.
    Holder,
    /// Declared, and either unable to write or declared with host and program.
    Infrastructure(&'static str),
    /// Not declared, and unable to write.
    Reader,
    /// Not declared, and able to write or not known.
    Stranger,
}

/// What sessions are judged by.
#[derive(Debug)]
pub struct Judge<'a> {
    /// The administrator's login.
    pub admin: &'a str,
    /// The login of the open grant.
    pub holder: Option<&'a str>,
    /// What the cluster file declares.
    pub infrastructure: &'a [Infrastructure],
    /// Roles that can write here.
    pub writers: &'a BTreeSet<String>,
}

impl Judge<'_> {
    /// Judges one session.
    pub fn standing(&self, seen: &Seen) -> Standing {
        if seen.login == self.admin && seen.program == PROGRAM {
            return Standing::Ours;
        }
        if self.holder.is_some_and(|holder| holder == seen.login) {
            return Standing::Holder;
        }
        let can_write = seen.login.is_empty() || self.writers.contains(&seen.login);
        let mut exact = false;
        let mut declared = false;
        for entry in self.infrastructure.iter().filter(|entry| entry.login == seen.login) {
            let host = entry.host.is_empty() || entry.host == seen.address;
            let program = entry.program.is_empty() || entry.program == seen.program;
            declared |= host && program;
            exact |= host && program && !entry.host.is_empty() && !entry.program.is_empty();
        }
        match (declared, can_write) {
            (true, false) => Standing::Infrastructure("read-only proven"),
            (true, true) if exact => Standing::Infrastructure("declared with host and program, can write"),
            (false, false) => Standing::Reader,
            (true | false, true) => Standing::Stranger,
        }
    }
}

/// A reading of the sessions, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Who must not be there.
    pub strangers: Vec<Seen>,
    /// Undeclared, cannot write; ended when the door shuts.
    pub readers: Vec<Seen>,
    /// Sessions of the holder.
    pub holder: Vec<Seen>,
    /// Tolerated, each with its reason.
    pub tolerated: Vec<String>,
}

/// Every session of `database` but the one that asks.
pub async fn all(session: &Session, database: &str) -> Answer<Vec<Seen>> {
    session.rows(SESSIONS, &[&database]).await?.into_iter().map(seen).collect()
}

/// Reads and sorts the sessions of `database` once.
pub async fn read(session: &Session, database: &str, judge: &Judge<'_>) -> Answer<Reading> {
    let mut reading = Reading::default();
    for seen in all(session, database).await? {
        match judge.standing(&seen) {
            Standing::Ours => {}
            Standing::Holder => reading.holder.push(seen),
            Standing::Infrastructure(why) => reading.tolerated.push(format!("{seen} ({why})")),
            Standing::Reader => reading.readers.push(seen),
            Standing::Stranger => reading.strangers.push(seen),
        }
    }
    Ok(reading)
}

/// Refuses when a transaction is prepared in the database.
pub async fn none_prepared(session: &Session, database: &str) -> Answer<()> {
    let prepared = session.column(PREPARED, &[&database]).await?;
    if prepared.is_empty() {
        return Ok(());
    }
    Err(DatabaseCode::PreparedTransaction.refuse(format!("{database} has {}", prepared.join("; "))))
}

/// The refusal that names strangers.
pub fn forgotten(database: &str, strangers: &[Seen]) -> Refusal {
    let named: Vec<String> = strangers.iter().map(ToString::to_string).collect();
    DatabaseCode::ForgottenNode.refuse(format!("{database} has {}; nothing was ended", named.join("; ")))
}

/// Who is to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Everybody but us, the tolerated and the holder.
    AllButHolder,
    /// The holder alone, in every database of the server.
    Holder,
}

/// Ends sessions and reads again until `samples` readings in a row show none. Answers who was ended.
pub async fn end(
    session: &Session,
    database: &str,
    judge: &Judge<'_>,
    whom: Whom,
    samples: u32,
) -> Answer<Vec<Seen>> {
    let mut ended: Vec<Seen> = Vec::new();
    let mut quiet = 0;
    for _round in 0..KILL_ROUNDS {
        let present = match (whom, judge.holder) {
            (Whom::AllButHolder, _) => {
                let reading = read(session, database, judge).await?;
                [reading.strangers, reading.readers].concat()
            }
            (Whom::Holder, Some(login)) => {
                session.rows(HOLDERS, &[&login]).await?.into_iter().map(seen).collect::<Answer<_>>()?
            }
            (Whom::Holder, None) => Vec::new(),
        };
        if present.is_empty() {
            quiet += 1;
            if quiet >= samples {
                return Ok(ended);
            }
        } else {
            quiet = 0;
            for seen in present {
                session.rows("select pg_terminate_backend($1::text::int)::text", &[&seen.pid]).await?;
                if !ended.iter().any(|earlier| earlier.pid == seen.pid && earlier.since == seen.since) {
                    ended.push(seen);
                }
            }
        }
        tokio::time::sleep(SAMPLE_GAP).await;
    }
    Err(DatabaseCode::SessionsRemain.refuse(format!(
        "{database}: sessions were ended for {} s and are still there or come back; last: {}",
        (SAMPLE_GAP * KILL_ROUNDS).as_secs(),
        ended.last().map(ToString::to_string).unwrap_or_default()
    )))
}

/// Reads `samples` times; every reading must show neither strangers nor prepared transactions. Answers the last reading.
pub async fn prove_quiet(
    session: &Session,
    database: &str,
    judge: &Judge<'_>,
    samples: u32,
) -> Answer<Reading> {
    let mut last = Reading::default();
    for sample in 0..samples {
        if sample > 0 {
            tokio::time::sleep(SAMPLE_GAP).await;
        }
        last = read(session, database, judge).await?;
        if !last.strangers.is_empty() {
            return Err(forgotten(database, &last.strangers));
        }
        none_prepared(session, database).await?;
    }
    Ok(last)
}

fn seen(row: Row) -> Answer<Seen> {
    let [pid, login, address, program, kind, since, state] = <[Option<String>; 7]>::try_from(row)
        .map_err(|_| DatabaseCode::QueryShape.refuse("the session list has another shape"))?
        .map(Option::unwrap_or_default);
    Ok(Seen { pid, login, address, program, kind, since, state })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(login: &str, address: &str, program: &str) -> Seen {
        Seen {
            pid: "1".into(),
            login: login.into(),
            address: address.into(),
            program: program.into(),
            kind: "client backend".into(),
            since: String::new(),
            state: "idle".into(),
        }
    }

    #[test]
    fn nobody_is_tolerated_by_name_alone_if_it_can_write() {
        let infrastructure = [
            Infrastructure { login: "monitor".into(), host: "10.0.0.9".into(), program: "exporter".into() },
            Infrastructure { login: "report".into(), host: String::new(), program: String::new() },
        ];
        let writers: BTreeSet<String> =
            ["monitor", "app", "lockkeeper", "lk_main_1_4"].map(String::from).into();
        let judge = Judge {
            admin: "lockkeeper",
            holder: Some("lk_main_1_4"),
            infrastructure: &infrastructure,
            writers: &writers,
        };
        let of = |login, address, program| judge.standing(&seen(login, address, program));
        assert_eq!(of("lockkeeper", "10.0.0.1", PROGRAM), Standing::Ours);
        assert_eq!(of("lockkeeper", "10.0.0.1", "psql"), Standing::Stranger);
        assert_eq!(of("lk_main_1_4", "10.0.0.1", "migrate"), Standing::Holder);
        assert!(matches!(of("monitor", "10.0.0.9", "exporter"), Standing::Infrastructure(_)));
        assert_eq!(of("monitor", "10.0.0.8", "exporter"), Standing::Stranger);
        assert_eq!(of("monitor", "10.0.0.9", "psql"), Standing::Stranger);
        assert!(matches!(of("report", "local", "anything"), Standing::Infrastructure("read-only proven")));
        assert_eq!(of("app", "10.0.0.2", ""), Standing::Stranger);
        assert_eq!(of("reader", "10.0.0.2", "psql"), Standing::Reader);
        assert_eq!(of("", "local", ""), Standing::Stranger);
    }
}
