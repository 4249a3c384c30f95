//! What can be seen of this host and of the databases it is asked about. Each value answers for itself.

use super::{SystemHost, balancer, blocking};
use crate::files::{tree::tree_hash, version::version};
use lockkeeper_agent::host::{FactsQuery, Failure, HostFacts, Proof};
use lockkeeper_core::{cluster::BalancerSpec, ids::BalancerName};
use std::{collections::BTreeMap, path::PathBuf};

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
        if query.locks {
            for (name, database) in &query.databases {
                let seen = match self.engines.open(name, &database.spec) {
                    Ok(adapter) => adapter.foreign_locks().await,
                    Err(failure) => Err(failure),
                };
                facts.locks.insert(name.clone(), seen.map_err(|f| f.to_string()));
            }
        }
        if query.machine {
            let backups = query.databases.values().map(|database| database.spec.backups.clone());
            let (data, backups) = (self.settings.data_dir.clone(), backups.collect());
            facts.machine = Some(super::machine::look(data, backups).await);
        }
        if let Some(balancers) = &query.prove {
            facts.proofs = self.try_out(query, balancers).await;
        }
        if !query.release.is_empty() {
            let directory = PathBuf::from(&query.release);
            facts.release = Some(blocking(move || tree_hash(&directory)).await.map_err(|f| f.to_string()));
        }
        for (name, spec) in &query.balancers {
            let seen = super::balancer::states(spec).await.map_err(|f| f.to_string());
            facts.balancers.insert(name.clone(), seen);
        }
        facts
    }

    async fn try_out(
        &self,
        query: &FactsQuery,
        balancers: &BTreeMap<BalancerName, BalancerSpec>,
    ) -> Vec<Proof> {
        let mut proofs = Vec::new();
        for (name, database) in &query.databases {
            let acts = match self.engines.open(name, &database.spec) {
                Ok(adapter) => adapter.capabilities().await,
                Err(failure) => vec![("open it", Err(failure))],
            };
            proofs.extend(acts.into_iter().map(|(act, seen)| proof(name.as_str(), act, seen)));
        }
        for (name, spec) in balancers {
            let seen = balancer::set_as_it_is(spec).await;
            proofs.push(proof(name.as_str(), "set each server to its present state", seen));
        }
        proofs
    }
}

fn proof(subject: &str, act: &str, seen: Result<String, Failure>) -> Proof {
    Proof { subject: subject.to_owned(), act: act.to_owned(), seen: seen.map_err(|f| f.to_string()) }
}
