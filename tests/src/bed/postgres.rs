//! PostgreSQL on its host, with a csvlog that says everything, a superuser for the coordinator, the application's
//! role, and a trigger that makes the migration slow enough for faults to land in it. Knows Kinto's schema version
//! table; knows nothing of who upgrades it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::host::{Daemon, Host};
use super::process::{self, wait_for};
use super::tools;

/// The application's database and its owner.
pub const DATABASE: &str = "kinto";
/// The application's login and its password.
pub const APP: (&str, &str) = ("kinto", "kinto-of-the-bed");
/// The superuser that a coordinator uses, and its password.
pub const COORDINATOR: (&str, &str) = ("lockkeeper", "keeper-of-the-bed");

/// initdb takes 1 to 3 s on a busy machine, a start 0.2 s.
const UP_WITHIN: Duration = Duration::from_secs(60);
/// One statement of the bed's own.
const ASK_WITHIN: Duration = Duration::from_secs(30);

/// Every statement is logged: the oracle counts upgrades and writers from it. Keep-alives are short, so that the
/// session of a lost host ends in seconds instead of hours.
const SETTINGS: &str = "
listen_addresses = '*'
unix_socket_directories = '/run/postgresql'
max_connections = 200
wal_level = logical
tcp_keepalives_idle = 5
tcp_keepalives_interval = 2
tcp_keepalives_count = 2
logging_collector = on
log_destination = 'csvlog'
log_directory = '/var/log/postgresql'
log_filename = 'postgresql.log'
log_file_mode = 0644
log_rotation_age = 0
log_rotation_size = 0
log_timezone = 'UTC'
timezone = 'UTC'
log_statement = 'all'
log_connections = on
log_disconnections = on
log_lock_waits = on
";

const ACCESS: &str = "local all postgres trust\nhost all all 10.77.0.0/24 scram-sha-256\n";

/// All rows that the application owns, one JSON object a line, in a fixed order.
const ROWS: &str = "
select line from (
  select 1 as part, resource_name || ' ' || parent_id || ' ' || id as key,
         json_build_object('table', 'objects', 'key', resource_name || ' ' || parent_id || ' ' || id, 'row', to_jsonb(o)) as line
    from objects o
  union all
  select 2, object_id || ' ' || permission || ' ' || principal,
         json_build_object('table', 'access_control_entries',
                           'key', object_id || ' ' || permission || ' ' || principal, 'row', to_jsonb(a))
    from access_control_entries a
  union all
  select 3, user_id || ' ' || principal,
         json_build_object('table', 'user_principals', 'key', user_id || ' ' || principal, 'row', to_jsonb(u))
    from user_principals u
) rows order by part, key collate \"C\"";

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    /// The database host.
    pub host: Host,
    _server: Daemon,
}

impl Postgres {
    /// Initialises and starts the server, makes both logins and the empty database.
    pub fn start(host: Host, bed: &Path) -> Result<Self> {
        let bin = programs()?;
        for own in ["lib/postgresql", "run/postgresql", "log/postgresql"] {
            let directory = host.directory().join(own);
            fs::create_dir_all(&directory)?;
            process::run(ASK_WITHIN, &["chown", "postgres:postgres", tools::path(&directory)?])?.ok()?;
        }
        let as_postgres = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"];
        let initdb = bin.join("initdb");
        let mut argv = as_postgres.to_vec();
        argv.extend([
            tools::path(&initdb)?,
            "-D",
            "/var/lib/postgresql/data",
            "-U",
            "postgres",
            "-A",
            "trust",
        ]);
        argv.extend(["-E", "UTF8", "--locale=C.UTF-8", "-k", "-N"]);
        host.run(UP_WITHIN, &argv)?.ok().context("initdb")?;

        let data = host.directory().join("lib/postgresql/data");
        let settings = data.join("postgresql.conf");
        fs::write(&settings, fs::read_to_string(&settings)? + SETTINGS)?;
        fs::write(data.join("pg_hba.conf"), ACCESS)?;
        let server = bin.join("postgres");
        let mut argv = as_postgres.to_vec();
        argv.extend([tools::path(&server)?, "-D", "/var/lib/postgresql/data"]);
        let server = host.daemon("postgres", &argv)?;

        let postgres = Self { host, _server: server };
        wait_for("PostgreSQL", UP_WITHIN, || postgres.ask("postgres", "select 1").map(Some))
            .with_context(|| format!("see {}", bed.display()))?;
        for statement in [
            format!("create role {} login superuser password '{}'", COORDINATOR.0, COORDINATOR.1),
            format!("create role {} login password '{}'", APP.0, APP.1),
            format!("create database {DATABASE} owner {}", APP.0),
        ] {
            postgres.ask("postgres", &statement)?;
        }
        Ok(postgres)
    }

    /// Where members reach it.
    pub fn address(&self) -> Result<Ipv4Addr> {
        self.host.address().context("the database host has an address")
    }

    /// Runs statements as `postgres` through the unix socket; answers rows without headers, columns separated by `|`.
    pub fn ask(&self, database: &str, statement: &str) -> Result<String> {
        let socket = self.host.directory().join("run/postgresql");
        let argv = [
            "psql",
            "-X",
            "-At",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            tools::path(&socket)?,
            "-U",
            "postgres",
            "-d",
            database,
            "-c",
            statement,
        ];
        Ok(process::run(ASK_WITHIN, &argv)?.ok().with_context(|| statement.to_owned())?.trim_end().to_owned())
    }

    /// The database's clock, as the csvlog writes it.
    pub fn now(&self) -> Result<String> {
        self.ask(
            "postgres",
            "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')",
        )
    }

    /// The highest storage schema version that is recorded.
    pub fn schema_version(&self) -> Result<u32> {
        let query = "select max(value::int) from metadata where name = 'storage_schema_version'";
        self.ask(DATABASE, query)?.parse().context("schema version")
    }

    /// Makes each migration step take `step` longer: every step ends by recording its version, and a trigger on that
    /// very row sleeps. Nothing else writes such a row, so nothing but a migration is slowed. May be called again.
    pub fn slow_migration(&self, step: Duration) -> Result<()> {
        let seconds = step.as_secs_f64();
        self.ask(
            DATABASE,
            &format!(
                "create schema if not exists bed;
                 create or replace function bed.slow_migration() returns trigger language plpgsql as
                   $$ begin perform pg_sleep({seconds}); return new; end $$;
                 create or replace trigger bed_slow_migration before insert or update on public.metadata
                   for each row when (new.name = 'storage_schema_version') execute function bed.slow_migration();"
            ),
        )?;
        Ok(())
    }

    /// Makes the migration step that ends at `version` fail, after the earlier ones have been committed: what a half-way
    /// broken migration leaves.
    pub fn break_migration(&self, version: u32) -> Result<()> {
        self.ask(
            DATABASE,
            &format!(
                "create function bed.break_migration() returns trigger language plpgsql as
                   $$ begin raise exception 'the bed breaks this migration'; end $$;
                 create trigger bed_break_migration before insert or update on public.metadata
                   for each row when (new.name = 'storage_schema_version' and new.value = '{version}')
                   execute function bed.break_migration();"
            ),
        )?;
        Ok(())
    }

    /// Names of the databases that begin with the application's.
    pub fn databases(&self) -> Result<Vec<String>> {
        let query =
            format!("select datname from pg_database where starts_with(datname, '{DATABASE}') order by 1");
        Ok(self.ask("postgres", &query)?.lines().map(str::to_owned).collect())
    }

    /// Writes all rows of the application to a file.
    pub fn rows(&self, file: &Path) -> Result<()> {
        Ok(fs::write(file, self.ask(DATABASE, ROWS)? + "\n")?)
    }

    /// The log, as the machine sees it.
    pub fn csvlog(&self) -> PathBuf {
        self.host.directory().join("log/postgresql/postgresql.csv")
    }

    /// Whether the log shows that some session has begun the migration step that ends at `version`. Reads the log only:
    /// a look must not be a session of its own while the door is shut.
    pub fn step_begun(&self, version: u32) -> Result<bool> {
        let mark = format!("VALUES ('storage_schema_version', '{version}')");
        Ok(String::from_utf8_lossy(&fs::read(self.csvlog())?).contains(&mark))
    }
}

/// The newest server's directory of programs, as Debian lays them out.
fn programs() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .context("no PostgreSQL server is installed (package postgresql)")?
        .filter_map(|entry| {
            let path = entry.ok()?.path().join("bin");
            let version = path.parent()?.file_name()?.to_str()?.parse().ok()?;
            path.join("initdb").exists().then_some((version, path))
        })
        .collect();
    found.sort();
    Ok(found.pop().context("no PostgreSQL server is installed (package postgresql)")?.1)
}
