//! Whether every text of a profile can be filled in from a cluster file: the planner's expansion with versions made
//! up, so that `cluster check` tells today what `plan` would complain about at night.

use super::{Observed, ObservedDatabase, ObservedMember, PlanInput, Strategy, expand::Expansion};
use crate::{
    cluster::ClusterSpec,
    fault::Fault,
    ids::{ClusterId, DatabaseName, Digest, MemberName},
    profile::{Profile, model::Eligible},
    version::Version,
};
use std::collections::BTreeMap;

/// What could not be filled in.
pub(crate) fn unfilled(profile: &Profile, cluster: &ClusterSpec) -> Vec<Fault> {
    let (Ok(from), Ok(to)) = (Version::new("1"), Version::new("2")) else { return Vec::new() };
    let member = ObservedMember { version: Some(from.clone()), reachable: true, ..ObservedMember::default() };
    let observed = Observed {
        members: cluster.members.keys().map(|m| (m.clone(), member.clone())).collect(),
        databases: cluster.databases.keys().map(|d| (d.clone(), ObservedDatabase::default())).collect(),
        ..Observed::default()
    };
    let (id, digest) = (ClusterId(String::new()), Digest(String::new()));
    let input = PlanInput {
        cluster_id: &id,
        cluster,
        cluster_version: 0,
        cluster_digest: &digest,
        profile,
        observed: &observed,
        strategy: Strategy::Offline,
        to: &to,
        parent: None,
        adopt: false,
    };
    let upgraders = eligible(profile, cluster);
    let mut expansion = Expansion::new(&input, &from, &upgraders);
    expansion.every_way();
    expansion.finish().1
}

fn eligible(profile: &Profile, cluster: &ClusterSpec) -> BTreeMap<DatabaseName, Vec<MemberName>> {
    let may: Vec<MemberName> = cluster
        .members
        .iter()
        .filter(|(_, spec)| match &profile.upgrader {
            Eligible::Any => true,
            Eligible::Pinned(role) => spec.labels.get("role") == Some(role),
        })
        .map(|(name, _)| name.clone())
        .collect();
    cluster.databases.keys().map(|d| (d.clone(), may.clone())).collect()
}
