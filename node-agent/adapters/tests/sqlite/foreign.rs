//! Locks of other migration tools in a file: whoever has it open could be the holder, and nobody else.

use super::bed::*;
use lockkeeper_adapters::database::DatabaseAdapter;
use lockkeeper_core::observe::{ForeignLocks, Life, Tool};

#[tokio::test]
async fn a_lock_lives_at_most_as_long_as_a_process_has_the_file_open() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    assert_eq!(adapter.foreign_locks().await.unwrap(), ForeignLocks::default());
    let file = bed.current().unwrap();
    bed.sql(&file, "create table DATABASECHANGELOGLOCK (ID int primary key, LOCKED boolean, LOCKGRANTED text, LOCKEDBY text)");
    bed.sql(
        &file,
        "insert into DATABASECHANGELOGLOCK values (1, 1, '2026-11-21 13:02:11', 'web1 (10.0.0.5)')",
    );
    bed.sql(&file, "create table schema_migrations (version uint64, dirty bool)");
    bed.sql(&file, "insert into schema_migrations values (7, 1)");
    let tools = |seen: &ForeignLocks| seen.locks.iter().map(|l| (l.tool, l.life)).collect::<Vec<_>>();
    let mut holder = Holder::open(&bed.file(&file));
    holder.run("select count(*) from record");
    let seen = adapter.foreign_locks().await.unwrap();
    assert_eq!(
        tools(&seen),
        [(Tool::Liquibase, Life::Unknown), (Tool::GolangMigrate, Life::Unknown)],
        "{seen:?}"
    );
    assert!(
        seen.locks[0].proof.contains(&format!("session {}", holder.pid())) && seen.locks[0].sql.is_empty(),
        "{seen:?}"
    );
    drop(holder);
    let seen = adapter.foreign_locks().await.unwrap();
    assert_eq!(tools(&seen), [(Tool::Liquibase, Life::Dead), (Tool::GolangMigrate, Life::Dead)], "{seen:?}");
    // What a person is told to run leaves no lock.
    for lock in &seen.locks {
        for sql in &lock.sql {
            bed.sql(&file, sql);
        }
    }
    assert_eq!(adapter.foreign_locks().await.unwrap().locks, []);
}
