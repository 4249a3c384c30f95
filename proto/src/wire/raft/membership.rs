//! Who belongs to the group, and where each sits.

use super::error::{Problem, WireError, required};
use crate::pb;
use lockkeeper_core::ids::{Incarnation, MemberName, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// What the group knows about one of its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Its name in the cluster file.
    pub name: MemberName,
    /// Where its peers reach it, `host:port`.
    pub address: String,
    /// Which making of its identity the group admitted.
    pub incarnation: Incarnation,
}

/// Voters and learners at one point of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// One set of voters, or two while they are being changed: then a majority of each is needed.
    pub configs: Vec<BTreeSet<NodeId>>,
    /// Every node, voter or learner.
    pub nodes: BTreeMap<NodeId, Seat>,
}

impl From<Seat> for pb::RaftSeat {
    fn from(seat: Seat) -> Self {
        Self { name: seat.name.into(), address: seat.address, incarnation: seat.incarnation.0 }
    }
}

impl TryFrom<pb::RaftSeat> for Seat {
    type Error = WireError;
    fn try_from(seat: pb::RaftSeat) -> Result<Self, WireError> {
        Ok(Self {
            name: MemberName::new(seat.name)
                .map_err(|error| WireError::new("RaftSeat", "name", Problem::Name(error)))?,
            address: seat.address,
            incarnation: Incarnation(seat.incarnation),
        })
    }
}

impl From<Membership> for pb::RaftMembership {
    fn from(membership: Membership) -> Self {
        let voters = |set: BTreeSet<NodeId>| pb::raft_membership::Voters {
            node_ids: set.into_iter().map(|node| node.0).collect(),
        };
        let node = |(node, seat): (NodeId, Seat)| pb::raft_membership::Node {
            node_id: node.0,
            seat: Some(seat.into()),
        };
        Self {
            configs: membership.configs.into_iter().map(voters).collect(),
            nodes: membership.nodes.into_iter().map(node).collect(),
        }
    }
}

impl TryFrom<pb::RaftMembership> for Membership {
    type Error = WireError;
    fn try_from(membership: pb::RaftMembership) -> Result<Self, WireError> {
        let configs = membership
            .configs
            .into_iter()
            .map(|set| set.node_ids.into_iter().map(NodeId).collect::<BTreeSet<_>>())
            .collect();
        let mut nodes = BTreeMap::new();
        for node in membership.nodes {
            let seat = required(node.seat, "RaftMembership.Node", "seat")?.try_into()?;
            if nodes.insert(NodeId(node.node_id), seat).is_some() {
                return Err(WireError::new("RaftMembership", "nodes", Problem::Twice(node.node_id)));
            }
        }
        Ok(Self { configs, nodes })
    }
}
