//! The `Operator` service: people and scripts read and decide. Every call checks the role its comment in the proto
//! file names, before anything else.

use super::{Api, records, rights};
use crate::{
    limits,
    pki::{JoinToken, TokenSecret},
};
use futures::Stream;
use lockkeeper_core::{
    identity::{Actor, Right, Role},
    ids::{ActorName, DatabaseName, MemberName, RequestId, StepId},
    plan::OwedKey,
    rollout::{Command, Reply, TrustCommand},
    stored,
    time::{LogTime, Millis},
};
use lockkeeper_proto::{
    pb::{
        OperatorAcceptOwedRequest, OperatorApplyRequest, OperatorApproveRequest, OperatorCaRotateRequest,
        OperatorCheckReply, OperatorClusterApplyRequest, OperatorIssueReply, OperatorIssueRequest,
        OperatorNameRequest, OperatorPlanReply, OperatorPlanRequest, OperatorReasonRequest, OperatorReply,
        OperatorRestoreRequest, OperatorRetryRequest, OperatorTakeoverRequest, OperatorTokenCreateReply, OperatorTokenCreateRequest,
        OperatorView, OperatorViewRequest,
        operator_server::{Operator, OperatorServer},
    },
    port::{Group as _, GroupError, Proposal},
    transport::{TraceParent, adopt_trace, coded_status},
};
use std::{pin::Pin, sync::Arc};
use tonic::{Code, Request, Response, Status};
use tracing::Instrument as _;

/// The service for this node's API.
pub fn operator_service(api: Api) -> OperatorServer<OperatorApi> {
    OperatorServer::new(OperatorApi(api))
        .max_decoding_message_size(limits::MESSAGE_MAX)
        .max_encoding_message_size(limits::MESSAGE_MAX)
}

/// See [`operator_service`].
pub struct OperatorApi(Api);

pub(super) fn group_status(error: &GroupError) -> Status {
    let (code, page) = match error {
        GroupError::NoLeader(_) => (Code::Unavailable, "LK3101"),
        GroupError::Timeout(_) => (Code::DeadlineExceeded, "LK3102"),
        GroupError::Stopping => (Code::Unavailable, "LK3103"),
        GroupError::Refused(_) => (Code::InvalidArgument, "LK3104"),
    };
    coded_status(code, page, error.to_string())
}

pub(super) fn bad(field: &str, error: impl std::fmt::Display) -> Status {
    coded_status(Code::InvalidArgument, "LK3106", format!("LK3106: {field}: {error}"))
}

/// A refused file: nothing was proposed.
pub(super) fn faulty(faults: String) -> Response<OperatorReply> {
    Response::new(OperatorReply { reply: Vec::new(), faults })
}

impl OperatorApi {
    fn actor<T>(&self, request: &Request<T>, right: Right) -> Result<Actor, Status> {
        rights::actor(request, right, &self.0.local, self.0.me.as_str())
    }

    async fn shown(
        &self,
        request: Request<OperatorViewRequest>,
        show: impl Fn(&Api, &lockkeeper_proto::port::View) -> String,
    ) -> Result<Response<OperatorView>, Status> {
        let view = self.seen(&request).await?;
        Ok(Response::new(OperatorView { json: show(&self.0, &view) }))
    }

    /// What a reader is shown from.
    async fn seen(&self, request: &Request<OperatorViewRequest>) -> Result<Arc<lockkeeper_proto::port::View>, Status> {
        self.actor(request, Right::Read)?;
        self.0.view(request.get_ref().linearizable).await.map_err(|e| group_status(&e))
    }

    /// Proposes in a span of its own, so that the caller's trace goes on into the log.
    async fn change(
        &self,
        id: String,
        actor: Actor,
        span: tracing::Span,
        command: Command,
    ) -> Result<Reply, Status> {
        if id.is_empty() || id.len() > 128 {
            return Err(bad("request_id", "1 to 128 characters are needed"));
        }
        let trace = TraceParent::of(&span).map(|t| t.as_str().to_owned()).unwrap_or_default();
        let proposal = Proposal { id: RequestId(id), actor: Some(actor), trace, command };
        self.0.group.propose(proposal).instrument(span).await.map_err(|e| group_status(&e))
    }

    async fn changed(
        &self,
        id: String,
        actor: Actor,
        span: tracing::Span,
        command: Command,
    ) -> Result<Response<OperatorReply>, Status> {
        let reply = self.change(id, actor, span, command).await?;
        Ok(Response::new(OperatorReply { reply: stored::encode_reply(&reply), faults: String::new() }))
    }
}

/// The server's span of one call, a child of the caller's.
fn span<T>(request: &Request<T>, call: &'static str) -> tracing::Span {
    let span = tracing::info_span!("operator", call);
    adopt_trace(request, &span);
    span
}

#[tonic::async_trait]
impl Operator for OperatorApi {
    async fn status(&self, request: Request<OperatorViewRequest>) -> Result<Response<OperatorView>, Status> {
        self.shown(request, Api::status_json).await
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<OperatorView, Status>> + Send>>;

    async fn watch(&self, request: Request<OperatorViewRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.actor(&request, Right::Read)?;
        let api = self.0.clone();
        let mut views = api.group.follow();
        let frames = async_stream::stream! {
            loop {
                let view = views.borrow_and_update().clone();
                yield Ok(OperatorView { json: api.status_json(&view) });
                if views.changed().await.is_err() {
                    return;
                }
            }
        };
        Ok(Response::new(Box::pin(frames)))
    }

    async fn history(&self, request: Request<OperatorViewRequest>) -> Result<Response<OperatorView>, Status> {
        self.shown(request, Api::history_json).await
    }

    async fn members(&self, request: Request<OperatorViewRequest>) -> Result<Response<OperatorView>, Status> {
        self.shown(request, Api::members_json).await
    }

    async fn owed(&self, request: Request<OperatorViewRequest>) -> Result<Response<OperatorView>, Status> {
        self.shown(request, Api::owed_json).await
    }

    async fn locks(&self, request: Request<OperatorViewRequest>) -> Result<Response<OperatorView>, Status> {
        let view = self.seen(&request).await?;
        Ok(Response::new(OperatorView { json: self.0.locks_json(&view).await }))
    }

    async fn doctor(&self, request: Request<OperatorViewRequest>) -> Result<Response<OperatorView>, Status> {
        let view = self.seen(&request).await?;
        Ok(Response::new(OperatorView { json: self.0.doctor_json(&view).await }))
    }

    async fn cluster_show(&self, request: Request<OperatorViewRequest>) -> Result<Response<OperatorView>, Status> {
        self.shown(request, Api::cluster_json).await
    }

    async fn audit(&self, request: Request<OperatorViewRequest>) -> Result<Response<OperatorView>, Status> {
        self.shown(request, Api::audit_json).await
    }

    type RecordStream = Pin<Box<dyn Stream<Item = Result<OperatorView, Status>> + Send>>;

    async fn record(&self, request: Request<OperatorViewRequest>) -> Result<Response<Self::RecordStream>, Status> {
        self.actor(&request, Right::Administer)?;
        let view = self.0.view(request.get_ref().linearizable).await.map_err(|e| group_status(&e))?;
        let text = self.0.record(&view)?;
        let pieces = records::pieces(&text).into_iter().map(|json| Ok(OperatorView { json }));
        Ok(Response::new(Box::pin(futures::stream::iter(pieces.collect::<Vec<_>>()))))
    }

    async fn plan(&self, request: Request<OperatorPlanRequest>) -> Result<Response<OperatorPlanReply>, Status> {
        self.actor(&request, Right::Read)?;
        self.0.make_plan(request.into_inner()).await.map(Response::new)
    }

    async fn check(&self, request: Request<OperatorViewRequest>) -> Result<Response<OperatorCheckReply>, Status> {
        self.actor(&request, Right::Read)?;
        self.0.check().await.map(Response::new)
    }

        async fn approve(&self, request: Request<OperatorApproveRequest>) -> Result<Response<OperatorReply>,
        Status> {
        let actor = self.actor(&request, Right::Approve)?;
        let span = span(&request, "approve");
        let r = request.into_inner();
        let role: Role = r.role.parse().map_err(|e| bad("role", e))?;
        if !role.may(Right::Approve) {
            return Err(bad("role", format!("{role} cannot approve; allowed: approver, admin")));
        }
        let plan = match self.0.read_plan(&r.plan) {
            Ok(plan) => plan,
            Err(faults) => return Ok(faulty(faults)),
        };
        let command = Command::Approve { plan: plan.hash, reference: r.reference };
        self.changed(r.request_id, actor, span, command).await
    }

    async fn apply(&self, request: Request<OperatorApplyRequest>) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Operate)?;
        let span = span(&request, "apply");
        let r = request.into_inner();
        let plan = match self.0.read_plan(&r.plan) {
            Ok(plan) => plan,
            Err(faults) => return Ok(faulty(faults)),
        };
        if let Err(faults) = self.0.check_fresh(&plan).await? {
            return Ok(faulty(faults));
        }
        self.changed(r.request_id, actor, span, Command::Apply { plan: Box::new(plan) }).await
    }

    async fn pause(&self, request: Request<OperatorReasonRequest>) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Operate)?;
        let span = span(&request, "pause");
        let r = request.into_inner();
        self.changed(r.request_id, actor, span, Command::Pause { reason: r.reason }).await
    }

    async fn resume(&self, request: Request<OperatorReasonRequest>) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Operate)?;
        let span = span(&request, "resume");
        self.changed(request.into_inner().request_id, actor, span, Command::Resume).await
    }

    async fn abort(&self, request: Request<OperatorReasonRequest>) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Operate)?;
        let span = span(&request, "abort");
        let r = request.into_inner();
        self.changed(r.request_id, actor, span, Command::Abort { reason: r.reason }).await
    }

    async fn restore(
        &self,
        request: Request<OperatorRestoreRequest>,
    ) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Operate)?;
        let span = span(&request, "restore");
        let r = request.into_inner();
        let command = Command::Restore { reason: r.reason, accept_loss: r.accept_loss };
        self.changed(r.request_id, actor, span, command).await
    }

    async fn retry(&self, request: Request<OperatorRetryRequest>) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Operate)?;
        let span = span(&request, "retry");
        let r = request.into_inner();
        self.changed(r.request_id, actor, span, Command::Retry { step: StepId(r.step) }).await
    }

    async fn takeover(
        &self,
        request: Request<OperatorTakeoverRequest>,
    ) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Operate)?;
        let span = span(&request, "takeover");
        let r = request.into_inner();
        let database: DatabaseName = r.database.parse().map_err(|e| bad("database", e))?;
        let to = Some(r.to).filter(|to| !to.is_empty());
        let to = to.map(|to| to.parse::<MemberName>()).transpose().map_err(|e| bad("to", e))?;
        if r.reason.trim().is_empty() {
            return Err(bad("reason", "it is needed: whoever reads the history wants to know why"));
        }
        let command = Command::Takeover { database, to, reason: r.reason };
        self.changed(r.request_id, actor, span, command).await
    }

    async fn accept_owed(
        &self,
        request: Request<OperatorAcceptOwedRequest>,
    ) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Operate)?;
        let span = span(&request, "accept-owed");
        let r = request.into_inner();
        let command = Command::AcceptOwed { key: OwedKey(r.key), reason: r.reason };
        self.changed(r.request_id, actor, span, command).await
    }

    async fn cluster_apply(
        &self,
        request: Request<OperatorClusterApplyRequest>,
    ) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Administer)?;
        let span = span(&request, "cluster-apply");
        let r = request.into_inner();
        let command = match self.0.read_cluster(&r.file_name, r.text, r.profile) {
            Ok(command) => command,
            Err(faults) => return Ok(faulty(faults)),
        };
        self.changed(r.request_id, actor, span, command).await
    }

    async fn token_create(
        &self,
        request: Request<OperatorTokenCreateRequest>,
    ) -> Result<Response<OperatorTokenCreateReply>, Status> {
        let actor = self.actor(&request, Right::Administer)?;
        let span = span(&request, "token-create");
        let r = request.into_inner();
        let member: MemberName = r.member.parse().map_err(|e| bad("member", e))?;
        let life = Millis(r.valid_seconds.saturating_mul(1000).clamp(1000, limits::JOIN_TOKEN_MAX.0));
        let expires = LogTime(self.0.clock.wall_ms().saturating_add(life.0));
        let (cluster, addresses) = self.0.token_parts()?;
        let authority = lockkeeper_proto::transport::CaDigest::of(
            self.0.keys.roots().last().ok_or_else(|| bad("node", "it holds no root certificate"))?,
        );
        let secret = TokenSecret::generate();
        let token = JoinToken { cluster, addresses, authority, member: member.clone(), secret, expires };
        let command = Command::TokenCreate { hash: token.token_hash(), member, expires };
        match self.change(r.request_id, actor, span, command).await? {
            Reply::Applied { .. } => {}
            Reply::Rejected(rejection) => {
                let text = format!("{}: {rejection}", rejection.code());
                return Err(coded_status(Code::FailedPrecondition, rejection.code(), text));
            }
        }
        let token = token.to_text().map_err(|e| bad("token", e))?;
        Ok(Response::new(OperatorTokenCreateReply { token, expires_ms: expires.0 }))
    }

    async fn issue(&self, request: Request<OperatorIssueRequest>) -> Result<Response<OperatorIssueReply>, Status> {
        let actor = self.actor(&request, Right::Administer)?;
        let span = span(&request, "issue");
        let r = request.into_inner();
        let name: ActorName = r.name.parse().map_err(|e| bad("name", e))?;
        let role: Role = r.role.parse().map_err(|e| bad("role", e))?;
        let by = actor.name.clone();
        let (command, reply) = self.0.operator_certificate(&name, role, &r.csr)?;
        // Committed first: a certificate nobody knows of could not be found in the audit.
        match self.change(r.request_id, actor, span, command).await? {
            Reply::Applied { .. } => {}
            Reply::Rejected(rejection) => {
                let text = format!("{}: {rejection}", rejection.code());
                return Err(coded_status(Code::FailedPrecondition, rejection.code(), text));
            }
        }
        tracing::info!(%by, operator = %name, %role, "operator certificate issued");
        Ok(Response::new(reply))
    }

    async fn trust(&self, request: Request<OperatorViewRequest>) -> Result<Response<OperatorView>, Status> {
        self.shown(request, Api::trust_json).await
    }

    async fn revoke(&self, request: Request<OperatorNameRequest>) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Administer)?;
        let span = span(&request, "revoke");
        let r = request.into_inner();
        let name: ActorName = r.name.parse().map_err(|e| bad("name", e))?;
        let command = TrustCommand::OperatorRevoke { name, reason: r.reason };
        self.changed(r.request_id, actor, span, Command::Trust(command)).await
    }

    async fn member_remove(
        &self,
        request: Request<OperatorNameRequest>,
    ) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Administer)?;
        let span = span(&request, "member-remove");
        let r = request.into_inner();
        let member: MemberName = r.name.parse().map_err(|e| bad("name", e))?;
        let command = TrustCommand::MemberRemove { member, reason: r.reason };
        self.changed(r.request_id, actor, span, Command::Trust(command)).await
    }

    async fn add_voter(
        &self,
        request: Request<OperatorNameRequest>,
    ) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Administer)?;
        let span = span(&request, "add-voter");
        let r = request.into_inner();
        let member: MemberName = r.name.parse().map_err(|e| bad("name", e))?;
        self.changed(r.request_id, actor, span, Command::Trust(TrustCommand::AddVoter { member })).await
    }

    async fn ca_rotate(
        &self,
        request: Request<OperatorCaRotateRequest>,
    ) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Administer)?;
        let span = span(&request, "ca-rotate");
        let r = request.into_inner();
        let id = r.request_id.clone();
        let command = self.0.ca_rotate_command(r)?;
        self.changed(id, actor, span, command).await
    }

    async fn ca_finish(
        &self,
        request: Request<OperatorNameRequest>,
    ) -> Result<Response<OperatorReply>, Status> {
        let actor = self.actor(&request, Right::Administer)?;
        let span = span(&request, "ca-finish");
        let id = request.into_inner().request_id;
        self.changed(id, actor, span, Command::Trust(TrustCommand::CaFinish)).await
    }
}
