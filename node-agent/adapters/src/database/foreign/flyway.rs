//! Flyway holds an advisory lock while it migrates (PostgreSQL) and writes each migration into its history; one that
//! failed outside a transaction stays there with `success` false, and Flyway refuses to go on.

use super::{Around, ForeignLock, Life, Row, Session, Table, Tool, advisory, life, not_dead, truth, writers};

/// The history's table, and its name before version 5.
pub const NAMES: [&str; 2] = ["flyway_schema_history", "schema_version"];

/// One for each migration that failed. A table of one of the names without Flyway's columns is somebody else's.
pub fn locks(table: &Table, around: &Around) -> Vec<ForeignLock> {
    if table.column("installed_rank").is_none() || table.column("success").is_none() {
        return Vec::new();
    }
    let failed = table.rows.iter().filter(|row| truth(table.value(row, "success")) == Some(false));
    failed.map(|row| lock(table, row, around)).collect()
}

fn lock(table: &Table, row: &Row, around: &Around) -> ForeignLock {
    let held: Vec<&Session> = match &around.advisory {
        Some(locks) => {
            locks.iter().filter(|l| advisory::is_flyway(l.key)).filter_map(|l| l.session.as_ref()).collect()
        }
        None => Vec::new(),
    };
    // Where Flyway takes an advisory lock, nobody migrates without one.
    let could = if around.advisory.is_some() { Vec::new() } else { writers(around) };
    let (life, proof, sessions) = match (&around.advisory, held.is_empty()) {
        (Some(_), true) => (Life::Dead, "no session holds Flyway's advisory lock".to_owned(), Vec::new()),
        _ => life(around, table, &held, &could),
    };
    let (next, sql) = match life {
        Life::Dead => (
            format!(
                "migration {} failed. Undo by hand what it left, then run flyway repair, which does this",
                table.text(row, "version")
            ),
            vec![format!(
                "DELETE FROM {} WHERE {};",
                table.quoted(),
                table.conditions(row, &["installed_rank", "success"])
            )],
        ),
        Life::Alive | Life::Unknown => not_dead(around, life, &sessions),
    };
    let script = table.text(row, "script");
    ForeignLock {
        tool: Tool::Flyway,
        lock: format!("table {}, failed migration {} {script}", table.told(), table.text(row, "version"))
            .trim_end()
            .to_owned(),
        holder: table.text(row, "installed_by"),
        since: table.text(row, "installed_on"),
        life,
        proof,
        next,
        sql,
    }
}
