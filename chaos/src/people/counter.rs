//! Where a person asks an agent: over the shipped client, or over the ether of the light tier.

use crate::light::LightOffice;
use lockkeeper_proto::client::operator::{Answer, Control, OperatorClient, Planned, ViewKind};
use tonic::Status;

/// One agent's counter.
#[derive(Clone)]
pub enum Counter {
    /// HTTP/2 by the shipped client.
    Client(OperatorClient),
    /// The ether.
    Office(LightOffice),
}

impl Counter {
    /// `status --json`, confirmed by the leader.
    pub async fn status(&self) -> Result<String, Status> {
        match self {
            Counter::Client(client) => client.view(ViewKind::Status, true).await,
            Counter::Office(office) => office.status().await,
        }
    }

    /// Makes a plan.
    pub async fn plan(&self, to: String) -> Result<Planned, Status> {
        match self {
            Counter::Client(client) => client.plan(to, "offline".into(), String::new(), false).await,
            Counter::Office(office) => {
                let (plan, faults) = office.plan(to).await?;
                Ok(Planned { plan, faults, text: String::new(), json: String::new(), warnings: 0 })
            }
        }
    }

    /// Puts the cluster file into force.
    pub async fn cluster_apply(&self, id: String, text: String) -> Result<Answer, Status> {
        let name = "cluster.toml";
        match self {
            Counter::Client(client) => client.cluster_apply(id, name.into(), text, String::new()).await,
            Counter::Office(office) => office.cluster_apply(id, name, text).await,
        }
    }

    /// Signs a plan.
    pub async fn approve(&self, id: String, plan: String) -> Result<Answer, Status> {
        let reference = "CHG-1".to_owned();
        match self {
            Counter::Client(client) => client.approve(id, plan, "admin".into(), reference).await,
            Counter::Office(office) => office.approve(id, &plan, reference).await,
        }
    }

    /// Starts a plan.
    pub async fn apply(&self, id: String, plan: String) -> Result<Answer, Status> {
        match self {
            Counter::Client(client) => client.apply(id, plan).await,
            Counter::Office(office) => office.apply(id, &plan).await,
        }
    }

    /// Pauses, resumes, aborts.
    pub async fn control(&self, id: String, what: Control) -> Result<Answer, Status> {
        let reason = "as ordered".to_owned();
        match self {
            Counter::Client(client) => client.control(id, what, reason).await,
            Counter::Office(office) => office.control(id, what, reason).await,
        }
    }

    /// Lets another member make the next attempt.
    pub async fn takeover(&self, id: String, database: String) -> Result<Answer, Status> {
        let reason = "as advised".to_owned();
        match self {
            Counter::Client(client) => client.takeover(id, database, String::new(), reason).await,
            Counter::Office(office) => office.takeover(id, &database, reason).await,
        }
    }

    /// Turns back past the point of no return.
    pub async fn restore(&self, id: String, accept_loss: Option<u64>) -> Result<Answer, Status> {
        let reason = "as advised".to_owned();
        match self {
            Counter::Client(client) => client.restore(id, reason, accept_loss).await,
            Counter::Office(office) => office.restore(id, reason, accept_loss).await,
        }
    }

    /// Lets a step be tried again.
    pub async fn retry(&self, id: String, step: u32) -> Result<Answer, Status> {
        match self {
            Counter::Client(client) => client.retry(id, step).await,
            Counter::Office(office) => office.retry(id, step).await,
        }
    }
}
