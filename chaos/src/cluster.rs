//! The simulated cluster: its file, its machines and their numbers.

use crate::world::{NEW, Tool};
use lockkeeper_core::ids::{ClusterId, MemberName, NodeId};
use std::{collections::BTreeMap, sync::Arc};

const SAMPLE: &str = include_str!("../../deploy/sample/cluster.toml");

/// The group's id.
pub const CLUSTER: &str = "sim";

/// What a seed chooses of the cluster file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Whether the database's host has an agent with a vote; without it two members work balancer and door.
    pub witness: bool,
    /// When a silent member counts as lost, s.
    pub lost_after: u64,
    /// Failures that are tolerated.
    pub max_failures: u32,
    /// How the vendor's tool changes the schema.
    pub tool: Tool,
}

/// A cluster of one shape.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The group's id.
    pub id: ClusterId,
    /// The cluster file.
    pub text: String,
    /// Members, in order.
    pub members: Vec<MemberName>,
    /// Witnesses.
    pub witnesses: Vec<MemberName>,
    /// `host:port` -> machine.
    pub places: Arc<BTreeMap<String, String>>,
}

impl Shape {
    /// The cluster of this shape: the sample file that operators get, with its figures set.
    pub fn cluster(self) -> Cluster {
        let mut text = SAMPLE
            .replace("lost_after       = \"10s\"", &format!("lost_after       = \"{}s\"", self.lost_after))
            .replace("max_failures     = 0", &format!("max_failures     = {}", self.max_failures))
            .replace("resumes  = false", &format!("resumes  = {}", self.tool.resumes()))
            .replace("settle = \"5s\"", "settle = \"400ms\"")
            .replace("drain     = { wait = \"60s\"", "drain     = { wait = \"2s\"");
        let mut witnesses = vec![member("db1")];
        if !self.witness {
            text = text
                .replace("[witnesses.db1]\naddress = \"10.77.0.20:7440\"", "")
                .replace("[\"db1\", \"n1\"]", "[\"n3\", \"n1\"]")
                .replace("[\"db1\", \"n3\"]", "[\"n1\", \"n3\"]");
            witnesses.clear();
        }
        let places = [("n1", 11), ("n2", 12), ("n3", 13), ("db1", 20)];
        let places = places.iter().map(|(name, n)| (format!("10.77.0.{n}:7440"), (*name).to_owned()));
        Cluster {
            id: ClusterId(CLUSTER.into()),
            text,
            members: vec![member("n1"), member("n2"), member("n3")],
            witnesses,
            places: Arc::new(places.collect()),
        }
    }
}

impl Cluster {
    /// All machines with an agent.
    pub fn agents(&self) -> impl Iterator<Item = &MemberName> {
        self.members.iter().chain(&self.witnesses)
    }

    /// A machine's number in Raft.
    pub fn node(&self, name: &MemberName) -> NodeId {
        let at = self.agents().position(|agent| agent == name).unwrap_or(usize::MAX - 1);
        NodeId(u64::try_from(at).unwrap_or(u64::MAX - 1) + 1)
    }

    /// A machine's address in the cluster file.
    pub fn address(&self, name: &MemberName) -> String {
        let found = self.places.iter().find(|(_, place)| *place == name.as_str());
        found.map(|(address, _)| address.clone()).unwrap_or_default()
    }
}

/// The version everybody shall have.
pub const fn target() -> &'static str {
    NEW.0
}

#[expect(clippy::unwrap_used, reason = "called with literals that are valid names")]
fn member(name: &str) -> MemberName {
    MemberName::new(name).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockkeeper_core::{cluster::read_cluster, profile::ProfileCatalog};

    #[test]
    fn every_shape_is_a_right_cluster_file() {
        for witness in [true, false] {
            for tool in [Tool::Transactional, Tool::Resumes, Tool::Fragile] {
                let cluster = Shape { witness, lost_after: 3, max_failures: 1, tool }.cluster();
                let read = read_cluster("cluster.toml", &cluster.text, &ProfileCatalog::built_in());
                let (spec, _) = read.unwrap_or_else(|report| panic!("{report}"));
                assert_eq!(spec.witnesses.len(), usize::from(witness));
                assert_eq!(spec.policy.lost_after.0, 3_000);
                assert_eq!(spec.policy.max_failures, 1);
                assert!(cluster.text.contains("400ms"), "the sample's settle was replaced");
                for agent in cluster.agents() {
                    assert!(cluster.text.contains(&cluster.address(agent)));
                }
            }
        }
    }
}
