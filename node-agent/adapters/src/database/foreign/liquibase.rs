//! Liquibase keeps a row in `DATABASECHANGELOGLOCK`: locked, by `host (address)`, granted at the client's local time.

use super::{
    Around, ForeignLock, Life, Row, Session, Table, Tool, life, moment, no_like, not_dead, truth, writers,
};

/// The table; some databases fold the name to lower case, some do not.
pub const NAME: &str = "databasechangeloglock";

/// Seconds by which the client's local time may be off from UTC: zones reach from -12 h to +14 h.
const ZONES: i64 = 14 * 3600;

/// One lock for each row that says so.
pub fn locks(table: &Table, around: &Around) -> Result<Vec<ForeignLock>, String> {
    if table.column("locked").is_none() {
        return Err(format!(
            "it has no column \"locked\", only {:?}: this is not Liquibase's, or one of another kind",
            table.columns
        ));
    }
    let mut locks = Vec::new();
    for row in &table.rows {
        match truth(table.value(row, "locked")) {
            Some(true) => locks.push(lock(table, row, around)),
            Some(false) => {}
            None if table.value(row, "locked").is_none() => {}
            None => {
                return Err(format!(
                    "\"locked\" says {:?}, which is neither yes nor no",
                    table.text(row, "locked")
                ));
            }
        }
    }
    Ok(locks)
}

fn lock(table: &Table, row: &Row, around: &Around) -> ForeignLock {
    let (holder, since) = (table.text(row, "lockedby"), table.text(row, "lockgranted"));
    // Who came for certain after the lock was taken waits for it, at most.
    let taken = moment::read(&since);
    let later = |s: &&Session| match (taken, moment::read(&s.since)) {
        (Some(taken), Some(began)) => began.seconds > taken.seconds + if taken.zoned { 1 } else { ZONES },
        _ => false,
    };
    let could: Vec<&Session> = writers(around).into_iter().filter(|s| !later(s)).collect();
    let address = address(&holder);
    let named: Vec<&Session> =
        could.iter().copied().filter(|s| Some(s.address.as_str()) == address).collect();
    let (life, proof, sessions) = life(around, table, &named, &could);
    let (next, sql) = match life {
        Life::Dead => {
            let same = table.conditions(row, &["id", "lockedby", "lockgranted"]);
            let mut set = vec![format!(
                "{} = {}",
                super::name(table.column("locked").unwrap_or("locked")),
                no_like(table.value(row, "locked"))
            )];
            for column in ["lockgranted", "lockedby"].iter().filter_map(|wanted| table.column(wanted)) {
                set.push(format!("{} = NULL", super::name(column)));
            }
            let only = if same.is_empty() { String::new() } else { format!(" WHERE {same}") };
            (
                "its holder broke off. See in databasechangelog which change set was the last and whether the next one is half \
                 done; then release the lock, which only happens if nobody took it since (UPDATE 1)"
                    .to_owned(),
                vec![format!("UPDATE {} SET {}{only};", table.quoted(), set.join(", "))],
            )
        }
        Life::Alive | Life::Unknown => not_dead(around, life, &sessions),
    };
    let id = table.text(row, "id");
    let row_told = if id.is_empty() { String::new() } else { format!(", row {id}") };
    ForeignLock {
        tool: Tool::Liquibase,
        lock: format!("table {}{row_told}", table.told()),
        holder,
        since,
        life,
        proof,
        next,
        sql,
    }
}

/// The address in `host (address)`.
fn address(holder: &str) -> Option<&str> {
    let inside = holder.trim_end().strip_suffix(')')?;
    // A scope, as in fe80::1%eth0, is the client's own business.
    inside.rsplit_once('(')?.1.split('%').next().filter(|address| !address.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_stands_in_the_last_brackets() {
        assert_eq!(address("web1 (10.0.0.5)"), Some("10.0.0.5"));
        assert_eq!(address("odd (name) (fe80::1%eth0)"), Some("fe80::1"));
        for none in ["web1", "", "web1 ()", "(10.0.0.5) web1"] {
            assert_eq!(address(none), None, "{none}");
        }
    }
}
