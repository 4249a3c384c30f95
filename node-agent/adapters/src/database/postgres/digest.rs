//! What a database's rows are, as digests that do not depend on their order.
//!
//! Each row's text is hashed twice with 64 bits and summed: equal sums of equal counts mean equal rows, but for a
//! chance of one in 2^100. It is no protection against somebody who wants a collision; the set's BLAKE3 is.

use super::{catalog::Description, session::Session, sql};
use crate::database::Answer;

/// How many differences are told; more would not help anybody.
const TOLD: usize = 5;

/// Tables with rows of the application: also partitions and unlogged ones, but not those of extensions.
const TABLES: &str = "
    select n.nspname::text, c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid
                      and e.deptype = 'e')
    order by 1, 2";

/// Large objects, page by page.
const LARGE_OBJECTS: &str = "
    select count(*)::text || ' pages, '
        || coalesce(sum(hashtextextended(loid || ':' || pageno || ':' || encode(data, 'hex'), 0)::numeric), 0)
    from pg_largeobject";

/// Every table with count and digest of its rows, and the large objects, in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows(Vec<(String, String)>);

impl Rows {
    /// Reads every row.
    pub async fn read(session: &Session) -> Answer<Self> {
        session.run("begin isolation level repeatable read read only").await?;
        let mut all = Vec::new();
        for table in session.rows(TABLES, &[]).await? {
            let [Some(schema), Some(table)] = table.as_slice() else { continue };
            let relation = format!("{}.{}", sql::name(schema), sql::name(table));
            let query = format!(
                "select count(*)::text || ' rows, ' || coalesce(sum(hashtextextended((lk_row.*)::text, 0)::numeric), 0) || ' '
                     || coalesce(sum(hashtextextended((lk_row.*)::text, 1)::numeric), 0) from only {relation} lk_row"
            );
            let value = session.value(&query, &[]).await?;
            all.push((relation, value));
        }
        all.push(("large objects".to_owned(), session.value(LARGE_OBJECTS, &[]).await?));
        session.run("commit").await?;
        Ok(Self(all))
    }

    /// The first differences, as seen from `self`; empty when both are equal.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let find = |rows: &Self, what: &str| {
            rows.0.iter().find(|(name, _)| name == what).map(|(_, value)| value.clone())
        };
        let mut told = Vec::new();
        for (what, there) in &self.0 {
            match find(other, what) {
                Some(beside) if beside == *there => {}
                Some(beside) => {
                    told.push(format!("{what}: live has {there}, the restored copy has {beside}"));
                }
                None => told.push(format!("{what} is not in the restored copy")),
            }
        }
        let only = other.0.iter().filter(|(what, _)| find(self, what).is_none());
        told.extend(only.map(|(what, _)| format!("{what} is only in the restored copy")));
        told.truncate(TOLD);
        told
    }

    /// Tables and rows, for people.
    pub fn told(&self) -> String {
        let count = |value: &String| value.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        let tables = self.0.len().saturating_sub(1);
        let rows: u64 = self.0.iter().take(tables).map(|(_, value)| count(value)).sum();
        format!("{tables} tables, {rows} rows")
    }
}

/// One text for everything a database is and holds; equal for equal databases, whatever they are called.
pub fn content(catalog: &Description, rows: &Rows) -> String {
    blake3::hash(format!("{catalog:?}{rows:?}").as_bytes()).to_hex()[..32].to_owned()
}
