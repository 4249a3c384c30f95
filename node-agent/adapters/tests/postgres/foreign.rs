//! Locks of other migration tools on a real server: held by a session that lives, left by one that is gone, absent.

use super::bed::*;
use lockkeeper_adapters::database::DatabaseAdapter;
use lockkeeper_core::{
    cluster::{AdminLogin, SecretRef},
    observe::{ForeignLock, ForeignLocks, Life, Tool},
};
use std::process::{Child, Stdio};

/// A session that runs `sql` and then sleeps until it is ended.
struct Session(Child);

impl Session {
    fn run(bed: &Bed, user: &str, host: &str, sql: &str) -> Self {
        let child = bed
            .server
            .psql(user, "appdb")
            .env("PGAPPNAME", "migrator")
            .args(["-q", "-h", host, "-c", sql, "-c", "select pg_sleep(600)"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("the session sleeps", || bed.sleeping() != "0");
        Self(child)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Bed {
    fn sleeping(&self) -> String {
        self.server.sql(
            "postgres",
            "select count(*) from pg_stat_activity where datname = 'appdb' and query like '%pg_sleep%' and pid <> pg_backend_pid()",
        )
    }

    /// Ends a session and waits until the server has noticed.
    fn end(&self, session: Session) {
        drop(session);
        self.server.sql("postgres", "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()");
        wait_for("the session is gone", || self.sleeping() == "0");
    }

    async fn seen(&self) -> ForeignLocks {
        self.adapter("n1").foreign_locks().await.unwrap()
    }

    async fn one(&self) -> ForeignLock {
        let seen = self.seen().await;
        assert_eq!((seen.locks.len(), seen.unread.len()), (1, 0), "{seen:?}");
        seen.locks.into_iter().next().unwrap()
    }

    /// Runs what a person is told to run, which leaves no lock.
    async fn undo(&self, lock: &ForeignLock) {
        for sql in &lock.sql {
            self.server.sql("appdb", sql);
        }
        assert_eq!(self.seen().await.locks, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_seen_where_nothing_is() {
    let bed = Bed::new();
    assert_eq!(bed.seen().await, ForeignLocks::default());
    // The same names, of others: Rails' versions, a settings table, a view, and Liquibase at rest.
    bed.server.sql(
        "appdb",
        "create table schema_migrations (version text primary key); insert into schema_migrations values ('20261128');
         create table schema_version (version int, success text);
         create view flyway_schema_history as select 1 installed_rank, false success;
         create table databasechangeloglock (id int primary key, locked boolean, lockgranted timestamp, lockedby text);
         insert into databasechangeloglock values (1, false, null, null)",
    );
    assert_eq!(bed.seen().await, ForeignLocks::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn alfrescos_marker_with_and_without_its_holder() {
    let bed = Bed::new();
    let make = "set role appowner; create table alf_bootstrap_lock (charval char(1) not null)";
    let holder = Session::run(&bed, "app", "127.0.0.1", make);
    // Between two statements nothing tells it from another session of the application.
    let lock = bed.one().await;
    assert_eq!(
        (lock.tool, lock.life, lock.lock.as_str()),
        (Tool::Alfresco, Life::Unknown, "table public.alf_bootstrap_lock")
    );
    assert!(lock.proof.contains("program \"migrator\", login app"), "{}", lock.proof);
    assert!(lock.blocks() && lock.sql[0].starts_with("SELECT pid"));
    bed.server.sql("appdb", &lock.sql[0]);
    bed.end(holder);
    let works = "set role appowner; begin; alter table record add column more int";
    let holder = Session::run(&bed, "app", "127.0.0.1", works);
    let lock = bed.one().await;
    assert_eq!(lock.life, Life::Alive, "{}", lock.proof);
    bed.end(holder);
    let lock = bed.one().await;
    assert_eq!(
        (lock.life, lock.sql.as_slice()),
        (Life::Dead, ["DROP TABLE \"public\".\"alf_bootstrap_lock\";".to_owned()].as_slice())
    );
    bed.undo(&lock).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn liquibases_lock_in_both_cases_of_its_name() {
    let bed = Bed::new();
    for (name, columns) in [
        ("databasechangeloglock", ["id", "locked", "lockgranted", "lockedby"]),
        ("\"DATABASECHANGELOGLOCK\"", ["\"ID\"", "\"LOCKED\"", "\"LOCKGRANTED\"", "\"LOCKEDBY\""]),
    ] {
        let [id, locked, granted, by] = columns;
        bed.server.sql("appdb", &format!("create table {name} ({id} int primary key, {locked} boolean not null, {granted} timestamp, {by} text)"));
        bed.server.sql("appdb", &format!("alter table {name} owner to appowner"));
        let take = format!(
            "set role appowner; insert into {name} values (1, true, localtimestamp, 'web1 (127.0.0.1)')"
        );
        let holder = Session::run(&bed, "app", "127.0.0.1", &take);
        let lock = bed.one().await;
        assert_eq!(
            (lock.tool, lock.life, lock.holder.as_str()),
            (Tool::Liquibase, Life::Alive, "web1 (127.0.0.1)")
        );
        assert!(lock.since.starts_with("20"), "{}", lock.since);
        // What ends it by force, as it is told, ends this one and no other.
        assert_eq!(lock.sql.len(), 2, "{:?}", lock.sql);
        assert_eq!(bed.server.sql("appdb", &lock.sql[1]), "t");
        bed.end(holder);
        let lock = bed.one().await;
        assert_eq!(lock.life, Life::Dead, "{}", lock.proof);
        // Somebody from elsewhere is there: it may be the same one by another way.
        let other = Session::run(&bed, "app", text_of(bed.server.sockets()), "select 1");
        assert_eq!(bed.one().await.life, Life::Unknown);
        bed.end(other);
        bed.undo(&lock).await;
        bed.server.sql("appdb", &format!("drop table {name}"));
    }
}

fn text_of(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn flyways_lock_and_its_failed_migrations() {
    let bed = Bed::new();
    bed.server.sql(
        "appdb",
        "create table flyway_schema_history (installed_rank int primary key, version varchar(50), description varchar(200), type varchar(20),
             script varchar(1000), checksum int, installed_by varchar(100), installed_on timestamp default now(), execution_time int, success boolean);
         insert into flyway_schema_history values (1, '1', 'base', 'SQL', 'V1.sql', 7, 'app', now(), 1, true)",
    );
    let holder = Session::run(&bed, "app", "127.0.0.1", "select pg_advisory_lock(77431708279161 - 12345)");
    let lock = bed.one().await;
    assert_eq!((lock.tool, lock.life, lock.holder.as_str()), (Tool::Flyway, Life::Alive, "app@127.0.0.1"));
    bed.end(holder);
    assert_eq!(bed.seen().await.locks, []);
    bed.server.sql("appdb", "insert into flyway_schema_history values (2, '2', 'more', 'SQL', 'V2.sql', 8, 'app', now(), 1, false)");
    // An application that serves does not hide that nobody migrates.
    let app = Session::run(&bed, "app", "127.0.0.1", "select 1");
    let lock = bed.one().await;
    assert_eq!((lock.tool, lock.life), (Tool::Flyway, Life::Dead));
    assert!(
        lock.lock.contains("failed migration 2 V2.sql") && lock.next.contains("flyway repair"),
        "{lock:?}"
    );
    bed.end(app);
    bed.undo(&lock).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn golang_migrates_dirty_flag_and_its_advisory_lock() {
    let bed = Bed::new();
    bed.server.sql("appdb", "create table schema_migrations (version bigint primary key, dirty boolean not null); insert into schema_migrations values (7, true)");
    // The number that golang-migrate 4 takes for the table public.schema_migrations of appdb.
    let holder = Session::run(&bed, "app", "127.0.0.1", "select pg_advisory_lock(4014298803)");
    let lock = bed.one().await;
    assert_eq!((lock.tool, lock.life), (Tool::GolangMigrate, Life::Alive));
    assert!(lock.lock.contains("dirty at version 7"), "{}", lock.lock);
    bed.end(holder);
    let lock = bed.one().await;
    assert_eq!(lock.life, Life::Dead);
    bed.undo(&lock).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn advisory_locks_say_who_holds_them_and_who_waits() {
    let bed = Bed::new();
    let holder =
        Session::run(&bed, "app", "127.0.0.1", "select pg_advisory_lock(4711), pg_advisory_lock(-1, 2)");
    let mut waiter = bed
        .server
        .psql("reporting", "appdb")
        .args(["-c", "select pg_advisory_lock(4711)"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("it waits", || {
        bed.server.sql("postgres", "select count(*) from pg_locks where not granted") == "1"
    });
    let seen = bed.seen().await;
    let told: Vec<_> = seen.locks.iter().map(|l| (l.tool, l.life, l.lock.as_str(), l.blocks())).collect();
    let wanted = [
        (Tool::Advisory, Life::Alive, "advisory lock 4711, 1 waiting", false),
        (Tool::Advisory, Life::Alive, "advisory lock (-1, 2)", false),
    ];
    assert_eq!(told, wanted);
    // Who could be a stranger is told with it; who only reads is not.
    let logins: Vec<_> = seen.writers.iter().map(|w| (w.login.as_str(), w.program.as_str())).collect();
    assert_eq!(logins, [("app", "migrator")]);
    waiter.kill().unwrap();
    waiter.wait().unwrap();
    bed.end(holder);
    bed.server.sql("appdb", "begin; select pg_advisory_xact_lock(72707369); prepare transaction 'left'");
    let lock = bed.one().await;
    assert_eq!((lock.tool, lock.life, lock.blocks()), (Tool::Prisma, Life::Unknown, true));
    assert!(bed.server.sql("appdb", &lock.sql[0]).starts_with("left|"));
    bed.server.sql("appdb", "rollback prepared 'left'");
    assert_eq!(bed.seen().await.locks, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_tables_and_narrow_rights_are_told_and_break_nothing() {
    let bed = Bed::new();
    bed.server.sql(
        "appdb",
        "create schema \"Odd \"\"one\"; create table \"Odd \"\"one\".databasechangeloglock (locked point, \"a,b\" xml);
         insert into \"Odd \"\"one\".databasechangeloglock values (point(1, 2), null);
         create table databasechangeloglock (); insert into databasechangeloglock default values;
         create table schema_migrations (version json, \"DIRTY\" text); insert into schema_migrations values ('{\"v\": 7}', 'yes');
         create table flyway_schema_history (installed_rank text, success \"char\"); insert into flyway_schema_history values (null, 'f')",
    );
    let seen = bed.seen().await;
    let tools: Vec<_> = seen.locks.iter().map(|l| (l.tool, l.life)).collect();
    assert_eq!(tools, [(Tool::Flyway, Life::Dead), (Tool::GolangMigrate, Life::Dead)], "{seen:?}");
    assert_eq!(seen.unread.len(), 2, "{seen:?}");
    // Somebody holds a table so that it cannot be read: told, and waited for a second at most.
    let holder = Session::run(
        &bed,
        "postgres",
        text_of(bed.server.sockets()),
        "begin; lock table databasechangeloglock",
    );
    let begun = std::time::Instant::now();
    let locked = bed.seen().await;
    assert!(
        locked.unread.iter().any(|why| why.contains("public.databasechangeloglock") && why.contains("lock")),
        "{locked:?}"
    );
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    bed.end(holder);
    // A login that sees neither rows nor sessions.
    bed.server.sql("postgres", "create role weak login password 'weak-secret'; grant connect on database appdb to weak; grant execute on function pg_control_system() to weak");
    let mut spec = bed.spec.clone();
    spec.admin = Some(AdminLogin { user: "weak".into(), password: SecretRef("weak-secret".into()) });
    bed.server.sql("appdb", "create table alf_bootstrap_lock (charval char(1) not null)");
    let app = Session::run(&bed, "app", "127.0.0.1", "select 1");
    let seen = bed.adapter_for("n1", spec).foreign_locks().await.unwrap();
    let marker: Vec<_> = seen.locks.iter().map(|l| (l.tool, l.life)).collect();
    assert_eq!(marker, [(Tool::Alfresco, Life::Unknown)], "{seen:?}");
    assert!(seen.locks[0].proof.contains("pg_read_all_stats"), "{seen:?}");
    assert!(seen.unread.iter().any(|why| why.contains("permission denied")), "{seen:?}");
    bed.end(app);
}
