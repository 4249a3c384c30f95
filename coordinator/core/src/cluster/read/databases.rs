//! `[databases.X]`.

use super::values::{self, Reference};
use crate::{
    cluster::{AdminLogin, DatabaseSpec, DatabaseTls, Door, Engine, Infrastructure},
    document::{Item, Section, bad_name},
    fault::{Fault, FaultCode},
    ids::DatabaseName,
};
use std::{collections::BTreeMap, ops::Range};

/// A database with its places.
#[derive(Debug)]
pub(super) struct ReadDatabase {
    pub(super) spec: DatabaseSpec,
    pub(super) name_at: Range<usize>,
    /// Where the door is written, or the engine if it is not.
    pub(super) door_at: Range<usize>,
    /// Where the administrator is written.
    pub(super) admin_at: Range<usize>,
    pub(super) executors: Vec<Reference>,
}

pub(super) fn read(top: &Section<'_>) -> BTreeMap<DatabaseName, ReadDatabase> {
    let Some(table) = top.get("databases").and_then(|item| item.table()) else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for (name, span, item) in table.entries() {
        let database = database(&item, span.clone());
        match (DatabaseName::new(name.as_str()), database) {
            (Ok(name), Some(database)) => {
                all.insert(name, database);
            }
            (Ok(_), None) => {}
            (Err(error), _) => table.document().at(span, bad_name(&name, &error)),
        }
    }
    all
}

fn database(item: &Item<'_>, name_at: Range<usize>) -> Option<ReadDatabase> {
    let table = item.table()?;
    let engine_item = table.need("engine", "write engine = \"postgres\" or \"sqlite\"");
    let engine = engine_item
        .as_ref()
        .and_then(|item| item.word(&[("postgres", Engine::Postgres), ("sqlite", Engine::Sqlite)]));
    let instances = instances(&table, engine);
    let name =
        table.need("name", "name the database (SQLite: the file's stem)").and_then(|item| item.filled());
    let admin_item = table.get("admin");
    let admin = admin_item.as_ref().and_then(admin);
    match (engine, &admin_item) {
        (Some(Engine::Postgres), None) => table.fault(
            Fault::new(FaultCode::MissingAdmin, format!("{} has no administrator's login", table.place()))
                .allowed("admin = { user = \"lockkeeper\", password = \"file:/PATH\" }")
                .help("Lockkeeper shuts the door and proves backups with this login"),
        ),
        (Some(Engine::Sqlite), Some(item)) => item.fault(
            Fault::new(FaultCode::UnknownKey, "SQLite has no logins")
                .help("delete admin, or change the engine"),
        ),
        (Some(Engine::Postgres | Engine::Sqlite) | None, _) => {}
    }
    let tls = table.get("tls").and_then(|item| tls(&item, engine));
    let door_item = table.get("door");
    let door = door_item.as_ref().map_or(engine.map(natural_door), |item| {
        item.word(&[("login", Door::Login), ("path-per-epoch", Door::PathPerEpoch)])
    });
    let owner = table.get("owner").and_then(|item| item.filled()).unwrap_or_default().to_owned();
    let infrastructure = infrastructure(&table);
    let backups = table.get("backups").and_then(|item| values::path(&item));
    let executors = table.get("executors").map(|item| values::references(&item)).unwrap_or_default();
    let admin_at = admin_item.map_or(name_at.clone(), |item| item.span());
    let door_at = door_item.or(engine_item).map_or(name_at.clone(), |item| item.span());
    if let (Some(engine), Some(door)) = (engine, door)
        && natural_door(engine) != door
    {
        table.document().at(
            door_at.clone(),
            Fault::new(FaultCode::DoorNotForEngine, "this engine has no such door")
                .allowed("postgres: login; sqlite: path-per-epoch"),
        );
    }
    table.finish();
    let spec = DatabaseSpec {
        engine: engine.unwrap_or(Engine::Postgres),
        instances: instances.unwrap_or_default(),
        name: name.unwrap_or_default().to_owned(),
        admin,
        tls,
        door: door.unwrap_or(Door::Login),
        owner,
        infrastructure,
        backups: backups.unwrap_or_else(|| "/var/lib/lockkeeper/backups".to_owned()),
        executors: executors.iter().map(|r| r.name.clone()).collect(),
    };
    Some(ReadDatabase { spec, name_at, door_at, admin_at, executors })
}

const fn natural_door(engine: Engine) -> Door {
    match engine {
        Engine::Postgres => Door::Login,
        Engine::Sqlite => Door::PathPerEpoch,
    }
}

fn instances(table: &Section<'_>, engine: Option<Engine>) -> Option<Vec<String>> {
    let item = table.need("instances", "list where the database is: instances = [\"HOST:5432\"]")?;
    let bad = |allowed: &str| -> Option<Vec<String>> {
        item.fault(
            Fault::new(FaultCode::BadInstances, "these instances do not fit the engine").allowed(allowed),
        );
        None
    };
    match engine? {
        Engine::Postgres => {
            let list = item.list()?;
            if list.is_empty() {
                return bad("at least one \"HOST:PORT\", each instance that can become primary");
            }
            Some(list.iter().filter_map(values::address).collect())
        }
        Engine::Sqlite => match item.list()?.as_slice() {
            [one] => Some(vec![values::path(one)?]),
            _ => bad("exactly one directory, shared by all members"),
        },
    }
}

fn admin(item: &Item<'_>) -> Option<AdminLogin> {
    let table = item.table()?;
    let user = table.need("user", "write user = \"LOGIN\"").and_then(|item| item.filled());
    let password =
        table.need("password", "write password = \"file:/PATH\"").and_then(|item| values::secret(&item));
    table.finish();
    Some(AdminLogin { user: user?.to_owned(), password: password? })
}

fn tls(item: &Item<'_>, engine: Option<Engine>) -> Option<DatabaseTls> {
    if engine == Some(Engine::Sqlite) {
        item.fault(
            Fault::new(FaultCode::UnknownKey, "SQLite has no connections to encrypt")
                .help("delete tls, or change the engine"),
        );
        return None;
    }
    let table = item.table()?;
    let ca = table.need("ca", "write ca = \"file:/PATH\"").and_then(|item| {
        let text = item.filled()?;
        let path = text.strip_prefix("file:").filter(|path| path.starts_with('/'));
        if path.is_none() {
            item.fault(
                Fault::new(FaultCode::BadText, format!("{:?} names no file", item.path()))
                    .found(format!("{text:?}"))
                    .allowed("file:/PATH of the authority's certificates (PEM), the same on every agent"),
            );
        }
        path
    });
    // Written down so that people see what is checked; nothing weaker exists.
    let full = table.get("verify").is_none_or(|item| item.word(&[("full", ())]).is_some());
    table.finish();
    full.then_some(DatabaseTls { ca: ca?.to_owned() })
}

fn infrastructure(table: &Section<'_>) -> Vec<Infrastructure> {
    let Some(items) = table.get("infrastructure").and_then(|item| item.list()) else { return Vec::new() };
    items
        .iter()
        .filter_map(|item| {
            let table = item.table()?;
            let text = |key| -> String {
                table.get(key).and_then(|item| item.text()).unwrap_or_default().to_owned()
            };
            let login = table.need("login", "write login = \"LOGIN\"").and_then(|item| item.filled());
            let (host, program) = (text("host"), text("program"));
            table.finish();
            Some(Infrastructure { login: login?.to_owned(), host, program })
        })
        .collect()
}
