//! Advisory locks (PostgreSQL): a number that a session holds. Some tools' numbers are known; the others may be a
//! migration's or the application's daily work.

use super::{Advisory, Around, ForeignLock, Key, Life, Session, Table, Tool, golang_migrate, not_dead};
use std::collections::BTreeSet;

/// Flyway's number is `Flyway` in bytes, plus a hash of its history's name.
const FLYWAY: i64 = 0x46_6C_79_77_61_79;
/// golang-migrate's factor.
const GOLANG_MIGRATE: u32 = 1_486_364_155;
/// Rails' factor.
const RAILS: i64 = 2_053_462_845;
/// Prisma's number, always the same.
const PRISMA: i64 = 72_707_369;

/// One for each that is held, but those that say why a flag in a table is set.
pub fn locks(tables: &[Table], around: &Around) -> Vec<ForeignLock> {
    let places = tables.iter().filter(|t| t.name.eq_ignore_ascii_case(golang_migrate::NAME));
    let told: BTreeSet<Key> = places
        .clone()
        .filter(|table| !golang_migrate::locks(table, around).is_empty())
        .map(|table| self::golang_migrate(&around.database, &table.schema, &table.name))
        .collect();
    let mut migrate: BTreeSet<Key> =
        places.map(|table| self::golang_migrate(&around.database, &table.schema, &table.name)).collect();
    migrate.insert(self::golang_migrate(&around.database, "public", golang_migrate::NAME));
    let held = around.advisory.iter().flatten().filter(|held| !told.contains(&held.key));
    held.map(|held| lock(held, tool(held.key, &migrate, &around.database), around)).collect()
}

fn tool(key: Key, migrate: &BTreeSet<Key>, database: &str) -> Tool {
    match key {
        key if is_flyway(key) => Tool::Flyway,
        key if migrate.contains(&key) => Tool::GolangMigrate,
        Key::One(PRISMA) => Tool::Prisma,
        Key::One(number) if number == RAILS * i64::from(crc32(database.as_bytes())) => Tool::Rails,
        Key::One(_) | Key::Two(..) => Tool::Advisory,
    }
}

fn lock(held: &Advisory, tool: Tool, around: &Around) -> ForeignLock {
    let waiting = match held.waiting {
        0 => String::new(),
        some => format!(", {some} waiting"),
    };
    let (life, proof, next, sql) = match &held.session {
        Some(session) => {
            let (next, sql) = not_dead(around, Life::Alive, &[session]);
            (Life::Alive, format!("{} is there", session.told()), next, sql)
        }
        None => (
            Life::Unknown,
            "a prepared transaction holds it, which belongs to no session".to_owned(),
            "find its owner; then COMMIT PREPARED or ROLLBACK PREPARED, as it says".to_owned(),
            vec![
                "SELECT gid, prepared, owner FROM pg_prepared_xacts WHERE database = current_database();"
                    .to_owned(),
            ],
        ),
    };
    ForeignLock {
        tool,
        lock: format!(
            "advisory lock {}{waiting}",
            match held.key {
                Key::One(number) => number.to_string(),
                Key::Two(first, second) => format!("({first}, {second})"),
            }
        ),
        holder: held.session.as_ref().map(holder).unwrap_or_default(),
        since: String::new(),
        life,
        proof,
        next: match tool {
            Tool::Advisory => {
                format!("see whether it is a migration's; if not, it may stay. If it is, {next}")
            }
            _ => next,
        },
        sql,
    }
}

fn holder(session: &Session) -> String {
    format!("{}@{}", session.login, session.address)
}

/// Whether Flyway takes such a number.
pub fn is_flyway(key: Key) -> bool {
    matches!(key, Key::One(number) if number.abs_diff(FLYWAY) <= 1 << 31)
}

/// golang-migrate's number for a table of versions.
pub fn golang_migrate(database: &str, schema: &str, table: &str) -> Key {
    let sum = crc32([schema, table, database].join("\0").as_bytes());
    Key::One(i64::from(sum.wrapping_mul(GOLANG_MIGRATE)))
}

/// The usual cyclic redundancy check (IEEE 802.3), for a few bytes.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _bit in 0..8 {
            sum = (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg());
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_tools_own() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(FLYWAY, 77_431_708_279_161);
        assert!(
            is_flyway(Key::One(FLYWAY + i64::from(i32::MIN))) && !is_flyway(Key::One(FLYWAY + (1 << 32)))
        );
        assert!(!is_flyway(Key::Two(18_028, 2_037_866_873)));
    }
}
