use super::*;
use serde_json::json;

fn table(name: &str, rows: Value) -> Table {
    let rows: Vec<Row> = serde_json::from_value(rows).unwrap();
    let columns = rows.first().map(|row| row.keys().cloned().collect()).unwrap_or_default();
    Table { schema: "public".into(), name: name.into(), columns, rows, ..Table::default() }
}

fn session(id: &str, address: &str, since: &str) -> Session {
    let (address, since) = (address.to_owned(), since.to_owned());
    Session {
        id: id.into(),
        address,
        login: "app".into(),
        program: "java".into(),
        since,
        writes: true,
        alters: false,
    }
}

fn around(sessions: &[Session]) -> Around {
    let sessions = sessions.to_vec();
    Around {
        database: "appdb".into(),
        sessions,
        advisory: Some(Vec::new()),
        sql_sessions: true,
        ..Around::default()
    }
}

fn liquibase() -> Table {
    let row =
        json!({"ID": 1, "LOCKED": true, "LOCKGRANTED": "2026-11-28T15:20:00", "LOCKEDBY": "web1 (10.0.0.5)"});
    table("DATABASECHANGELOGLOCK", json!([row]))
}

fn only(tables: &[Table], around: &Around) -> ForeignLock {
    let seen = look(tables, around, Vec::new());
    assert_eq!((seen.locks.len(), seen.unread.len()), (1, 0), "{seen:?}");
    seen.locks.into_iter().next().unwrap()
}

/// The one table of it all: what is there, and what it means.
#[test]
fn a_holder_is_dead_only_when_nobody_could_be_it() {
    let early = "2026-11-28T00:00:00Z";
    let reader = Session { writes: false, ..session("7", "10.0.0.5", early) };
    let altering = Session { alters: true, ..session("8", "10.0.0.9", early) };
    let blind = Around { blind: Some("not allowed".into()), ..around(&[]) };
    // Taken at 15:20 in some zone: who began on the 30th came after, in every zone.
    let late = session("9", "10.0.0.5", "2026-11-30T00:00:00Z");
    let marker = table("alf_bootstrap_lock", json!([]));
    for (table, around, life) in [
        (&marker, around(&[]), Life::Dead),
        (&marker, around(std::slice::from_ref(&reader)), Life::Dead),
        (&marker, around(&[session("1", "10.0.0.5", early)]), Life::Unknown),
        (&marker, around(std::slice::from_ref(&altering)), Life::Alive),
        (&marker, blind.clone(), Life::Unknown),
        (&liquibase(), around(&[]), Life::Dead),
        (&liquibase(), around(&[reader]), Life::Dead),
        (&liquibase(), around(std::slice::from_ref(&late)), Life::Dead),
        (&liquibase(), around(&[session("1", "10.0.0.5", early), late]), Life::Alive),
        (&liquibase(), around(&[session("1", "10.0.0.6", early)]), Life::Unknown),
        (&liquibase(), around(&[altering]), Life::Alive),
        (&liquibase(), blind, Life::Unknown),
    ] {
        let lock = only(std::slice::from_ref(table), &around);
        assert_eq!(lock.life, life, "{} {around:?}", table.name);
        assert_eq!(lock.blocks(), life != Life::Dead);
        // What undoes a lock is offered when its holder is proven gone, and only then.
        let undoes =
            lock.sql.iter().any(|sql| ["UPDATE", "DROP", "DELETE"].iter().any(|word| sql.starts_with(word)));
        assert_eq!(undoes, life == Life::Dead, "{:?}", lock.sql);
    }
}

#[test]
fn the_release_fails_when_somebody_took_the_lock_since() {
    let lock = only(&[liquibase()], &around(&[]));
    let sql = "UPDATE \"public\".\"DATABASECHANGELOGLOCK\" SET \"LOCKED\" = FALSE, \"LOCKGRANTED\" = NULL, \"LOCKEDBY\" = NULL \
               WHERE \"ID\" = 1 AND \"LOCKEDBY\" = 'web1 (10.0.0.5)' AND \"LOCKGRANTED\" = '2026-11-28T15:20:00';";
    assert_eq!(lock.sql, [sql]);
    assert_eq!((lock.holder.as_str(), lock.since.as_str()), ("web1 (10.0.0.5)", "2026-11-28T15:20:00"));
}

#[test]
fn a_holder_that_lives_is_shown_before_it_is_ended() {
    let lock = only(&[liquibase()], &around(&[session("41", "10.0.0.5", "2026-11-28T15:19:00Z")]));
    assert!(
        lock.sql[0].starts_with("SELECT pid, ") && lock.sql[0].ends_with("WHERE pid IN (41);"),
        "{:?}",
        lock.sql
    );
    assert!(
        lock.sql[1].contains("pid = 41 AND date_trunc('second', backend_start) = '2026-11-28T15:19:00Z'"),
        "{:?}",
        lock.sql
    );
}

#[test]
fn quotes_in_a_holders_name_stay_inside_the_literal() {
    let mut table = liquibase();
    table.rows[0].insert("LOCKEDBY".into(), "x'; DROP TABLE y; --".into());
    assert!(only(&[table], &around(&[])).sql[0].contains("\"LOCKEDBY\" = 'x''; DROP TABLE y; --'"));
}

#[test]
fn tables_of_others_are_no_locks_and_strange_ones_are_told() {
    let rails = table("schema_migrations", json!([{"version": "20261128"}]));
    let own = table("schema_version", json!([{"version": 23}]));
    let free = table("databasechangeloglock", json!([{"id": 1, "locked": false}, {"id": 2, "locked": null}]));
    assert_eq!(look(&[rails, own, free], &around(&[]), Vec::new()), ForeignLocks::default());
    for rows in [json!([{"owner": "x"}]), json!([{"locked": "perhaps"}]), json!([{"locked": {"a": 1}}])] {
        let seen = look(&[table("databasechangeloglock", rows)], &around(&[]), Vec::new());
        assert_eq!((seen.locks.len(), seen.unread.len()), (0, 1), "{seen:?}");
    }
}

#[test]
fn a_dirty_flag_lives_as_long_as_its_advisory_lock() {
    let dirty = table("schema_migrations", json!([{"version": 7, "dirty": true}]));
    let holder = session("5", "10.0.0.7", "2026-11-28T15:19:00Z");
    let held = Advisory { key: Key::One(4_014_298_803), session: Some(holder.clone()), waiting: 2 };
    let mut around = around(std::slice::from_ref(&holder));
    assert_eq!(only(std::slice::from_ref(&dirty), &around).life, Life::Unknown);
    around.advisory = Some(vec![held]);
    // One lock, not two: the advisory lock is why the flag is set.
    let lock = only(std::slice::from_ref(&dirty), &around);
    assert_eq!((lock.tool, lock.life), (Tool::GolangMigrate, Life::Alive));
    let clean = table("schema_migrations", json!([{"version": 7, "dirty": false}]));
    let lock = only(&[clean], &around);
    assert_eq!((lock.tool, lock.lock.as_str()), (Tool::GolangMigrate, "advisory lock 4014298803, 2 waiting"));
    (around.advisory, around.sessions) = (Some(Vec::new()), Vec::new());
    let lock = only(&[dirty], &around);
    assert_eq!(lock.life, Life::Dead);
    assert_eq!(
        lock.sql,
        [
            "UPDATE \"public\".\"schema_migrations\" SET \"dirty\" = FALSE WHERE \"version\" = 7 AND \"dirty\" = TRUE;"
        ]
    );
}

#[test]
fn a_failed_migration_of_flyway_is_dead_unless_its_advisory_lock_is_held() {
    let failed = json!({"installed_rank": 4, "version": "3.1", "script": "V3_1__more.sql", "success": false, "installed_by": "app",
        "installed_on": "2026-11-28T15:20:00"});
    let good = json!({"installed_rank": 3, "version": "3", "script": "V3.sql", "success": true, "installed_by": "app", "installed_on": ""});
    let history = table("flyway_schema_history", json!([good, failed]));
    let app = session("5", "10.0.0.7", "2026-11-28T15:19:00Z");
    let mut around = around(std::slice::from_ref(&app));
    let lock = only(std::slice::from_ref(&history), &around);
    assert_eq!((lock.life, lock.holder.as_str()), (Life::Dead, "app"));
    assert_eq!(
        lock.sql,
        [
            "DELETE FROM \"public\".\"flyway_schema_history\" WHERE \"installed_rank\" = 4 AND \"success\" = FALSE;"
        ]
    );
    around.advisory =
        Some(vec![Advisory { key: Key::One(77_431_708_279_161 - 5), session: Some(app), waiting: 0 }]);
    let seen = look(&[history], &around, Vec::new());
    assert!(
        seen.locks.len() == 2 && seen.locks.iter().all(|l| (l.tool, l.life) == (Tool::Flyway, Life::Alive)),
        "{seen:?}"
    );
}

#[test]
fn an_advisory_lock_nobody_knows_does_not_block() {
    let mut around = around(&[]);
    around.advisory = Some(vec![
        Advisory { key: Key::Two(1, 2), session: Some(session("5", "10.0.0.7", "")), waiting: 0 },
        Advisory { key: Key::One(72_707_369), session: None, waiting: 0 },
    ]);
    let seen = look(&[], &around, Vec::new());
    let told: Vec<_> = seen.locks.iter().map(|l| (l.tool, l.life, l.blocks(), l.holder.as_str())).collect();
    assert_eq!(
        told,
        [(Tool::Advisory, Life::Alive, false, "app@10.0.0.7"), (Tool::Prisma, Life::Unknown, true, ""),]
    );
}
