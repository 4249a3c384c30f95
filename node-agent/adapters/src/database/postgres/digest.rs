//! What a database's rows are, as digests that do not depend on their order.
//!
//! Each row's text is hashed twice with 64 bits and summed: equal sums of equal counts mean equal rows, but for a
//! chance of one in 2^100. It is no protection against somebody who wants a collision; the set's BLAKE3 is.

use super::{session::Session, sql};
use crate::database::{Answer, DatabaseCode};

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

/// Compares every table of two databases, each in one snapshot. Answers tables and rows compared.
pub async fn compare(live: &Session, restored: &Session) -> Answer<(usize, u64)> {
    for session in [live, restored] {
        session.run("begin isolation level repeatable read read only").await?;
    }
    let tables = live.rows(TABLES, &[]).await?;
    if tables != restored.rows(TABLES, &[]).await? {
        return Err(DatabaseCode::BackupDiffers.refuse("the tables with rows are not the same"));
    }
    let mut rows = 0_u64;
    for table in &tables {
        let [Some(schema), Some(table)] = table.as_slice() else { continue };
        let relation = format!("{}.{}", sql::name(schema), sql::name(table));
        let query = format!(
            "select count(*)::text || ' rows, ' || coalesce(sum(hashtextextended((lk_row.*)::text, 0)::numeric), 0) || ' '
                 || coalesce(sum(hashtextextended((lk_row.*)::text, 1)::numeric), 0) from only {relation} lk_row"
        );
        rows += equal(&relation, live, restored, &query).await?;
    }
    equal("large objects", live, restored, LARGE_OBJECTS).await?;
    for session in [live, restored] {
        session.run("commit").await?;
    }
    Ok((tables.len(), rows))
}

async fn equal(what: &str, live: &Session, restored: &Session, query: &str) -> Answer<u64> {
    let (there, beside) = futures::try_join!(live.value(query, &[]), restored.value(query, &[]))?;
    if there != beside {
        return Err(DatabaseCode::BackupDiffers
            .refuse(format!("{what}: live has {there}, the restored copy has {beside}")));
    }
    Ok(there.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0))
}
