//! One agent asks another about the group's state.

use crate::{
    pb::{
        GroupBeatRequest, GroupClaimRequest, GroupFollowRequest, GroupIssuingRequest, GroupObserveRequest,
        GroupProposeRequest, GroupReadRequest, GroupStateFrame, GroupWhoRequest, group_claim_reply::Word,
        group_client::GroupClient as Generated,
    },
    port::Instance,
    transport::Speaking,
};
use lockkeeper_core::{
    ids::{Digest, LogIndex, MemberName},
    observe::{FactsQuery, HostFacts},
    rollout::{Reply, State},
    stored,
    view::Sighting,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tonic::{Status, service::interceptor::InterceptedService, transport::Channel};

/// Limit of one look at a host: hashing a release of 1 GiB takes about 5 s, a database that is down 10 s.
pub const OBSERVE_DEADLINE: Duration = Duration::from_secs(45);

/// A client of the `Group` service of one agent.
#[derive(Debug, Clone)]
pub struct GroupClient {
    client: Generated<InterceptedService<Channel, Speaking>>,
    channel: Channel,
    limit: usize,
}

/// What a peer says to a claim of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Nobody lives under it, as far as the peer sees.
    Free {
        /// Whether the peer hears a quorum.
        quorum: bool,
    },
    /// Another running answers under it.
    Alive(String),
    /// Another running was heard a moment ago.
    Recent(String),
}

/// A state as another agent sent it.
#[derive(Debug, Clone)]
pub struct StateFrame {
    /// Up to which index.
    pub applied: LogIndex,
    /// The state.
    pub state: Arc<State>,
    /// Who leads, as far as the sender knows; empty for nobody.
    pub leader: String,
    /// Raft term.
    pub term: u64,
    /// Whether the sender hears a quorum.
    pub quorum: bool,
}

impl GroupClient {
    /// Over a channel; messages may have up to `limit` bytes.
    pub fn new(channel: Channel, limit: usize) -> Self {
        Self::made(channel, limit, Speaking::default())
    }

    /// The same, telling which running of this agent speaks.
    #[must_use]
    pub fn speaking_as(self, instance: &Instance) -> Self {
        Self::made(self.channel, self.limit, Speaking::of(instance))
    }

    fn made(channel: Channel, limit: usize, speaking: Speaking) -> Self {
        let client = Generated::with_interceptor(channel.clone(), speaking)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        Self { client, channel, limit }
    }

    /// Asks whether another agent lives under this one's name.
    pub async fn claim(&self) -> Result<Claimed, Status> {
        let reply = self.client.clone().claim(GroupClaimRequest {}).await?.into_inner();
        Ok(match reply.word() {
            Word::Free => Claimed::Free { quorum: reply.quorum },
            Word::Alive => Claimed::Alive(reply.why),
            Word::Recent => Claimed::Recent(reply.why),
        })
    }

    /// Asks which running answers.
    pub async fn who(&self) -> Result<Instance, Status> {
        let reply = self.client.clone().who(GroupWhoRequest {}).await?.into_inner();
        Ok(Instance::told(&reply.instance))
    }

    /// Forwards an encoded envelope to the leader.
    pub async fn propose(&self, envelope: Vec<u8>) -> Result<Reply, Status> {
        let reply = self.client.clone().propose(GroupProposeRequest { envelope }).await?.into_inner();
        stored::decode_reply(&reply.reply).map_err(|e| Status::data_loss(e.to_string()))
    }

    /// Asks the leader how far one must have applied to read everything committed before this call.
    pub async fn read_index(&self) -> Result<LogIndex, Status> {
        Ok(LogIndex(self.client.clone().read(GroupReadRequest {}).await?.into_inner().read_index))
    }

    /// Gives a sign of life; answers what the other side holds.
    pub async fn beat(&self, beat: GroupBeat) -> Result<BeatAnswer, Status> {
        let request = GroupBeatRequest {
            member: beat.member,
            incarnation: beat.incarnation,
            agent_version: beat.agent_version,
            facts_json: beat.facts_json,
            facts_digest: beat.facts_digest,
            facts_age_ms: beat.facts_age_ms,
            wall_ms: beat.wall_ms,
        };
        let reply = self.client.clone().beat(request).await?.into_inner();
        let sightings = match reply.sightings_json.as_str() {
            "" => None,
            text => Some(serde_json::from_str(text).map_err(|e| Status::data_loss(e.to_string()))?),
        };
        Ok(BeatAnswer { facts_digest: reply.facts_digest, leading: reply.leading, sightings })
    }

    /// Asks the other side to look at its host; answers what it saw and its wall clock.
    pub async fn observe(&self, query: &FactsQuery) -> Result<(HostFacts, u64), Status> {
        let query_json = serde_json::to_string(query).map_err(|e| Status::internal(e.to_string()))?;
        let mut request = tonic::Request::new(GroupObserveRequest { query_json });
        request.set_timeout(OBSERVE_DEADLINE);
        let reply = self.client.clone().observe(request).await?.into_inner();
        let facts = serde_json::from_str(&reply.facts_json).map_err(|e| Status::data_loss(e.to_string()))?;
        Ok((facts, reply.wall_ms))
    }

    /// Asks for the issuing certificate with this digest; answers certificate and key, both DER.
    pub async fn issuing(&self, digest: &Digest) -> Result<(Vec<u8>, Vec<u8>), Status> {
        let reply =
            self.client.clone().issuing(GroupIssuingRequest { digest: digest.0.clone() }).await?.into_inner();
        Ok((reply.certificate, reply.key))
    }

    /// Every new state of the other side, the newest only.
    pub async fn follow(
        &self,
    ) -> Result<impl futures::Stream<Item = Result<StateFrame, Status>> + use<>, Status> {
        let frames = self.client.clone().follow(GroupFollowRequest {}).await?.into_inner();
        Ok(futures::StreamExt::map(frames, |frame| frame.and_then(read)))
    }
}

/// What is answered to a sign of life.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BeatAnswer {
    /// Digest of the host facts the other side holds; when it differs they are sent whole.
    pub facts_digest: String,
    /// Whether it leads.
    pub leading: bool,
    /// What a leader has heard of everybody, if it tells.
    pub sightings: Option<BTreeMap<MemberName, Sighting>>,
}

/// A sign of life, see [`GroupClient::beat`].
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "described at the message of the same name")]
pub struct GroupBeat {
    pub member: String,
    pub incarnation: u32,
    pub agent_version: String,
    pub facts_json: String,
    pub facts_digest: String,
    pub facts_age_ms: u64,
    pub wall_ms: u64,
}

fn read(frame: GroupStateFrame) -> Result<StateFrame, Status> {
    let state = stored::decode_state(&frame.state).map_err(|e| Status::data_loss(e.to_string()))?;
    Ok(StateFrame {
        applied: LogIndex(frame.applied),
        state: Arc::new(state),
        leader: frame.leader,
        term: frame.term,
        quorum: frame.quorum,
    })
}
