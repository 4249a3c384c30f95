//! Plans and cluster files at the API: read, checked, made; nothing of it is decided here.

use super::Api;
use lockkeeper_core::{
    cluster::read_cluster,
    ids::ClusterId,
    plan::{self, Plan},
    profile::ProfileCatalog,
    rollout::Command,
};
use lockkeeper_proto::{
    pb::{OperatorCheckReply, OperatorPlanReply, OperatorPlanRequest},
    port::Group as _,
    transport::coded_status,
};
use tonic::{Code, Status};

impl Api {
    /// A plan file's plan, or its rendered fault.
    pub(super) fn read_plan(&self, text: &str) -> Result<Plan, String> {
        let plan: Plan = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if plan::render(&plan) == text && plan::hash(&plan) == plan.hash { Ok(plan) } else { Err("plan-altered".into()) }
    }

    /// The command that puts a cluster file into force, or the file's rendered faults.
    pub(super) fn read_cluster(&self, file: &str, text: String, profile: String) -> Result<Command, String> {
        let mut catalog = ProfileCatalog::built_in();
        if !profile.is_empty() {
            catalog.add("profile", &profile).map_err(|report| report.text())?;
        }
        let (spec, _) = read_cluster(file, &text, &catalog).map_err(|report| report.text())?;
        Ok(Command::SetCluster { text, profile, spec: Box::new(spec) })
    }

    /// What a join token or an operator's context says of the group: its id and the voters' addresses.
    pub(super) fn token_parts(&self) -> Result<(ClusterId, Vec<String>), Status> {
        let view = self.group.follow().borrow().clone();
        let group = view.state.group.as_ref().ok_or_else(|| {
            coded_status(Code::FailedPrecondition, "LK3001", "LK3001: the group is not initialised")
        })?;
        let mut addresses: Vec<String> = view.state.nodes.values().map(|n| n.address.clone()).collect();
        addresses.truncate(5);
        Ok((group.cluster.clone(), addresses))
    }

    pub(super) async fn make_plan(&self, _request: OperatorPlanRequest) -> Result<OperatorPlanReply, Status> {
        Err(Status::unavailable("planner lands next"))
    }

    pub(super) async fn check(&self) -> Result<OperatorCheckReply, Status> {
        Err(Status::unavailable("planner lands next"))
    }
}
