//! Restoring a set beside the live database: a new database of a new name, never over one that is there.

use super::{
    Postgres,
    ledger::Server,
    session::{Instance, Login, Purpose, Session},
    sql,
};
use crate::{
    backup::set::BackupSet,
    database::{Answer, DatabaseCode, blocking},
};
use lockkeeper_agent::host::Failure;
use lockkeeper_core::ids::ClusterId;
use std::{collections::BTreeMap, path::Path};

/// The dump inside a set.
pub(super) const DUMP: &str = "database.dump";

/// What the database was made with, and what a dump leaves out.
const MADE_WITH: &str = "
    select pg_encoding_to_char(d.encoding), d.datcollate::text, d.datctype::text, pg_get_userbyid(d.datdba)::text,
           coalesce(to_jsonb(d)->>'datlocprovider', 'c'),
           coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale', '')
    from pg_database d where d.datname = current_database()";

/// Settings of the database, for everybody or for one role.
const SETTINGS: &str = "
    select coalesce(r.rolname::text, ''), split_part(line, '=', 1), substr(line, strpos(line, '=') + 1)
    from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
    left join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) line
    where d.datname = current_database() order by 1, 2";

/// Privileges on the database, when they are not the default ones.
const PRIVILEGES: &str = "
    select case a.grantee when 0 then '' else pg_get_userbyid(a.grantee)::text end, a.privilege_type,
           a.is_grantable::text
    from pg_database d, aclexplode(d.datacl) a where d.datname = current_database() order by 1, 2";

/// Settings whose stored value is a list of quoted names; it is put back as it is, not as one text.
const LISTS: [&str; 5] = [
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "local_preload_libraries",
    "unix_socket_directories",
];

/// What a database is made with, and statements for what a dump leaves out.
pub(super) async fn properties(target: &Session) -> Answer<(BTreeMap<String, String>, Vec<String>)> {
    let rows = target.rows(MADE_WITH, &[]).await?;
    let values = rows.into_iter().next().and_then(|row| <[Option<String>; 6]>::try_from(row).ok());
    let Some([encoding, collate, ctype, owner, provider, locale]) = values else {
        return Err(DatabaseCode::QueryShape.refuse("the database does not say what it was made with"));
    };
    let make = [
        ("encoding", encoding),
        ("collate", collate),
        ("ctype", ctype),
        ("owner", owner),
        ("provider", provider),
        ("locale", locale),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.unwrap_or_default()))
    .collect();
    let mut statements = Vec::new();
    for row in target.rows(SETTINGS, &[]).await? {
        let [Some(role), Some(key), Some(value)] = row.as_slice() else { continue };
        let value = if LISTS.contains(&key.as_str()) { value.clone() } else { sql::literal(value) };
        statements.push(if role.is_empty() {
            format!("alter database {{database}} set {} to {value}", sql::name(key))
        } else {
            format!(
                "alter role {} in database {{database}} set {} to {value}",
                sql::name(role),
                sql::name(key)
            )
        });
    }
    let privileges = target.rows(PRIVILEGES, &[]).await?;
    let owner = "select pg_get_userbyid(datdba)::text from pg_database where datname = current_database() and datacl is not null";
    if let [owner] = target.column(owner, &[]).await?.as_slice() {
        statements.push(format!("revoke all on database {{database}} from public, {}", sql::name(owner)));
    }
    for row in privileges {
        let [Some(grantee), Some(privilege), Some(grantable)] = row.as_slice() else { continue };
        let grantee = if grantee.is_empty() { "public".to_owned() } else { sql::name(grantee) };
        let option = if grantable == "true" { " with grant option" } else { "" };
        statements.push(format!("grant {privilege} on database {{database}} to {grantee}{option}"));
    }
    Ok((make, statements))
}

impl Postgres {
    /// Restores the set in `directory` as a new database `new_name` on the primary. Fails when that name is taken,
    /// when the set is damaged, or when anything in it cannot be restored; then the new database is dropped again.
    pub async fn restore_beside(
        &self,
        directory: &Path,
        new_name: &str,
        group: &ClusterId,
    ) -> Result<(), Failure> {
        let Some(set) = BackupSet::open(directory)? else {
            let why = format!("{} holds no backup set", directory.display());
            return Err(DatabaseCode::BackupDamaged.refuse(why).into());
        };
        let checked = set.clone();
        blocking(move || checked.verify()).await?;
        let found = self.find().await?;
        Ok(self
            .restore_as(&found.primary.instance, &found.login, &set, new_name, &scratch_mark(group))
            .await?)
    }

    /// Makes the database, closed to everybody, fills it and gives it its properties.
    pub(super) async fn restore_as(
        &self,
        instance: &Instance,
        login: &Login,
        set: &BackupSet,
        new_name: &str,
        mark: &str,
    ) -> Answer<()> {
        let server = Server::open(instance, login, Purpose::Restore).await?;
        let made = |key: &str| set.manifest.make.get(key).map(String::as_str).unwrap_or_default();
        let provider = match made("provider") {
            "i" => format!(" locale_provider icu icu_locale {}", sql::literal(made("locale"))),
            _libc => String::new(),
        };
        let name = sql::name(new_name);
        server
            .session
            .run(&format!(
                "create database {name} template template0 encoding {} lc_collate {} lc_ctype {}{provider} owner {} \
                 connection limit 0",
                sql::literal(made("encoding")),
                sql::literal(made("collate")),
                sql::literal(made("ctype")),
                sql::name(made("owner")),
            ))
            .await?;
        let filled = self.fill(&server.session, instance, login, set, new_name, mark).await;
        if filled.is_err() {
            drop_database(&server.session, new_name).await?;
        }
        filled
    }

    async fn fill(
        &self,
        session: &Session,
        instance: &Instance,
        login: &Login,
        set: &BackupSet,
        new_name: &str,
        mark: &str,
    ) -> Answer<()> {
        let name = sql::name(new_name);
        session.run(&format!("comment on database {name} is {}", sql::literal(mark))).await?;
        self.load(instance, login, &set.directory.join(DUMP), new_name).await?;
        for statement in &set.manifest.properties {
            session.run(&statement.replace("{database}", &name)).await?;
        }
        Ok(())
    }

    /// Drops what this group left of scratch databases of this database, whoever crashed over them.
    pub(super) async fn sweep_scratch(&self, session: &Session, group: &ClusterId) -> Answer<()> {
        let mine = "select datname::text from pg_database where shobj_description(oid, 'pg_database') = $1
                    and (datname like 'lk\\_scratch\\_%' or datname like 'lk\\_restore\\_%')";
        for name in session.column(mine, &[&scratch_mark(group)]).await? {
            drop_database(session, &name).await?;
        }
        Ok(())
    }
}

/// What our scratch databases say of themselves.
pub(super) fn scratch_mark(group: &ClusterId) -> String {
    format!("restored by lockkeeper for group {group}")
}

/// Drops a database of ours with the sessions in it.
pub(super) async fn drop_database(session: &Session, name: &str) -> Answer<()> {
    session.run(&format!("drop database if exists {} with (force)", sql::name(name))).await
}
