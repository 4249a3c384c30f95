//! Connections to PostgreSQL: every one has a name, a purpose, a limit on connecting and a limit on every statement.

use crate::database::{Answer, DatabaseCode, Refusal};
use secrecy::{ExposeSecret, SecretString};
use std::{path::PathBuf, time::Duration};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls, config::SslMode, error::SqlState, types::ToSql};

/// How every session of ours calls itself; with the administrator's login it tells them from strangers'.
pub const PROGRAM: &str = "lockkeeper";

/// Limit on connecting and logging in: a stopped server still accepts connections, so an answer must come.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Limit of a statement on catalog or ledger. They read a few hundred rows or change a few roles; a longer one waits
/// for a lock, and then another try is better.
const STATEMENT_LIMIT: Duration = Duration::from_secs(20);
/// Limit of an operator's query, such as the schema's version: one value, possibly from a cold cache.
const VALUE_LIMIT: Duration = Duration::from_secs(30);
/// Limit of a statement that reads a whole table to prove a backup. The step's own deadline is shorter.
const READ_ALL_LIMIT: Duration = Duration::from_secs(48 * 3600);
/// How long an act on the ledger may stand still: an executor that froze inside one holds the lock, and the server ends
/// its session after this, so that the next executor can act and the frozen one, thawed, finds nothing done.
const IDLE_ACT_LIMIT: Duration = Duration::from_secs(8);
/// How much longer than the server's own limit an answer may take to arrive.
const ANSWER_SLACK: Duration = Duration::from_secs(5);

/// One server that may be or become the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Host name, address, or directory of the unix socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Certificate authority's file when the connection shall be encrypted.
    pub tls: Option<PathBuf>,
}

impl Instance {
    /// Reads `host:port`, `[v6]:port` or `/socket/directory:port`; without encryption.
    pub fn parse(text: &str) -> Answer<Self> {
        let unfit = || DatabaseCode::Unsupported.refuse(format!("{text:?} is not host:port"));
        let (host, port) = text.rsplit_once(':').ok_or_else(unfit)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().map_err(|_| unfit())?;
        if host.is_empty() {
            return Err(unfit());
        }
        Ok(Self { host: host.to_owned(), port, tls: None })
    }
}

impl std::fmt::Display for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Who logs in.
#[derive(Debug, Clone)]
pub struct Login {
    /// Name.
    pub user: String,
    /// Password.
    pub password: SecretString,
}

/// What a session is for; it may do no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Roles and ledger are changed.
    Ledger,
    /// The catalog is read, by its own names alone.
    Inspect,
    /// One of the operator's queries is asked, with the login's usual search path.
    Value,
    /// Whole tables are read.
    ReadAll,
    /// Scratch databases are made, filled and dropped.
    Restore,
}

impl Purpose {
    const fn limit(self) -> Duration {
        match self {
            Purpose::Ledger | Purpose::Inspect => STATEMENT_LIMIT,
            Purpose::Value => VALUE_LIMIT,
            Purpose::ReadAll | Purpose::Restore => READ_ALL_LIMIT,
        }
    }

    fn options(self) -> String {
        let limit = self.limit().as_millis();
        // Texts of values must be equal on both sides of a comparison, whatever the server's settings are.
        let common = format!(
            "-c statement_timeout={limit} -c lock_timeout=10s -c datestyle=ISO -c intervalstyle=postgres \
             -c timezone=UTC -c bytea_output=hex -c extra_float_digits=3"
        );
        match self {
            Purpose::Ledger => format!(
                "{common} -c search_path=pg_catalog -c synchronous_commit=on -c idle_in_transaction_session_timeout={}",
                IDLE_ACT_LIMIT.as_millis()
            ),
            Purpose::Restore => format!("{common} -c search_path=pg_catalog"),
            Purpose::Inspect | Purpose::ReadAll => {
                format!("{common} -c search_path=pg_catalog -c default_transaction_read_only=on")
            }
            Purpose::Value => format!("{common} -c default_transaction_read_only=on"),
        }
    }
}

/// One logged-in connection; dropping it ends it, and what was not committed is undone by the server.
#[derive(Debug)]
pub struct Session {
    client: Client,
    driver: JoinHandle<()>,
    limit: Duration,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A row, all of whose columns are text.
pub type Row = Vec<Option<String>>;

impl Session {
    /// Logs in; `None` when the server has no such database.
    pub async fn open(
        instance: &Instance,
        database: &str,
        login: &Login,
        purpose: Purpose,
    ) -> Answer<Option<Self>> {
        let mut config = Config::new();
        config
            .host(&instance.host)
            .port(instance.port)
            .user(&login.user)
            .password(login.password.expose_secret())
            .dbname(database)
            .application_name(PROGRAM)
            .connect_timeout(CONNECT_LIMIT)
            .options(purpose.options())
            .ssl_mode(if instance.tls.is_some() { SslMode::Require } else { SslMode::Disable });
        let opened = tokio::time::timeout(CONNECT_LIMIT, connect(&config, instance)).await;
        match opened {
            Err(_elapsed) => Err(DatabaseCode::Unreachable
                .refuse(format!("{instance} did not answer within {} s", CONNECT_LIMIT.as_secs()))),
            Ok(Ok((client, driver))) => Ok(Some(Self { client, driver, limit: purpose.limit() })),
            Ok(Err(Opening::Refused(refusal))) => Err(refusal),
            Ok(Err(Opening::Failed(error))) => match error.code() {
                Some(code) if *code == SqlState::INVALID_CATALOG_NAME => Ok(None),
                // Classes 53 and 57: too many connections, starting up, shutting down.
                Some(code) if matches!(code.code().get(..2), Some("53" | "57")) => {
                    Err(DatabaseCode::Unreachable
                        .refuse(format!("{instance} is not ready: {}", told(&error))))
                }
                Some(_) => Err(DatabaseCode::Admin.refuse(format!(
                    "{instance} refused {} on {database}: {}",
                    login.user,
                    told(&error)
                ))),
                None => Err(DatabaseCode::Unreachable
                    .refuse(format!("{instance} cannot be reached: {}", told(&error)))),
            },
        }
    }

    /// Rows of a statement whose columns are all text.
    pub async fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Answer<Vec<Row>> {
        let rows = self.answered(self.client.query(sql, values)).await?;
        rows.iter()
            .map(|row| {
                (0..row.len())
                    .map(|column| row.try_get::<_, Option<String>>(column).map_err(|error| failed(&error)))
                    .collect()
            })
            .collect()
    }

    /// The first column of every row; a null is an empty text.
    pub async fn column(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Answer<Vec<String>> {
        let rows = self.rows(sql, values).await?;
        Ok(rows.into_iter().map(|row| row.into_iter().next().flatten().unwrap_or_default()).collect())
    }

    /// The only value of a statement; a null is an empty text.
    pub async fn value(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Answer<String> {
        match self.column(sql, values).await?.as_mut_slice() {
            [only] => Ok(std::mem::take(only)),
            rows => {
                Err(DatabaseCode::QueryShape.refuse(format!("{} rows where one was expected", rows.len())))
            }
        }
    }

    /// Runs statements that answer nothing.
    pub async fn run(&self, sql: &str) -> Answer<()> {
        self.answered(self.client.batch_execute(sql)).await
    }

    /// Runs statements and keeps the SQL state of a failure.
    pub async fn try_run(&self, sql: &str) -> Answer<Result<(), SqlState>> {
        let ran = tokio::time::timeout(self.limit + ANSWER_SLACK, self.client.batch_execute(sql)).await;
        match ran {
            Ok(Ok(())) => Ok(Ok(())),
            Ok(Err(error)) => match error.code() {
                Some(code) => Ok(Err(code.clone())),
                None => Err(failed(&error)),
            },
            Err(_elapsed) => Err(silent()),
        }
    }

    /// One query of the operator's: exactly one row with one column, of any type, as text.
    pub async fn operators_value(&self, sql: &str) -> Answer<String> {
        use tokio_postgres::SimpleQueryMessage;
        let mut found = None;
        for message in self.answered(self.client.simple_query(sql)).await? {
            if let SimpleQueryMessage::Row(row) = message {
                if row.len() != 1 || found.is_some() {
                    return Err(DatabaseCode::QueryShape.refuse(format!(
                        "the query must answer one row with one column, found a row with {} columns{}",
                        row.len(),
                        if found.is_some() { " after another row" } else { "" }
                    )));
                }
                found = Some(row.get(0).unwrap_or_default().to_owned());
            }
        }
        found.ok_or_else(|| DatabaseCode::QueryShape.refuse("the query answered no row"))
    }

    async fn answered<T>(&self, asked: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Answer<T> {
        match tokio::time::timeout(self.limit + ANSWER_SLACK, asked).await {
            Ok(answer) => answer.map_err(|error| failed(&error)),
            Err(_elapsed) => Err(silent()),
        }
    }
}

enum Opening {
    Refused(Refusal),
    Failed(tokio_postgres::Error),
}

async fn connect(config: &Config, instance: &Instance) -> Result<(Client, JoinHandle<()>), Opening> {
    match &instance.tls {
        None => {
            let (client, connection) = config.connect(NoTls).await.map_err(Opening::Failed)?;
            Ok((client, drive(connection)))
        }
        Some(authority) => {
            let tls = super::tls::connector(authority).map_err(Opening::Refused)?;
            let (client, connection) = config.connect(tls).await.map_err(Opening::Failed)?;
            Ok((client, drive(connection)))
        }
    }
}

fn drive<F>(connection: F) -> JoinHandle<()>
where
    F: Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
{
    tokio::spawn(async move {
        // Whoever waits for an answer on this connection gets the error; here it is only worth a note.
        if let Err(error) = connection.await {
            tracing::debug!(error = %told(&error), "a database connection ended");
        }
    })
}

fn failed(error: &tokio_postgres::Error) -> Refusal {
    match error.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            DatabaseCode::Admin.refuse(format!("the administrator's login may not do this: {}", told(error)))
        }
        Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => DatabaseCode::Ledger
            .refuse(format!("another act holds the lock, or somebody blocks it: {}", told(error))),
        // 57P01 to 57P05, 25P03: the server ended the session, or is going down.
        Some(code) if code.code().starts_with("57P") || code.code() == "25P03" => {
            DatabaseCode::Unreachable.refuse(format!("the server ended the session: {}", told(error)))
        }
        Some(_) => DatabaseCode::Statement.refuse(told(error)),
        None if error.is_closed() => {
            DatabaseCode::Unreachable.refuse("the connection ended before the answer came")
        }
        None => DatabaseCode::Statement.refuse(told(error)),
    }
}

fn silent() -> Refusal {
    DatabaseCode::Unreachable.refuse("the server did not answer within the statement's limit")
}

/// The server's words, without the detail, which may hold row values.
fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} (SQLSTATE {})", db.message(), db.code().code()),
        None => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_read_as_people_write_them() {
        let plain = Instance::parse("10.77.0.20:5432").unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.tls), ("10.77.0.20", 5432, None));
        assert_eq!(Instance::parse("[::1]:5433").unwrap().host, "::1");
        assert_eq!(Instance::parse("/run/postgresql:5432").unwrap().host, "/run/postgresql");
        for bad in ["db", "db:", ":5432", "db:x", "db:5432?tls=/ca.pem", ""] {
            assert_eq!(Instance::parse(bad).unwrap_err().code, DatabaseCode::Unsupported, "{bad}");
        }
    }
}
