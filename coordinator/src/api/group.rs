//! The `Group` service: other agents forward proposals, confirm reads, follow the state and give signs of life.

use super::{Api, claim::claim};
use crate::{consensus::ConsensusError, incumbents::Speaker, limits, sight::Beat};
use futures::Stream;
use lockkeeper_core::{
    identity::Role,
    ids::MemberName,
    observe::FactsQuery,
    rollout::{Command, TrustCommand},
    stored,
    time::Millis,
};
use lockkeeper_proto::{
    client::group::Claimed,
    pb::{
        GroupBeatReply, GroupBeatRequest, GroupClaimReply, GroupClaimRequest, GroupFollowRequest,
        GroupIssuingRequest, GroupObserveReply, GroupObserveRequest, GroupProposeReply, GroupProposeRequest,
        GroupReadReply, GroupReadRequest, GroupStateFrame, GroupWhoReply, GroupWhoRequest, IssuingAuthority,
        group_claim_reply::Word,
        group_server::{Group, GroupServer},
    },
    port::{Group as _, Proposal, View},
    transport::{coded_status, node, peer_info, speaker},
};
use std::pin::Pin;
use tonic::{Code, Request, Response, Status};

/// The service for this node's API.
pub fn group_service(api: Api) -> GroupServer<GroupApi> {
    GroupServer::new(GroupApi(api))
        .max_decoding_message_size(limits::MESSAGE_MAX)
        .max_encoding_message_size(limits::MESSAGE_MAX)
}

/// See [`group_service`].
pub struct GroupApi(Api);

fn not_here(error: &ConsensusError) -> Status {
    coded_status(Code::Unavailable, "LK3101", format!("LK3101: {error}"))
}

#[tonic::async_trait]
impl Group for GroupApi {
    async fn propose(
        &self,
        request: Request<GroupProposeRequest>,
    ) -> Result<Response<GroupProposeReply>, Status> {
        let from = self.peer(&request)?.0;
        let envelope = stored::decode_envelope(&request.into_inner().envelope)
            .map_err(|e| coded_status(Code::InvalidArgument, "LK3203", e.to_string()))?;
        check_speaker(&from, &envelope.command, envelope.actor.as_ref().map(|a| a.role))?;
        let proposal = Proposal {
            id: envelope.id,
            actor: envelope.actor,
            trace: envelope.trace,
            command: envelope.command,
        };
        let reply = self.0.group.propose_here(proposal).await.map_err(|e| not_here(&e))?;
        Ok(Response::new(GroupProposeReply { reply: stored::encode_reply(&reply) }))
    }

    async fn read(&self, request: Request<GroupReadRequest>) -> Result<Response<GroupReadReply>, Status> {
        self.peer(&request)?;
        let index = self.0.group.read_here().await.map_err(|e| not_here(&e))?;
        Ok(Response::new(GroupReadReply { read_index: index.0 }))
    }

    type FollowStream = Pin<Box<dyn Stream<Item = Result<GroupStateFrame, Status>> + Send>>;

    async fn follow(&self, request: Request<GroupFollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        self.peer(&request)?;
        let mut views = self.0.group.follow();
        let frames = async_stream::stream! {
            loop {
                let view = views.borrow_and_update().clone();
                yield Ok(frame(&view));
                if views.changed().await.is_err() {
                    return;
                }
            }
        };
        Ok(Response::new(Box::pin(frames)))
    }

    async fn beat(&self, request: Request<GroupBeatRequest>) -> Result<Response<GroupBeatReply>, Status> {
        let member = self.peer(&request)?.0;
        let beat = request.into_inner();
        let leading = self.0.group.consensus().leadership().borrow().leading;
        let beat = Beat {
            member,
            agent_version: beat.agent_version,
            facts_json: beat.facts_json,
            facts_digest: beat.facts_digest,
            facts_age: Millis(beat.facts_age_ms),
            wall_ms: beat.wall_ms,
        };
        let facts_digest = self.0.sightings.heard(&beat, self.0.clock.boot(), self.0.clock.wall_ms());
        let sightings_json = if leading { self.0.sightings.told(self.0.clock.boot()) } else { String::new() };
        Ok(Response::new(GroupBeatReply { facts_digest, leading, sightings_json }))
    }

    async fn observe(
        &self,
        request: Request<GroupObserveRequest>,
    ) -> Result<Response<GroupObserveReply>, Status> {
        node(&request)?;
        observe(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn claim(&self, request: Request<GroupClaimRequest>) -> Result<Response<GroupClaimReply>, Status> {
        let (name, speaking) = who_speaks(&request)?;
        if speaking.instance.is_silent() {
            return Err(coded_status(Code::InvalidArgument, "LK3106", "LK3106: lockkeeper-instance: it is missing"));
        }
        let (word, why, quorum) = match claim(&self.0, &name, speaking).await {
            Claimed::Free { quorum } => (Word::Free, String::new(), quorum),
            Claimed::Alive(why) => (Word::Alive, why, false),
            Claimed::Recent(why) => (Word::Recent, why, false),
        };
        Ok(Response::new(GroupClaimReply { word: word.into(), why, quorum }))
    }

    async fn who(&self, request: Request<GroupWhoRequest>) -> Result<Response<GroupWhoReply>, Status> {
        self.peer(&request)?;
        Ok(Response::new(GroupWhoReply { instance: self.0.instance.to_string() }))
    }

    async fn issuing(
        &self,
        request: Request<GroupIssuingRequest>,
    ) -> Result<Response<IssuingAuthority>, Status> {
        self.peer(&request)?;
        let peer = node(&request)?;
        self.0.issuing_for(peer, request.get_ref()).map(Response::new)
    }
}

/// The node behind a request, and which running of it.
fn who_speaks<T>(request: &Request<T>) -> Result<(MemberName, Speaker), Status> {
    let peer = node(request)?;
    let from = peer_info(request)?.address.map(|address| address.ip());
    let speaking = Speaker { incarnation: peer.incarnation, instance: speaker(request), from };
    Ok((peer.name.clone(), speaking))
}

impl GroupApi {
    /// The node behind a request, unless another running agent has its name.
    fn peer<T>(&self, request: &Request<T>) -> Result<(MemberName, Speaker), Status> {
        let (name, speaking) = who_speaks(request)?;
        let heard = self.0.incumbents.hear(&name, &speaking, self.0.clock.boot());
        heard.map_err(|rivalry| coded_status(Code::PermissionDenied, "LK3311", rivalry.to_string()))?;
        Ok((name, speaking))
    }
}

async fn observe(api: &Api, request: GroupObserveRequest) -> Result<GroupObserveReply, Status> {
    let query: FactsQuery = serde_json::from_str(&request.query_json)
        .map_err(|e| coded_status(Code::InvalidArgument, "LK3106", format!("LK3106: query_json: {e}")))?;
    let facts = api.observer.observe(&query).await;
    let facts_json = serde_json::to_string(&facts).map_err(|e| Status::internal(e.to_string()))?;
    Ok(GroupObserveReply { facts_json, wall_ms: api.clock.wall_ms() })
}

fn frame(view: &View) -> GroupStateFrame {
    GroupStateFrame {
        applied: view.applied.0,
        state: stored::encode_state(&view.state),
        leader: view.leader.as_ref().map(ToString::to_string).unwrap_or_default(),
        term: view.term,
        quorum: view.quorum,
    }
}

/// Of itself an agent tells its certificate; the rest people or the leader say.
fn speaks(from: &lockkeeper_core::ids::MemberName, command: &TrustCommand, role: Option<Role>) -> bool {
    match command {
        TrustCommand::Certificate { member, .. } => member == from,
        TrustCommand::OperatorIssue { .. }
        | TrustCommand::OperatorRevoke { .. }
        | TrustCommand::MemberRemove { .. }
        | TrustCommand::AddVoter { .. }
        | TrustCommand::CaRotate { .. }
        | TrustCommand::CaFinish => role.is_some(),
        TrustCommand::MemberGone { .. }
        | TrustCommand::CaAdvance { .. }
        | TrustCommand::RaiseFloor { .. } => false,
    }
}

/// An agent speaks for its own attempts only, never for the leader, and for a person only in what people may ask.
fn check_speaker(
    from: &lockkeeper_core::ids::MemberName,
    command: &Command,
    role: Option<Role>,
) -> Result<(), Status> {
    let own = match command {
        Command::OwedIntent { attempt, .. }
        | Command::ReportBlocked { attempt, .. }
        | Command::Outcome { attempt, .. } => attempt.member == *from,
        Command::Announce { member, .. } | Command::GuardOpened { member, .. } => member == from,
        Command::Trust(command) => speaks(from, command, role),
        // A join came in at that agent; the token's hash is checked where it is applied.
        Command::Enrol(enrol) => enrol.token.is_some(),
        Command::TokenCreate { .. }
        | Command::SetCluster { .. }
        | Command::Approve { .. }
        | Command::Apply { .. }
        | Command::Pause { .. }
        | Command::Resume
        | Command::Abort { .. }
        | Command::Retry { .. }
        | Command::AcceptOwed { .. }
        | Command::Takeover { .. }
        | Command::Restore { .. } => role.is_some(),
        // What a leader proposes, it proposes on its own node.
        Command::Init { .. }
        | Command::SetExecutor { .. }
        | Command::Elect { .. }
        | Command::Assign { .. }
        | Command::Halt { .. }
        | Command::Finish { .. }
        | Command::Regrant { .. }
        // Applied offline, never proposed.
        | Command::Recover { .. } => false,
    };
    if own {
        Ok(())
    } else {
        let text = format!("LK3105: {from} may not propose {:?} for anybody else", command.kind());
        Err(coded_status(Code::PermissionDenied, "LK3105", text))
    }
}
