//! The operator API of the light tier: what people ask an agent, over the ether. The same calls with the same answers as
//! the client of the shipped API.

use super::{ether::Ether, messages::Ask};
use lockkeeper_core::{
    cluster::read_cluster,
    identity::{Actor, Role},
    ids::{DatabaseName, MemberName, RequestId, StepId},
    plan::read_plan,
    profile::ProfileCatalog,
    rollout::Command,
};
use lockkeeper_proto::{
    client::operator::{Answer, Control},
    port::Proposal,
};
use std::time::Duration;
use tokio::sync::oneshot;
use tonic::Status;

/// A call without an answer is given up then, as by the shipped client.
const GIVE_UP: Duration = Duration::from_secs(15);

/// A person's way to one agent.
#[derive(Clone)]
pub struct LightOffice {
    me: MemberName,
    role: Role,
    agent: MemberName,
    ether: Ether,
}

async fn answered<T>(answer: oneshot::Receiver<Result<T, Status>>) -> Result<T, Status> {
    match tokio::time::timeout(GIVE_UP, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Status::unavailable("the agent is gone")),
        Err(_) => Err(Status::deadline_exceeded("no answer")),
    }
}

impl LightOffice {
    /// To `agent`.
    pub fn new(me: MemberName, role: Role, agent: MemberName, ether: Ether) -> Self {
        Self { me, role, agent, ether }
    }

    /// `status --json`, confirmed by the leader.
    pub async fn status(&self) -> Result<String, Status> {
        let (answer, waits) = oneshot::channel();
        self.ether.call(&self.me, &self.agent, Ask::Status(answer));
        answered(waits).await
    }

    /// A plan and its faults.
    pub async fn plan(&self, to: String) -> Result<(String, String), Status> {
        let (answer, waits) = oneshot::channel();
        self.ether.call(&self.me, &self.agent, Ask::Plan(to, answer));
        answered(waits).await
    }

    /// Any change.
    pub async fn change(&self, id: String, command: Command) -> Result<Answer, Status> {
        let actor = Actor { name: self.me.to_string(), role: self.role, via: self.agent.to_string() };
        let proposal = Proposal { id: RequestId(id), actor: Some(actor), trace: String::new(), command };
        let (answer, waits) = oneshot::channel();
        self.ether.call(&self.me, &self.agent, Ask::Change(Box::new(proposal), answer));
        answered(waits).await
    }

    /// Puts a cluster file into force.
    pub async fn cluster_apply(&self, id: String, name: &str, text: String) -> Result<Answer, Status> {
        match read_cluster(name, &text, &ProfileCatalog::built_in()) {
            Ok((spec, _)) => {
                let command = Command::SetCluster { text, profile: String::new(), spec: Box::new(spec) };
                self.change(id, command).await
            }
            Err(report) => Ok(Answer::Faults(report.text())),
        }
    }

    /// Signs a plan.
    pub async fn approve(&self, id: String, text: &str, reference: String) -> Result<Answer, Status> {
        match read_plan("the plan", text) {
            Ok(plan) => self.change(id, Command::Approve { plan: plan.hash, reference }).await,
            Err(report) => Ok(Answer::Faults(report.text())),
        }
    }

    /// Starts a plan.
    pub async fn apply(&self, id: String, text: &str) -> Result<Answer, Status> {
        match read_plan("the plan", text) {
            Ok(plan) => self.change(id, Command::Apply { plan: Box::new(plan) }).await,
            Err(report) => Ok(Answer::Faults(report.text())),
        }
    }

    /// Pauses, resumes, aborts.
    pub async fn control(&self, id: String, what: Control, reason: String) -> Result<Answer, Status> {
        let command = match what {
            Control::Pause => Command::Pause { reason },
            Control::Resume => Command::Resume,
            Control::Abort => Command::Abort { reason },
        };
        self.change(id, command).await
    }

    /// Lets another member make the next attempt.
    pub async fn takeover(&self, id: String, database: &str, reason: String) -> Result<Answer, Status> {
        match DatabaseName::new(database) {
            Ok(database) => self.change(id, Command::Takeover { database, to: None, reason }).await,
            Err(error) => Err(Status::invalid_argument(error.to_string())),
        }
    }

    /// Turns back past the point of no return.
    pub async fn restore(&self, id: String, reason: String, accept_loss: Option<u64>) -> Result<Answer, Status> {
        self.change(id, Command::Restore { reason, accept_loss }).await
    }

    /// Lets a step be tried again.
    pub async fn retry(&self, id: String, step: u32) -> Result<Answer, Status> {
        self.change(id, Command::Retry { step: StepId(step) }).await
    }
}
