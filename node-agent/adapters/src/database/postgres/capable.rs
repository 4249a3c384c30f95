//! What a rollout will need of the server, tried by harmless real acts: the night is too late to learn that the
//! administrator may not make logins, or that the programs are older than the server.

use super::{
    Found, Postgres,
    ledger::Server,
    restore::drop_database,
    session::{Purpose, Session},
    sql,
};
use crate::{
    backup::{durable, space},
    database::{Answer, DatabaseCode},
};
use lockkeeper_agent::host::Failure;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Rows of the table that is dumped and restored.
const ROWS: u32 = 100;

/// What a check that crashed left is removed by a later one after this long; a check takes seconds.
const LEFT_AFTER: Duration = Duration::from_secs(3_600);

/// What the databases of a check are called before their random part, and say of themselves before their time.
const PREFIX: &str = "lk_check_";

impl Postgres {
    pub(super) async fn try_out(&self) -> Vec<(&'static str, Result<String, Failure>)> {
        let found = match self.find().await {
            Ok(found) => found,
            Err(refusal) => return vec![("reach every instance", Err(refusal.into()))],
        };
        let said = |answer: Answer<String>| answer.map_err(Failure::from);
        vec![
            ("make and drop a login", said(make_login(&found.primary.session).await)),
            ("end a session", said(self.end_session(&found).await)),
            ("dump and restore a table", said(self.dump_and_restore(&found).await)),
            ("room for two copies", said(self.room(&found).await)),
        ]
    }

    async fn end_session(&self, found: &Found) -> Answer<String> {
        let victim = self.target(&found.primary.instance, &found.login, Purpose::Inspect).await?;
        let pid = victim.value("select pg_backend_pid()::text", &[]).await?;
        let end = "select pg_terminate_backend($1::text::integer)::text";
        match found.primary.session.value(end, &[&pid]).await?.as_str() {
            "true" => Ok("one of our own was ended".to_owned()),
            other => Err(DatabaseCode::Admin.refuse(format!("pg_terminate_backend answered {other}"))),
        }
    }

    /// In two databases of its own, which are dropped again whatever happens.
    async fn dump_and_restore(&self, found: &Found) -> Answer<String> {
        let server = Server::open(&found.primary.instance, &found.login, Purpose::Restore).await?;
        sweep(&server.session).await?;
        let from = format!("{PREFIX}{}", uuid::Uuid::now_v7().simple());
        let to = format!("{from}_r");
        let file = self.means.data.join("run").join(format!("check-{}.dump", self.name));
        let done = self.through(&server.session, found, &from, &to, &file).await;
        for name in [&from, &to] {
            drop_database(&server.session, name).await?;
        }
        durable::remove_file_if_there(&file).map_err(|error| {
            DatabaseCode::BackupPlace.refuse(format!("cannot remove {}: {error}", file.display()))
        })?;
        done
    }

    async fn through(
        &self,
        session: &Session,
        found: &Found,
        from: &str,
        to: &str,
        file: &std::path::Path,
    ) -> Answer<String> {
        let (instance, login) = (&found.primary.instance, &found.login);
        for name in [from, to] {
            session.run(&format!("create database {} template template0", sql::name(name))).await?;
            let mark = format!("comment on database {} is {}", sql::name(name), sql::literal(&mark(now())));
            session.run(&mark).await?;
        }
        let absent = |name: &str| DatabaseCode::Statement.refuse(format!("{name} vanished while it was used"));
        let source = Session::open(instance, from, login, Purpose::Restore).await?.ok_or_else(|| absent(from))?;
        let fill = format!(
            "create table public.lk_check (id integer primary key, text text);
             insert into public.lk_check select n, md5(n::text) from generate_series(1, {ROWS}) n"
        );
        source.run(&fill).await?;
        self.dump_of(instance, login, file, from).await?;
        self.load(instance, login, file, to).await?;
        let copy = Session::open(instance, to, login, Purpose::Inspect).await?.ok_or_else(|| absent(to))?;
        let digest = "select count(*)::text || ' rows, ' || md5(string_agg(text, ',' order by id)) from public.lk_check";
        let (there, here) = (source.value(digest, &[]).await?, copy.value(digest, &[]).await?);
        if there != here {
            return Err(DatabaseCode::BackupDiffers.refuse(format!("dumped {there}, restored {here}")));
        }
        Ok(format!("{ROWS} rows came back as they were"))
    }

    async fn room(&self, found: &Found) -> Answer<String> {
        let target = self.target(&found.primary.instance, &found.login, Purpose::Inspect).await?;
        let size = target.value("select pg_database_size(current_database())::text", &[]).await?;
        let bytes: u64 = size
            .parse()
            .map_err(|_| DatabaseCode::QueryShape.refuse(format!("a database's size that is no number: {size}")))?;
        let directory = self.backups()?;
        space::enough(&directory, bytes.saturating_mul(2))?;
        Ok(format!("{} holds twice {} MB", directory.display(), bytes.div_ceil(1_000_000)))
    }
}

/// In one transaction that is taken back: nobody ever sees the login.
async fn make_login(session: &Session) -> Answer<String> {
    let name = sql::name(&format!("{PREFIX}{}", uuid::Uuid::now_v7().simple()));
    let tried = session
        .run(&format!("begin; create role {name} login password null; alter role {name} nologin; drop role {name}"))
        .await;
    session.run("rollback").await?;
    tried.map(|()| "made, locked and dropped in a transaction that was taken back".to_owned())
}

fn mark(at: Duration) -> String {
    format!("lockkeeper check {}", at.as_secs())
}

fn now() -> Duration {
    // A clock before 1970 makes everything young, so nothing is swept.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

async fn sweep(session: &Session) -> Answer<()> {
    let marked = "select datname::text, shobj_description(oid, 'pg_database') from pg_database
                  where datname like 'lk\\_check\\_%' and shobj_description(oid, 'pg_database') like 'lockkeeper check %'";
    for row in session.rows(marked, &[]).await? {
        let [Some(name), Some(text)] = row.as_slice() else { continue };
        let made = text.rsplit(' ').next().and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        if made.is_some_and(|made| now().saturating_sub(made) > LEFT_AFTER) {
            drop_database(session, name).await?;
        }
    }
    Ok(())
}
