//! An agent that answers what a test tells it to, over a unix socket or mutual TLS, and notes what it was asked.

use futures::{Stream, stream};
use lockkeeper_core::{
    ids::{LogIndex, RolloutId},
    rollout::{Rejection, Reply},
    stored,
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
    transport::{Incoming, peer_server},
};
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex},
};
use tokio::{sync::watch, task::AbortHandle};
use tonic::{Request, Response, Status};

/// What the agent will answer, and what it was asked.
#[derive(Default)]
pub struct Script {
    /// Views other than the status, by the call's name.
    pub views: BTreeMap<&'static str, String>,
    /// What `plan` answers.
    pub plan: OperatorPlanReply,
    /// What `check` answers.
    pub check: OperatorCheckReply,
    /// What every change answers.
    pub reply: OperatorReply,
    /// What every call answers instead, if set.
    pub refuse: Option<Status>,
    /// What `token create` answers.
    pub token: OperatorTokenCreateReply,
    /// Answers a certificate request.
    #[allow(clippy::type_complexity, reason = "one closure, in a test")]
    pub issue: Option<Box<dyn Fn(&OperatorIssueRequest) -> OperatorIssueReply + Send>>,
    /// Calls with their arguments, in order.
    pub asked: Vec<String>,
}

/// A scripted agent. Dropped, it is gone at once, like one that was killed.
pub struct Agent {
    /// The status; a change of it reaches everybody who watches.
    pub status: watch::Sender<String>,
    /// Everything else.
    pub script: Arc<Mutex<Script>>,
    servers: Vec<AbortHandle>,
}

/// A committed change.
pub fn applied(index: u64, rollout: Option<u64>) -> OperatorReply {
    let reply = Reply::Applied { index: LogIndex(index), rollout: rollout.map(RolloutId) };
    OperatorReply { reply: stored::encode_reply(&reply), faults: String::new() }
}

/// A change that lost.
pub fn rejected(rejection: Rejection) -> OperatorReply {
    OperatorReply { reply: stored::encode_reply(&Reply::Rejected(rejection)), faults: String::new() }
}

impl Agent {
    /// Shows this status.
    pub fn new(status: &str) -> Self {
        let script = Script { reply: applied(4800, None), ..Script::default() };
        Self {
            status: watch::Sender::new(status.to_owned()),
            script: Arc::new(Mutex::new(script)),
            servers: Vec::new(),
        }
    }

    /// Serves whoever comes in.
    pub fn serve(&mut self, incoming: Incoming) {
        let service = Service { status: self.status.subscribe(), script: self.script.clone() };
        let server = peer_server().add_service(OperatorServer::new(service)).serve_with_incoming(incoming);
        self.servers.push(tokio::spawn(server).abort_handle());
    }

    /// Sets something in the script.
    pub fn set(&self, set: impl FnOnce(&mut Script)) {
        set(&mut self.script.lock().unwrap());
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<String> {
        self.script.lock().unwrap().asked.clone()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.servers.iter().for_each(AbortHandle::abort);
    }
}

struct Service {
    status: watch::Receiver<String>,
    script: Arc<Mutex<Script>>,
}

impl Service {
    fn ask<T>(&self, text: String, answer: impl FnOnce(&mut Script) -> T) -> Result<Response<T>, Status> {
        let mut script = self.script.lock().unwrap();
        script.asked.push(text);
        match &script.refuse {
            Some(status) => Err(status.clone()),
            None => Ok(Response::new(answer(&mut script))),
        }
    }

    fn view(&self, name: &'static str) -> Result<Response<OperatorView>, Status> {
        self.ask(name.to_owned(), |s| OperatorView { json: s.views.get(name).cloned().unwrap_or_default() })
    }

    fn change(&self, text: String) -> Result<Response<OperatorReply>, Status> {
        self.ask(text, |s| s.reply.clone())
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Operator for Service {
    async fn status(&self, r: Request<OperatorViewRequest>) -> Answer<OperatorView> {
        let json = self.status.borrow().clone();
        self.ask(format!("status linearizable={}", r.get_ref().linearizable), |_| OperatorView { json })
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<OperatorView, Status>> + Send>>;

    async fn watch(&self, _: Request<OperatorViewRequest>) -> Answer<Self::WatchStream> {
        let frames = stream::unfold((self.status.clone(), true), |(mut status, first)| async move {
            if !first && status.changed().await.is_err() {
                return None;
            }
            let json = status.borrow_and_update().clone();
            Some((Ok(OperatorView { json }), (status, false)))
        });
        self.ask("watch".to_owned(), |_| Box::pin(frames) as Self::WatchStream)
    }

    async fn audit(&self, _: Request<OperatorViewRequest>) -> Answer<OperatorView> {
        self.view("audit")
    }

    type RecordStream = Pin<Box<dyn Stream<Item = Result<OperatorView, Status>> + Send>>;

    async fn record(&self, _: Request<OperatorViewRequest>) -> Answer<Self::RecordStream> {
        self.ask("record".to_owned(), |s| {
            let text = s.views.get("record").cloned().unwrap_or_default();
            let pieces = text.into_bytes().chunks(1000).map(|c| String::from_utf8(c.to_vec()).unwrap()).collect::<Vec<_>>();
            Box::pin(stream::iter(pieces.into_iter().map(|json| Ok(OperatorView { json })))) as Self::RecordStream
        })
    }

    async fn history(&self, _: Request<OperatorViewRequest>) -> Answer<OperatorView> {
        self.view("history")
    }

    async fn members(&self, _: Request<OperatorViewRequest>) -> Answer<OperatorView> {
        self.view("members")
    }

    async fn owed(&self, _: Request<OperatorViewRequest>) -> Answer<OperatorView> {
        self.view("owed")
    }

    async fn locks(&self, _: Request<OperatorViewRequest>) -> Answer<OperatorView> {
        self.view("locks")
    }

    async fn doctor(&self, _: Request<OperatorViewRequest>) -> Answer<OperatorView> {
        self.view("doctor")
    }

    async fn cluster_show(&self, _: Request<OperatorViewRequest>) -> Answer<OperatorView> {
        self.view("cluster")
    }

    async fn plan(&self, r: Request<OperatorPlanRequest>) -> Answer<OperatorPlanReply> {
        let r = r.into_inner();
        self.ask(format!("plan {} {} {}", r.to, r.strategy, r.parent), |s| s.plan.clone())
    }

    async fn check(&self, _: Request<OperatorViewRequest>) -> Answer<OperatorCheckReply> {
        self.ask("check".to_owned(), |s| s.check.clone())
    }

    async fn approve(&self, r: Request<OperatorApproveRequest>) -> Answer<OperatorReply> {
        let r = r.into_inner();
        self.change(format!("approve {} bytes as {} for {}", r.plan.len(), r.role, r.reference))
    }

    async fn apply(&self, r: Request<OperatorApplyRequest>) -> Answer<OperatorReply> {
        self.change(format!("apply {} bytes", r.into_inner().plan.len()))
    }

    async fn pause(&self, r: Request<OperatorReasonRequest>) -> Answer<OperatorReply> {
        self.change(format!("pause {}", r.into_inner().reason))
    }

    async fn resume(&self, _: Request<OperatorReasonRequest>) -> Answer<OperatorReply> {
        self.change("resume".to_owned())
    }

    async fn abort(&self, r: Request<OperatorReasonRequest>) -> Answer<OperatorReply> {
        self.change(format!("abort {}", r.into_inner().reason))
    }

    async fn restore(&self, r: Request<OperatorRestoreRequest>) -> Answer<OperatorReply> {
        let r = r.into_inner();
        self.change(format!("restore {} accepting {:?}", r.reason, r.accept_loss))
    }

    async fn retry(&self, r: Request<OperatorRetryRequest>) -> Answer<OperatorReply> {
        self.change(format!("retry {}", r.into_inner().step))
    }

    async fn takeover(&self, r: Request<OperatorTakeoverRequest>) -> Answer<OperatorReply> {
        let r = r.into_inner();
        self.change(format!("takeover {} to {:?} for {}", r.database, r.to, r.reason))
    }

    async fn accept_owed(&self, r: Request<OperatorAcceptOwedRequest>) -> Answer<OperatorReply> {
        let r = r.into_inner();
        self.change(format!("accept {} for {}", r.key, r.reason))
    }

    async fn cluster_apply(&self, r: Request<OperatorClusterApplyRequest>) -> Answer<OperatorReply> {
        let r = r.into_inner();
        self.change(format!("cluster apply {} {} bytes", r.file_name, r.text.len()))
    }

    async fn token_create(&self, r: Request<OperatorTokenCreateRequest>) -> Answer<OperatorTokenCreateReply> {
        let r = r.into_inner();
        self.ask(format!("token {} {} s", r.member, r.valid_seconds), |s| s.token.clone())
    }

    async fn issue(&self, r: Request<OperatorIssueRequest>) -> Answer<OperatorIssueReply> {
        let r = r.into_inner();
        self.ask(format!("issue {} {}", r.name, r.role), |s| {
            s.issue.as_ref().map(|f| f(&r)).unwrap_or_default()
        })
    }

    async fn trust(&self, _: Request<OperatorViewRequest>) -> Answer<OperatorView> {
        self.view("trust")
    }

    async fn revoke(&self, r: Request<OperatorNameRequest>) -> Answer<OperatorReply> {
        let r = r.into_inner();
        self.change(format!("revoke {} for {}", r.name, r.reason))
    }

    async fn member_remove(&self, r: Request<OperatorNameRequest>) -> Answer<OperatorReply> {
        let r = r.into_inner();
        self.change(format!("remove {} for {}", r.name, r.reason))
    }

    async fn add_voter(&self, r: Request<OperatorNameRequest>) -> Answer<OperatorReply> {
        self.change(format!("add voter {}", r.into_inner().name))
    }

    async fn ca_rotate(&self, r: Request<OperatorCaRotateRequest>) -> Answer<OperatorReply> {
        let r = r.into_inner();
        self.change(format!("rotate, cross-signed {}", !r.cross.is_empty()))
    }

    async fn ca_finish(&self, _: Request<OperatorNameRequest>) -> Answer<OperatorReply> {
        self.change("finish".to_owned())
    }
}
