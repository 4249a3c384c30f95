//! Who speaks for whom: the part of every call that is checked before the call is looked at.

use super::error::{Problem, WireError, required};
use crate::{pb, port::Instance};
use lockkeeper_core::ids::{ClusterId, Generation, Incarnation, MemberName, NodeId};

/// One end of a call, as the sender sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// The number the group knows it by.
    pub node: NodeId,
    /// Its name in the cluster file; a certificate proves this one.
    pub name: MemberName,
    /// Which making of its identity.
    pub incarnation: Incarnation,
}

/// Sender, receiver and group of a call. The receiver refuses the call when one of them is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The group's cluster.
    pub cluster: ClusterId,
    /// Which life of the group: `recover` makes a new one, and the old one is refused.
    pub generation: Generation,
    /// Who claims to speak.
    pub from: Party,
    /// Whom the sender believes to be talking to.
    pub to: Party,
    /// Which running of the sender.
    pub instance: Instance,
}

impl From<Party> for pb::RaftParty {
    fn from(party: Party) -> Self {
        Self { node_id: party.node.0, name: party.name.into(), incarnation: party.incarnation.0 }
    }
}

impl TryFrom<pb::RaftParty> for Party {
    type Error = WireError;
    fn try_from(party: pb::RaftParty) -> Result<Self, WireError> {
        Ok(Self {
            node: NodeId(party.node_id),
            name: MemberName::new(party.name)
                .map_err(|error| WireError::new("RaftParty", "name", Problem::Name(error)))?,
            incarnation: Incarnation(party.incarnation),
        })
    }
}

impl From<Header> for pb::RaftHeader {
    fn from(header: Header) -> Self {
        Self {
            cluster_id: header.cluster.0,
            generation: header.generation.0,
            from: Some(header.from.into()),
            to: Some(header.to.into()),
            instance: header.instance.as_str().to_owned(),
        }
    }
}

impl TryFrom<pb::RaftHeader> for Header {
    type Error = WireError;
    fn try_from(header: pb::RaftHeader) -> Result<Self, WireError> {
        Ok(Self {
            cluster: ClusterId(header.cluster_id),
            generation: Generation(header.generation),
            from: required(header.from, "RaftHeader", "from")?.try_into()?,
            to: required(header.to, "RaftHeader", "to")?.try_into()?,
            instance: Instance::told(&header.instance),
        })
    }
}
