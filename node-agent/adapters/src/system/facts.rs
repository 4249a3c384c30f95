//! What can be seen of this host and of the databases it is asked about. Each value answers for itself.

use super::{SystemHost, blocking};
use crate::files::{tree::tree_hash, version::version};
use lockkeeper_agent::host::{FactsQuery, HostFacts};
use std::path::PathBuf;

impl SystemHost {
    pub(super) async fn look_at_host(&self, query: &FactsQuery) -> HostFacts {
        let mut facts = HostFacts::default();
        if let Some(how) = &query.version {
            facts.version = Some(version(how).await.map_err(|f| f.to_string()));
        }
        for (name, database) in &query.databases {
            let seen = match self.engines.open(name, &database.spec) {
                Ok(adapter) => adapter.facts(&database.schema).await,
                Err(failure) => Err(failure),
            };
            facts.databases.insert(name.clone(), seen.map_err(|f| f.to_string()));
        }
        if !query.release.is_empty() {
            let directory = PathBuf::from(&query.release);
            facts.release = Some(blocking(move || tree_hash(&directory)).await.map_err(|f| f.to_string()));
        }
        facts
    }
}
