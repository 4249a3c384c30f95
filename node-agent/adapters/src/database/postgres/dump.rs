//! The engine's own programs: `pg_dump` and `pg_restore`, told where and who by the environment.
//!
//! The password is in a file of mode 0600 while a program runs; argument lists and environments hold no secret.

use super::{
    Postgres,
    session::{Instance, Login, PROGRAM},
};
use crate::{
    backup::durable,
    database::{Answer, DatabaseCode, ProgramRun},
};
use secrecy::ExposeSecret;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Limit of a dump or a restore: two days are more than any window. The step's own deadline is shorter, and dropping
/// the future ends the program.
const PROGRAM_LIMIT: Duration = Duration::from_secs(48 * 3600);

/// Compression: the dump is read once more within the outage, so speed counts more than size.
const COMPRESSION: &str = "--compress=1";

/// Jobs of a restore: more than one hides the building of an index behind the loading of another table.
const RESTORE_JOBS: &str = "--jobs=2";

/// The password's file; removed when the program has ended.
struct PasswordFile(PathBuf);

impl Drop for PasswordFile {
    fn drop(&mut self) {
        if let Err(error) = durable::remove_file_if_there(&self.0) {
            tracing::warn!(file = %self.0.display(), %error, "a password file could not be removed");
        }
    }
}

impl Postgres {
    /// Dumps the target into `file`.
    pub(super) async fn dump(&self, instance: &Instance, login: &Login, file: &Path) -> Answer<()> {
        self.dump_of(instance, login, file, &self.spec.name).await
    }

    /// Dumps the database `name` into `file`.
    pub(super) async fn dump_of(
        &self,
        instance: &Instance,
        login: &Login,
        file: &Path,
        name: &str,
    ) -> Answer<()> {
        let arguments =
            ["--format=custom", COMPRESSION, "--no-password", "--lock-wait-timeout=20000", "--file"];
        self.program("pg_dump", &arguments, file, instance, login, name).await
    }

    /// Restores `file` into the database `name`, which must be empty. Subscriptions are left out: a copy must not
    /// take part in replication.
    pub(super) async fn load(
        &self,
        instance: &Instance,
        login: &Login,
        file: &Path,
        name: &str,
    ) -> Answer<()> {
        let database = format!("--dbname={name}");
        let arguments =
            ["--exit-on-error", "--no-password", "--no-subscriptions", RESTORE_JOBS, database.as_str()];
        self.program("pg_restore", &arguments, file, instance, login, name).await
    }

    async fn program(
        &self,
        program: &str,
        arguments: &[&str],
        file: &Path,
        instance: &Instance,
        login: &Login,
        database: &str,
    ) -> Answer<()> {
        let password = self.password_file(login)?;
        let mut argv = vec![self.means.bin.join(program).to_string_lossy().into_owned()];
        argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
        argv.push(file.to_string_lossy().into_owned());
        let mut env = BTreeMap::from([
            ("PGHOST".to_owned(), instance.host.clone()),
            ("PGPORT".to_owned(), instance.port.to_string()),
            ("PGUSER".to_owned(), login.user.clone()),
            ("PGDATABASE".to_owned(), database.to_owned()),
            ("PGPASSFILE".to_owned(), password.0.to_string_lossy().into_owned()),
            ("PGAPPNAME".to_owned(), PROGRAM.to_owned()),
            ("PGCONNECT_TIMEOUT".to_owned(), "5".to_owned()),
            (
                "PGSSLMODE".to_owned(),
                if instance.tls.is_some() { "verify-full" } else { "disable" }.to_owned(),
            ),
            ("LC_ALL".to_owned(), "C".to_owned()),
        ]);
        if let Some(authority) = &instance.tls {
            env.insert("PGSSLROOTCERT".to_owned(), authority.to_string_lossy().into_owned());
        }
        let end = self
            .means
            .programs
            .run(ProgramRun { argv, env, timeout: PROGRAM_LIMIT })
            .await
            .map_err(|why| DatabaseCode::Program.refuse(format!("{program} cannot be started: {why}")))?;
        match end.status {
            Some(0) => Ok(()),
            status => {
                let status =
                    status.map_or("was ended by a signal or its limit".to_owned(), |n| format!("exit {n}"));
                Err(DatabaseCode::Program.refuse(format!("{program}: {status}: {}", end.stderr.trim())))
            }
        }
    }

    fn password_file(&self, login: &Login) -> Answer<PasswordFile> {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
        let line = format!("*:*:*:{}:{}\n", escaped(&login.user), escaped(login.password.expose_secret()));
        let directory = self.means.data.join("run");
        let file = PasswordFile(directory.join(format!("pgpass-{}", self.name)));
        durable::make_private_dir(&directory)
            .and_then(|()| durable::write_private(&file.0, line.as_bytes()))
            .map_err(|error| DatabaseCode::Secret.refuse(format!("cannot keep a password file: {error}")))?;
        Ok(file)
    }
}
