//! golang-migrate sets `dirty` in `schema_migrations` before a migration and clears it after; one that failed stays
//! dirty, and nothing goes on. On PostgreSQL it holds an advisory lock all the while.

use super::{
    Around, ForeignLock, Life, Row, Session, Table, Tool, advisory, life, no_like, not_dead, truth, writers,
};

/// The table. Rails and others use the same name, without `dirty`.
pub const NAME: &str = "schema_migrations";

/// One for each row that is dirty.
pub fn locks(table: &Table, around: &Around) -> Vec<ForeignLock> {
    let dirty = table.rows.iter().filter(|row| truth(table.value(row, "dirty")) == Some(true));
    dirty.map(|row| lock(table, row, around)).collect()
}

fn lock(table: &Table, row: &Row, around: &Around) -> ForeignLock {
    let key = advisory::golang_migrate(&around.database, &table.schema, &table.name);
    let held: Vec<&Session> = match &around.advisory {
        Some(locks) => locks.iter().filter(|l| l.key == key).filter_map(|l| l.session.as_ref()).collect(),
        None => Vec::new(),
    };
    // It may be told to lock by a table instead, so that the advisory lock is no proof of its end.
    let (life, proof, sessions) = life(around, table, &held, &writers(around));
    let version = table.text(row, "version");
    let (next, sql) = match life {
        Life::Dead => (
            format!(
                "migration {version} broke off half-way. Complete or undo by hand what it left, then clear the flag (set the \
                 version to the one before it if it was undone), as migrate force does"
            ),
            vec![format!(
                "UPDATE {} SET {} = {} WHERE {};",
                table.quoted(),
                super::name(table.column("dirty").unwrap_or("dirty")),
                no_like(table.value(row, "dirty")),
                table.conditions(row, &["version", "dirty"])
            )],
        ),
        Life::Alive | Life::Unknown => not_dead(around, life, &sessions),
    };
    ForeignLock {
        tool: Tool::GolangMigrate,
        lock: format!("table {}, dirty at version {version}", table.told()),
        holder: String::new(),
        since: String::new(),
        life,
        proof,
        next,
        sql,
    }
}
