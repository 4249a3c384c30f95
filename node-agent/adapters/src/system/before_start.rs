//! What the boot guard looks at: the version that is about to start, and the databases it would work on. Reads only, and
//! unlike a host it keeps nothing in order: an agent may work on the same files meanwhile.

use super::{Settings, engines::Engines};
use crate::{database::BeforeStart, files::version::version};
use futures::future::join_all;
use lockkeeper_agent::host::FactsQuery;
use lockkeeper_core::ids::DatabaseName;
use std::collections::BTreeMap;

/// The installed version, or why it cannot be read; none if the query has no way to find it.
pub async fn installed(query: &FactsQuery) -> Option<Result<String, String>> {
    match &query.version {
        Some(how) => Some(version(how).await.map_err(|failure| failure.to_string())),
        None => None,
    }
}

/// Every database of the query, all at once. Each ends within its engine's own limits.
pub async fn databases(
    settings: &Settings,
    query: &FactsQuery,
) -> BTreeMap<DatabaseName, Result<BeforeStart, String>> {
    let engines = Engines::new(settings);
    let looks = query.databases.iter().map(|(name, database)| {
        let adapter = engines.open(name, &database.spec);
        async move {
            let look = match adapter {
                Ok(adapter) => adapter.before_start(&database.schema).await,
                Err(failure) => Err(failure),
            };
            (name.clone(), look.map_err(|failure| failure.to_string()))
        }
    });
    join_all(looks).await.into_iter().collect()
}
