//! Alfresco makes the table `alf_bootstrap_lock` just before the first change of the schema and drops it after the last.
//! It names nobody, and others give up after two minutes.

use super::{Around, ForeignLock, Life, Table, Tool, life, not_dead, writers};

/// The table.
pub const NAME: &str = "alf_bootstrap_lock";

/// Its being there is the lock.
pub fn locks(table: &Table, around: &Around) -> Vec<ForeignLock> {
    let (life, proof, sessions) = life(around, table, &[], &writers(around));
    let (next, sql) = match life {
        Life::Dead => (
            "an upgrade of the schema broke off. Restore the database as it was before it, or bring the schema to an \
             end with Alfresco's support; only then drop the table, and start one node first"
                .to_owned(),
            vec![format!("DROP TABLE {};", table.quoted())],
        ),
        Life::Alive | Life::Unknown => not_dead(around, life, &sessions),
    };
    vec![ForeignLock {
        tool: Tool::Alfresco,
        lock: format!("table {}", table.told()),
        holder: String::new(),
        since: table.made.clone(),
        life,
        proof,
        next,
        sql,
    }]
}
