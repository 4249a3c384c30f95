//! Databases: who is in, who may come in, how a set is restored beside. `psql` and `sqlite3` are the engines' own.

use super::shell::{self, word};
use crate::{
    database::postgres::sql,
    door::{captured::CapturedLogins, login::login_name},
};
use lockkeeper_core::{
    cluster::{DatabaseSpec, Engine},
    ids::{DatabaseName, Token},
    plan::{
        Plan,
        action::{DatabaseAction, UpgradeDatabase},
    },
};

/// The dump inside a set of PostgreSQL.
const DUMP: &str = "database.dump";
/// The copy inside a set of SQLite.
const COPY: &str = "database.db";

fn spec<'a>(plan: &'a Plan, name: &DatabaseName) -> Option<&'a DatabaseSpec> {
    plan.targets.databases.get(name)
}

fn unknown(name: &DatabaseName) -> Vec<String> {
    vec![format!("# database {name} is not among the plan's targets")]
}

/// `psql` on the first instance. With several the primary is the one that answers `f` to `pg_is_in_recovery()`.
fn psql(spec: &DatabaseSpec, database: &str, statement: &str) -> String {
    format!("{} -X -v ON_ERROR_STOP=1 -d {} -c {}", client("psql", spec), word(database), word(statement))
}

fn client(program: &str, spec: &DatabaseSpec) -> String {
    let instance = spec.instances.first().map(String::as_str).unwrap_or_default();
    let (host, port) = instance.rsplit_once(':').unwrap_or((instance, "5432"));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let user = spec.admin.as_ref().map(|admin| admin.user.as_str()).unwrap_or("postgres");
    format!("{program} -h {} -p {} -U {}", word(host), word(port), word(user))
}

fn directory(spec: &DatabaseSpec) -> &str {
    spec.instances.first().map(String::as_str).unwrap_or_default()
}

/// What to know before the first `psql`.
fn password(spec: &DatabaseSpec, lines: &mut Vec<String>) {
    if let Some(admin) = &spec.admin {
        lines.push(format!("# password of {}: {} on the executor's host", admin.user, admin.password.0));
    }
    if spec.instances.len() > 1 {
        lines.push(format!(
            "# instances {}: act on the one where `select pg_is_in_recovery()` says f",
            spec.instances.join(" ")
        ));
    }
}

/// One value by SQL.
pub fn ask(plan: &Plan, name: &DatabaseName, query: &str) -> String {
    match spec(plan, name) {
        None => format!("# database {name} is not among the plan's targets"),
        Some(spec) => match spec.engine {
            Engine::Postgres => psql(spec, &spec.name, query),
            Engine::Sqlite => {
                format!("sqlite3 -readonly {} {}", word(&format!("{}/current", directory(spec))), word(query))
            }
        },
    }
}

/// Who is in.
pub fn sessions(plan: &Plan, name: &DatabaseName) -> Vec<String> {
    let Some(spec) = spec(plan, name) else { return unknown(name) };
    match spec.engine {
        Engine::Postgres => {
            let mut lines = Vec::new();
            password(spec, &mut lines);
            lines.push(psql(
                spec,
                "postgres",
                &format!(
                    "select pid, usename, client_addr, application_name, backend_start from pg_stat_activity \
                     where datname = {} and pid <> pg_backend_pid()",
                    sql::literal(&spec.name)
                ),
            ));
            lines
        }
        Engine::Sqlite => {
            vec![format!(
                "fuser -v {}   # nobody must be listed",
                word(&format!("{}/current", directory(spec)))
            )]
        }
    }
}

/// A set of one's own.
pub fn backup(plan: &Plan, action: &DatabaseAction) -> Vec<String> {
    let Some(spec) = spec(plan, &action.database) else { return unknown(&action.database) };
    let set = format!("{}/{}-by-hand", spec.backups, action.set);
    let mut lines = vec![format!("mkdir -m 0700 {}", word(&set))];
    match spec.engine {
        Engine::Postgres => {
            password(spec, &mut lines);
            lines.push(format!(
                "{} --format=custom --file={} {}",
                client("pg_dump", spec),
                word(&format!("{set}/{DUMP}")),
                word(&spec.name)
            ));
        }
        Engine::Sqlite => lines.push(format!(
            "sqlite3 {} {}",
            word(&format!("{}/current", directory(spec))),
            word(&format!("vacuum into '{set}/{COPY}'"))
        )),
    }
    lines
}

/// Everybody out.
pub fn shut(plan: &Plan, name: &DatabaseName) -> Vec<String> {
    let Some(spec) = spec(plan, name) else { return unknown(name) };
    match spec.engine {
        Engine::Postgres => {
            let mut lines = sessions(plan, name);
            lines.push("# for every login of the application:".to_owned());
            lines.push(psql(spec, "postgres", "alter role \"LOGIN\" nologin"));
            lines.push(end_sessions(spec, None));
            lines
        }
        Engine::Sqlite => {
            let link = word(&format!("{}/current", directory(spec)));
            vec![format!("readlink {link}   # write it down"), format!("rm {link}")]
        }
    }
}

fn end_sessions(spec: &DatabaseSpec, login: Option<&str>) -> String {
    let whose = login.map(|login| format!(" and usename = {}", sql::literal(login))).unwrap_or_default();
    psql(
        spec,
        "postgres",
        &format!(
            "select pid, pg_terminate_backend(pid) from pg_stat_activity where datname = {}{whose} and \
             pid <> pg_backend_pid()",
            sql::literal(&spec.name)
        ),
    )
}

/// By hand the upgrader enters as itself.
pub fn admit(plan: &Plan, name: &DatabaseName) -> Vec<String> {
    let Some(spec) = spec(plan, name) else { return unknown(name) };
    match spec.engine {
        Engine::Postgres => vec![
            "# by hand the tool uses a login of its own, the only one that may enter:".to_owned(),
            psql(spec, "postgres", "alter role \"LOGIN\" login"),
        ],
        Engine::Sqlite => open(plan, name, None),
    }
}

/// The vendor's tool, once, on one host.
pub fn upgrade(plan: &Plan, upgrade: &UpgradeDatabase) -> Vec<String> {
    let mut lines = vec![
        format!("# ONCE, on one host, with every application stopped. The schema says now:"),
        ask(plan, &upgrade.database, &upgrade.schema.query),
        format!(
            "# {:?} before, {:?} after. Only at {:?} the tool may be run{}:",
            upgrade.schema.before,
            upgrade.schema.after,
            upgrade.schema.before,
            if upgrade.resumes {
                " (or in between: it resumes)"
            } else {
                "; in between: restore the set first"
            }
        ),
    ];
    lines.push(shell::command(plan, &upgrade.command));
    if lines.iter().any(|line| line.contains("{credential.")) {
        lines.push("# fill {credential.…} with a login of your own".to_owned());
    }
    lines
}

/// The ways in that were taken are given back, and read back.
pub fn open(plan: &Plan, name: &DatabaseName, captured: Option<&str>) -> Vec<String> {
    let Some(spec) = spec(plan, name) else { return unknown(name) };
    match spec.engine {
        Engine::Postgres => {
            let mut lines = Vec::new();
            password(spec, &mut lines);
            match captured.map(CapturedLogins::parse) {
                Some(Ok(captured)) => {
                    for login in &captured.logins {
                        lines.push(psql(spec, "postgres", &format!("alter role {} login", sql::name(login))));
                    }
                    lines.push(psql(
                        spec,
                        "postgres",
                        "select rolname, rolcanlogin from pg_roles where rolname !~ '^pg_' order by 1",
                    ));
                }
                Some(Err(_)) => {
                    lines.push(format!("# the captured value is no list of logins: {captured:?}"))
                }
                None => lines.push(format!("# the logins that were taken stand under owed, {name}/door")),
            }
            lines
        }
        Engine::Sqlite => {
            let directory = directory(spec);
            let query = format!(
                "select live from door_1 where stem = '{}' order by generation desc, idx desc limit 1",
                spec.name.replace('\'', "''")
            );
            let ledger = word(&format!("{directory}/ledger.db"));
            vec![
                format!("ls -l {}   # the files; .fenced ones are never linked again", word(directory)),
                format!(
                    "test -e {link} || ln -s \"$(sqlite3 -readonly {ledger} {})\" {link}",
                    word(&query),
                    link = word(&format!("{directory}/current"))
                ),
                format!("readlink {}", word(&format!("{directory}/current"))),
            ]
        }
    }
}

/// Takes the way in of a grant's holder away. Before anything else is given back.
pub fn holder_out(plan: &Plan, name: &DatabaseName, token: Token) -> Vec<String> {
    let Some(spec) = spec(plan, name) else { return unknown(name) };
    match spec.engine {
        Engine::Postgres => {
            let mut lines = Vec::new();
            password(spec, &mut lines);
            match login_name(name, token) {
                Ok(login) => {
                    lines.push(psql(spec, "postgres", &format!("alter role {} nologin", sql::name(&login))));
                    lines.push(end_sessions(spec, Some(&login)));
                }
                Err(refusal) => lines.push(format!("# {refusal}")),
            }
            lines
        }
        Engine::Sqlite => {
            let file =
                format!("{}/{}-{}-{}.db", directory(spec), spec.name, token.generation.0, token.index.0);
            vec![format!("fuser -v {}   # nobody must be listed; end who is (kill PID)", word(&file))]
        }
    }
}

/// The set is restored beside, names are swapped, the failed one is kept.
pub fn restore(plan: &Plan, name: &DatabaseName, set: &str) -> Vec<String> {
    let Some(spec) = spec(plan, name) else { return unknown(name) };
    let mut lines = vec![
        "# every application stopped, the holder out, nobody in (see the sessions); then:".to_owned(),
        format!(
            "cat {}   # what is in the set, with sizes and BLAKE3",
            word(&format!("{set}/manifest.json"))
        ),
    ];
    match spec.engine {
        Engine::Postgres => {
            password(spec, &mut lines);
            let (restored, failed) = (format!("{}_restored", spec.name), format!("{}_failed", spec.name));
            lines.push("# OWNER, ENCODING, COLLATE, CTYPE: under \"make\" in the manifest".to_owned());
            lines.push(psql(
                spec,
                "postgres",
                &format!(
                    "create database {} owner \"OWNER\" template template0 encoding 'ENCODING' \
                     lc_collate 'COLLATE' lc_ctype 'CTYPE'",
                    sql::name(&restored)
                ),
            ));
            lines.push(format!(
                "{} --exit-on-error --no-subscriptions --jobs=2 --dbname={} {}",
                client("pg_restore", spec),
                word(&restored),
                word(&format!("{set}/{DUMP}"))
            ));
            lines.push(
                "# then each statement under \"properties\" in the manifest, on the restored one".to_owned(),
            );
            lines.push(psql(
                spec,
                "postgres",
                &format!("alter database {} rename to {}", sql::name(&spec.name), sql::name(&failed)),
            ));
            lines.push(psql(
                spec,
                "postgres",
                &format!("alter database {} rename to {}", sql::name(&restored), sql::name(&spec.name)),
            ));
        }
        Engine::Sqlite => {
            let directory = directory(spec);
            let restored = format!("{}-restored.db", spec.name);
            let file = word(&format!("{directory}/{restored}"));
            let link = format!("{directory}/current");
            lines.push(format!("cp -n {} {file}", word(&format!("{set}/{COPY}"))));
            lines.push(format!("sqlite3 {file} 'pragma integrity_check'   # expect ok"));
            lines.push(format!(
                "ln -sfn {} {beside} && mv -T {beside} {}",
                word(&restored),
                word(&link),
                beside = word(&format!("{link}.by-hand"))
            ));
        }
    }
    lines
}
