//! What the command line asks an agent. Views come as JSON text, changes answer with the core's `Reply`.

use crate::{
    pb::{
        IssuingAuthority, OperatorAcceptOwedRequest, OperatorApplyRequest, OperatorApproveRequest,
        OperatorCaRotateRequest, OperatorClusterApplyRequest, OperatorIssueRequest, OperatorNameRequest,
        OperatorPlanRequest, OperatorReasonRequest, OperatorReply, OperatorRestoreRequest, OperatorRetryRequest,
        OperatorTakeoverRequest, OperatorTokenCreateRequest, OperatorViewRequest,
        operator_client::OperatorClient as Generated,
    },
    transport::InjectTrace,
};
use lockkeeper_core::{rollout::Reply, stored};
use std::time::Duration;
use tonic::{Request, Status, service::interceptor::InterceptedService, transport::Channel};

/// Limit of every other call but `watch`: the agent itself gives up after 5 s.
pub const CALL_DEADLINE: Duration = Duration::from_secs(15);
/// Limit of `plan`, `check`, `locks` and `doctor`: they look at every member and database.
pub const LOOK_DEADLINE: Duration = Duration::from_secs(120);

/// A client of the `Operator` service of one agent.
#[derive(Debug, Clone)]
pub struct OperatorClient(Generated<InterceptedService<Channel, InjectTrace>>);

/// Which view is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the command line")]
pub enum ViewKind {
    Status,
    History,
    Members,
    Owed,
    Locks,
    Doctor,
    Cluster,
    Trust,
    Audit,
}

/// What people decide while a rollout is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the command line")]
pub enum Control {
    Pause,
    Resume,
    Abort,
}

/// What an admin changes about an operator, a member or the authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the command line")]
pub enum TrustChange {
    Revoke,
    MemberRemove,
    AddVoter,
    CaFinish,
}

/// A change's answer: what the group said, or why the file was not accepted.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Committed; applied or rejected.
    Reply(Reply),
    /// Rendered faults of a file.
    Faults(String),
}

/// See `OperatorPlanReply`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "described at the message of the same name")]
pub struct Planned {
    pub plan: String,
    pub text: String,
    pub json: String,
    pub faults: String,
    pub warnings: u32,
}

/// See `OperatorCheckReply`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "described at the message of the same name")]
pub struct Checked {
    pub json: String,
    pub text: String,
    pub blocked: u32,
    pub warnings: u32,
}

/// An operator's new certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "described at the message of the same name")]
pub struct Issued {
    pub chain: Vec<Vec<u8>>,
    pub roots: Vec<Vec<u8>>,
    pub addresses: Vec<String>,
}

fn timed<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

fn answer(reply: &OperatorReply) -> Result<Answer, Status> {
    if !reply.faults.is_empty() {
        return Ok(Answer::Faults(reply.faults.clone()));
    }
    stored::decode_reply(&reply.reply).map(Answer::Reply).map_err(|e| Status::data_loss(e.to_string()))
}

impl OperatorClient {
    /// Over a channel; messages may have up to `limit` bytes.
    pub fn new(channel: Channel, limit: usize) -> Self {
        let client = Generated::with_interceptor(channel, InjectTrace);
        Self(client.max_decoding_message_size(limit).max_encoding_message_size(limit))
    }

    /// One view as JSON.
    pub async fn view(&self, kind: ViewKind, linearizable: bool) -> Result<String, Status> {
        let deadline = match kind {
            ViewKind::Locks | ViewKind::Doctor => LOOK_DEADLINE,
            ViewKind::Status
            | ViewKind::History
            | ViewKind::Members
            | ViewKind::Owed
            | ViewKind::Cluster
            | ViewKind::Trust
            | ViewKind::Audit => CALL_DEADLINE,
        };
        let request = timed(OperatorViewRequest { linearizable }, deadline);
        let mut client = self.0.clone();
        let reply = match kind {
            ViewKind::Status => client.status(request).await,
            ViewKind::History => client.history(request).await,
            ViewKind::Members => client.members(request).await,
            ViewKind::Owed => client.owed(request).await,
            ViewKind::Locks => client.locks(request).await,
            ViewKind::Doctor => client.doctor(request).await,
            ViewKind::Cluster => client.cluster_show(request).await,
            ViewKind::Trust => client.trust(request).await,
            ViewKind::Audit => client.audit(request).await,
        };
        Ok(reply?.into_inner().json)
    }

    /// Status views as JSON: one at once and one after each change.
    pub async fn watch(&self) -> Result<impl futures::Stream<Item = Result<String, Status>> + use<>, Status> {
        let frames = self.0.clone().watch(OperatorViewRequest { linearizable: false }).await?.into_inner();
        Ok(futures::StreamExt::map(frames, |frame| frame.map(|f| f.json)))
    }

    /// The text of a record file: what the agent's log holds.
    pub async fn record(&self, linearizable: bool) -> Result<String, Status> {
        let request = timed(OperatorViewRequest { linearizable }, LOOK_DEADLINE);
        let mut pieces = self.0.clone().record(request).await?.into_inner();
        let mut text = String::new();
        while let Some(piece) = pieces.message().await? {
            text.push_str(&piece.json);
        }
        Ok(text)
    }

    /// Makes a plan on the leader.
    pub async fn plan(
        &self,
        to: String,
        strategy: String,
        parent: String,
        adopt: bool,
    ) -> Result<Planned, Status> {
        let request = timed(OperatorPlanRequest { to, strategy, parent, adopt }, LOOK_DEADLINE);
        let r = self.0.clone().plan(request).await?.into_inner();
        Ok(Planned { plan: r.plan, text: r.text, json: r.json, faults: r.faults, warnings: r.warnings })
    }

    /// Looks whether a plan could be carried out.
    pub async fn check(&self) -> Result<Checked, Status> {
        let request = timed(OperatorViewRequest { linearizable: true }, LOOK_DEADLINE);
        let r = self.0.clone().check(request).await?.into_inner();
        Ok(Checked { json: r.json, text: r.text, blocked: r.blocked, warnings: r.warnings })
    }

    /// Signs a plan file.
    pub async fn approve(
        &self,
        id: String,
        plan: String,
        role: String,
        reference: String,
    ) -> Result<Answer, Status> {
        let request = timed(OperatorApproveRequest { request_id: id, plan, reference, role }, CALL_DEADLINE);
        answer(&self.0.clone().approve(request).await?.into_inner())
    }

    /// Starts a plan, or attaches to it.
    pub async fn apply(&self, id: String, plan: String) -> Result<Answer, Status> {
        let request = timed(OperatorApplyRequest { request_id: id, plan }, CALL_DEADLINE);
        answer(&self.0.clone().apply(request).await?.into_inner())
    }

    /// Pauses, resumes or aborts.
    pub async fn control(&self, id: String, what: Control, reason: String) -> Result<Answer, Status> {
        let request = timed(OperatorReasonRequest { request_id: id, reason }, CALL_DEADLINE);
        let mut client = self.0.clone();
        let reply = match what {
            Control::Pause => client.pause(request).await,
            Control::Resume => client.resume(request).await,
            Control::Abort => client.abort(request).await,
        };
        answer(&reply?.into_inner())
    }

    /// Restores the whole set after the point of no return; `accept_loss` as in `Command::Restore`.
    pub async fn restore(
        &self,
        id: String,
        reason: String,
        accept_loss: Option<u64>,
    ) -> Result<Answer, Status> {
        let request = timed(OperatorRestoreRequest { request_id: id, reason, accept_loss }, CALL_DEADLINE);
        answer(&self.0.clone().restore(request).await?.into_inner())
    }

    /// Lets a failed step be tried again.
    pub async fn retry(&self, id: String, step: u32) -> Result<Answer, Status> {
        let request = timed(OperatorRetryRequest { request_id: id, step }, CALL_DEADLINE);
        answer(&self.0.clone().retry(request).await?.into_inner())
    }

    /// Lets another grant follow a lost or failed one; `to` empty leaves the choice to the election.
    pub async fn takeover(
        &self,
        id: String,
        database: String,
        to: String,
        reason: String,
    ) -> Result<Answer, Status> {
        let message = OperatorTakeoverRequest { request_id: id, database, to, reason };
        answer(&self.0.clone().takeover(timed(message, CALL_DEADLINE)).await?.into_inner())
    }

    /// Answers for something that stays owed.
    pub async fn accept_owed(&self, id: String, key: String, reason: String) -> Result<Answer, Status> {
        let request = timed(OperatorAcceptOwedRequest { request_id: id, key, reason }, CALL_DEADLINE);
        answer(&self.0.clone().accept_owed(request).await?.into_inner())
    }

    /// Puts a cluster file into force.
    pub async fn cluster_apply(
        &self,
        id: String,
        file_name: String,
        text: String,
        profile: String,
    ) -> Result<Answer, Status> {
        let message = OperatorClusterApplyRequest { request_id: id, file_name, text, profile };
        answer(&self.0.clone().cluster_apply(timed(message, CALL_DEADLINE)).await?.into_inner())
    }

    /// Makes a join token; answers its text and until when it is valid (unix ms).
    pub async fn token_create(
        &self,
        id: String,
        member: String,
        valid: Duration,
    ) -> Result<(String, u64), Status> {
        let message = OperatorTokenCreateRequest { request_id: id, member, valid_seconds: valid.as_secs() };
        let reply = self.0.clone().token_create(timed(message, CALL_DEADLINE)).await?.into_inner();
        Ok((reply.token, reply.expires_ms))
    }

    /// Has an operator's certificate issued.
    pub async fn issue(
        &self,
        id: String,
        name: String,
        role: String,
        csr: Vec<u8>,
    ) -> Result<Issued, Status> {
        let message = OperatorIssueRequest { request_id: id, name, role, csr };
        let r = self.0.clone().issue(timed(message, CALL_DEADLINE)).await?.into_inner();
        Ok(Issued { chain: r.chain, roots: r.roots, addresses: r.addresses })
    }

    /// Revokes, removes, adds a vote or ends a roll-over; `name` is empty for the latter.
    pub async fn change_trust(
        &self,
        id: String,
        what: TrustChange,
        name: String,
        reason: String,
    ) -> Result<Answer, Status> {
        let request = timed(OperatorNameRequest { request_id: id, name, reason }, CALL_DEADLINE);
        let mut client = self.0.clone();
        let reply = match what {
            TrustChange::Revoke => client.revoke(request).await,
            TrustChange::MemberRemove => client.member_remove(request).await,
            TrustChange::AddVoter => client.add_voter(request).await,
            TrustChange::CaFinish => client.ca_finish(request).await,
        };
        answer(&reply?.into_inner())
    }

    /// Introduces a new authority: its root, its issuing certificate with key, and that certificate as the old root
    /// signed it (may be empty); all DER.
    pub async fn ca_rotate(
        &self,
        id: String,
        root: Vec<u8>,
        certificate: Vec<u8>,
        key: Vec<u8>,
        cross: Vec<u8>,
    ) -> Result<Answer, Status> {
        let issuing = Some(IssuingAuthority { certificate, key });
        let message = OperatorCaRotateRequest { request_id: id, root, issuing, cross };
        answer(&self.0.clone().ca_rotate(timed(message, CALL_DEADLINE)).await?.into_inner())
    }
}
