//! Channels to the other nodes, so that what must be quick never waits behind what is large.

use super::limits::{MESSAGE_BYTES_MAX, REDIAL_PAUSE};
use super::local::Local;
use crate::alarm::Alarm;
use lockkeeper_core::ids::NodeId;
use lockkeeper_proto::pb::raft_client::RaftClient;
use lockkeeper_proto::transport::{Dialer, ExpectedPeer};
use lockkeeper_proto::wire::raft::{Header, Membership, Seat};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;
use tonic::Status;
use tonic::transport::Channel;

/// The code of a refusal because another agent has this node's name; it stands in the answer's text.
const RIVAL: &str = "LK3311";

/// The others, by number.
pub(super) struct Peers {
    local: Local,
    dialer: Arc<dyn Dialer>,
    alarm: Arc<Alarm>,
    links: Mutex<BTreeMap<NodeId, Link>>,
}

/// Which of the channels to a peer. HTTP/2 limits the bytes under way on a connection, so a 16 MiB command, or a receiver
/// that is busy with its disk, would hold up everything behind it; a heartbeat has 100 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Heartbeats, votes, hand-over.
    Pulse,
    /// Entries.
    Log,
    /// One snapshot; the channel closes with it.
    Snapshot,
}

/// The way to one peer.
struct Link {
    seat: Seat,
    pulse: Channel,
    log: Channel,
    /// Since when it has not answered, and why.
    failed: Option<Failure>,
}

struct Failure {
    at: Instant,
    reason: String,
}

/// A client and the header its calls begin with.
pub(super) struct Call {
    pub client: RaftClient<Channel>,
    pub header: Header,
}

impl Peers {
    pub fn new(local: Local, dialer: Arc<dyn Dialer>, alarm: Arc<Alarm>) -> Self {
        Self { local, dialer, alarm, links: Mutex::default() }
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<NodeId, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, seat: &Seat) -> Channel {
        self.dialer.channel(&seat.address, ExpectedPeer::Node(seat.name.clone(), seat.incarnation))
    }

    /// Takes note of where a node sits. A new address or incarnation gets new channels.
    pub fn seat(&self, node: NodeId, seat: &Seat) {
        let mut links = self.links();
        if links.get(&node).is_none_or(|link| link.seat != *seat) {
            let (pulse, log) = (self.open(seat), self.open(seat));
            links.insert(node, Link { seat: seat.clone(), pulse, log, failed: None });
        }
    }

    /// Takes note of a whole membership and forgets everybody else.
    pub fn update(&self, membership: &Membership) {
        self.links().retain(|node, _| membership.nodes.contains_key(node));
        for (node, seat) in &membership.nodes {
            if *node != self.local.party.node {
                self.seat(*node, seat);
            }
        }
    }

    /// What this node knows about a sender.
    pub fn known(&self, node: NodeId) -> Option<Seat> {
        self.links().get(&node).map(|link| link.seat.clone())
    }

    /// A client on one of the lanes.
    pub fn call(&self, node: NodeId, lane: Lane) -> Option<Call> {
        let (channel, seat) = {
            let links = self.links();
            let link = links.get(&node)?;
            let channel = match lane {
                Lane::Pulse => link.pulse.clone(),
                Lane::Log => link.log.clone(),
                Lane::Snapshot => self.open(&link.seat),
            };
            (channel, link.seat.clone())
        };
        Some(self.call_on(channel, node, &seat))
    }

    fn call_on(&self, channel: Channel, node: NodeId, seat: &Seat) -> Call {
        let client = RaftClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Call { client, header: self.local.header_to(node, seat) }
    }

    /// Why a stream should not be tried just now.
    pub fn resting(&self, node: NodeId) -> Option<String> {
        let links = self.links();
        let failure = links.get(&node)?.failed.as_ref()?;
        (failure.at.elapsed() < REDIAL_PAUSE).then(|| failure.reason.clone())
    }

    /// Takes note of how a call ended. Tells people once when a peer stops or starts answering; the library reports
    /// every single attempt.
    pub fn note(&self, node: NodeId, outcome: Result<(), &str>) {
        if let Err(reason) = outcome
            && reason.contains(RIVAL)
        {
            self.alarm.refused(reason);
        }
        let mut links = self.links();
        let Some(link) = links.get_mut(&node) else {
            return;
        };
        let peer = &link.seat.name;
        match outcome {
            Ok(()) => {
                if link.failed.take().is_some() {
                    tracing::info!(%peer, address = link.seat.address, "peer answers again");
                }
            }
            Err(reason) => {
                if link.failed.as_ref().is_none_or(|failure| failure.reason != reason) {
                    tracing::warn!(%peer, address = link.seat.address, reason, "peer does not answer");
                }
                link.failed = Some(Failure { at: Instant::now(), reason: reason.to_owned() });
            }
        }
    }
}

/// A failed call in one line: the code and message, and what is behind a connection error.
pub(super) fn describe(status: &Status) -> String {
    let mut text = format!("{:?}: {}", status.code(), status.message());
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}
