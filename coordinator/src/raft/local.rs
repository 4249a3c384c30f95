//! Who this node is to its peers, and whose calls it takes.

use super::marker::Marker;
use super::refusal::Refusal;
use lockkeeper_core::ids::{ClusterId, Generation, MemberName, NodeId};
use lockkeeper_proto::port::Instance;
use lockkeeper_proto::wire::raft::{Header, Party, Seat};

/// This node's own place in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// The group's cluster.
    pub cluster: ClusterId,
    /// Which life of the group.
    pub generation: Generation,
    /// This node.
    pub party: Party,
    /// Which running of it.
    pub instance: Instance,
}

impl Local {
    /// The owner of a store, by the name it has in the cluster file.
    pub fn new(marker: &Marker, name: MemberName) -> Self {
        Self {
            cluster: marker.cluster.clone(),
            generation: marker.generation,
            party: Party { node: marker.node, name, incarnation: marker.incarnation },
            instance: Instance::default(),
        }
    }

    /// Tells which running it is.
    #[must_use]
    pub fn running_as(self, instance: Instance) -> Self {
        Self { instance, ..self }
    }

    /// The header of a call to `node`, which the group knows as `seat`.
    pub(super) fn header_to(&self, node: NodeId, seat: &Seat) -> Header {
        Header {
            cluster: self.cluster.clone(),
            generation: self.generation,
            from: self.party.clone(),
            to: Party { node, name: seat.name.clone(), incarnation: seat.incarnation },
            instance: self.instance.clone(),
        }
    }

    /// Whether a call with this header is for this node and from one that may speak. `seat` is what this node knows
    /// about the sender, if anything.
    ///
    /// A sender with a *higher* incarnation than known is let through: the entry that admits it may be in this very
    /// call. Its certificate is what vouches for it, see [`super::PeerCheck`].
    ///
    /// # Errors
    /// Names the first difference.
    pub fn check(&self, header: &Header, seat: Option<&Seat>) -> Result<(), Refusal> {
        if header.cluster != self.cluster {
            let (expected, found) = (self.cluster.clone(), header.cluster.clone());
            return Err(Refusal::Cluster { expected, found });
        }
        if header.generation != self.generation {
            let (expected, found) = (self.generation, header.generation);
            return Err(Refusal::Generation { expected, found });
        }
        if header.to.node != self.party.node || header.to.name != self.party.name {
            let (expected, found) = (Box::new(self.party.clone()), Box::new(header.to.clone()));
            return Err(Refusal::Receiver { expected, found });
        }
        if header.to.incarnation != self.party.incarnation {
            let (expected, found) = (self.party.incarnation, header.to.incarnation);
            return Err(Refusal::ReceiverIncarnation { expected, found });
        }
        if header.from.node == self.party.node {
            return Err(Refusal::OwnNumber { node: self.party.node, name: header.from.name.clone() });
        }
        let Some(seat) = seat else {
            return Ok(());
        };
        if seat.name != header.from.name {
            let (expected, found) = (seat.name.clone(), header.from.name.clone());
            return Err(Refusal::Sender { node: header.from.node, expected, found });
        }
        if header.from.incarnation < seat.incarnation {
            let (expected, found) = (seat.incarnation, header.from.incarnation);
            return Err(Refusal::SenderIncarnation { name: seat.name.clone(), expected, found });
        }
        Ok(())
    }
}
