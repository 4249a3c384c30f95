//! Who could enter the database, and who of them could write.

use super::session::{Row, Session};
use crate::database::{Answer, DatabaseCode};
use lockkeeper_core::cluster::Infrastructure;
use std::collections::BTreeSet;

/// Roles that may log in and may connect to the database `$1`.
const CONNECTORS: &str = "
    select r.rolname::text, r.rolsuper::text from pg_roles r, pg_database d
    where d.datname = $1 and r.rolcanlogin
      and (r.rolsuper or has_database_privilege(r.oid, d.oid, 'CONNECT')) order by 1";

/// Roles that can write in the database of the session, themselves or by a role they are a member of: by a privilege
/// on a table, column, sequence or schema, as owner, or by a function that acts as a writer. A role that could make
/// itself a member counts as well. Large objects and temporary tables are left out: everybody may make those.
const WRITERS: &str = "
    with recursive relation as (
        select c.oid, c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname <> 'information_schema'
          and n.nspname !~ '^pg_'
    ), space as (
        select n.oid from pg_namespace n where n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    ), direct as (
        select r.oid from pg_roles r
        where r.rolsuper or r.rolcreaterole
           or has_database_privilege(r.oid, current_database(), 'CREATE')
           or exists (select from space s where has_schema_privilege(r.oid, s.oid, 'CREATE'))
           or exists (select from relation c where case when c.relkind = 'S'
                  then has_sequence_privilege(r.oid, c.oid, 'USAGE, UPDATE')
                  else has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
                    or has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE') end)
    ), definer as (
        select r.oid from pg_roles r
        where exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
              where p.prosecdef and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
                and p.proowner in (select oid from direct) and has_function_privilege(r.oid, p.oid, 'EXECUTE'))
    ), writer as (select oid from direct union select oid from definer)
    select r.rolname::text from pg_roles r
    where r.oid in (select oid from writer)
       or exists (select from writer w where pg_has_role(r.oid, w.oid, 'MEMBER'))
    order by 1";

/// A role that may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// Its name.
    pub role: String,
    /// Whether nothing can be refused to it.
    pub superuser: bool,
}

/// What becomes of those who could enter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sorted {
    /// Kept out while the door is shut.
    pub disable: BTreeSet<String>,
    /// Left as they are, with the reason, for the evidence.
    pub keep: Vec<String>,
    /// Superusers nobody declared.
    pub undeclared_superusers: Vec<String>,
}

/// Roles that may log in and connect to `database`; asked from any database of the server.
pub async fn connectors(session: &Session, database: &str) -> Answer<Vec<Connector>> {
    session.rows(CONNECTORS, &[&database]).await?.into_iter().map(connector).collect()
}

/// Roles that can write in the session's database.
pub async fn writers(target: &Session) -> Answer<BTreeSet<String>> {
    Ok(target.column(WRITERS, &[]).await?.into_iter().collect())
}

/// Sorts those who could enter. A declared login stays only when it cannot write or is declared with host *and*
/// program; a declared superuser stays because nothing but its name can be relied on, and its sessions are judged one
/// by one.
pub fn sort(
    connectors: Vec<Connector>,
    writers: &BTreeSet<String>,
    infrastructure: &[Infrastructure],
    ours: &BTreeSet<String>,
) -> Sorted {
    let mut sorted = Sorted::default();
    for Connector { role, superuser } in connectors {
        if ours.contains(&role) {
            continue;
        }
        let mut declared = infrastructure.iter().filter(|entry| entry.login == role).peekable();
        let is_declared = declared.peek().is_some();
        let exact = is_declared && declared.all(|entry| !entry.host.is_empty() && !entry.program.is_empty());
        match (superuser, is_declared) {
            (true, false) => sorted.undeclared_superusers.push(role),
            (true, true) => sorted.keep.push(format!("{role} (declared, superuser)")),
            (false, true) if !writers.contains(&role) => {
                sorted.keep.push(format!("{role} (declared, read-only proven)"));
            }
            (false, true) if exact => {
                sorted.keep.push(format!("{role} (declared with host and program, can write)"))
            }
            (false, true | false) => {
                sorted.disable.insert(role);
            }
        }
    }
    sorted
}

fn connector(row: Row) -> Answer<Connector> {
    match <[Option<String>; 2]>::try_from(row) {
        Ok([Some(role), Some(superuser)]) => Ok(Connector { role, superuser: superuser == "true" }),
        Ok(_) | Err(_) => Err(DatabaseCode::QueryShape.refuse("the catalog lists a role without a name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(role: &str, superuser: bool) -> Connector {
        Connector { role: role.into(), superuser }
    }

    fn declared(login: &str, host: &str, program: &str) -> Infrastructure {
        Infrastructure { login: login.into(), host: host.into(), program: program.into() }
    }

    #[test]
    fn a_declared_writer_stays_only_with_host_and_program() {
        let writers: BTreeSet<String> = ["loose", "tight", "app"].map(String::from).into();
        let sorted = sort(
            vec![
                who("app", false),
                who("loose", false),
                who("tight", false),
                who("monitor", false),
                who("admin", true),
            ],
            &writers,
            &[
                declared("loose", "10.0.0.1", ""),
                declared("tight", "10.0.0.1", "agent"),
                declared("monitor", "", ""),
            ],
            &["admin".to_owned()].into(),
        );
        assert_eq!(sorted.disable, ["app", "loose"].map(String::from).into());
        assert_eq!(sorted.keep.len(), 2);
        assert!(sorted.undeclared_superusers.is_empty());
    }

    #[test]
    fn a_superuser_must_be_declared() {
        let all = vec![who("postgres", true), who("backup", true)];
        let sorted = sort(all, &BTreeSet::new(), &[declared("backup", "", "")], &BTreeSet::new());
        assert_eq!(sorted.undeclared_superusers, ["postgres"]);
        assert!(sorted.disable.is_empty());
    }
}
