//! Plans and cluster files at the API: read, checked, made. Nothing of it is decided here: the planner, the linter
//! and the readers are the core's.

use super::{Api, operator::group_status};
use crate::{
    planning::{self, Wish},
    preflight::{self, FindingVerdict},
};
use lockkeeper_core::{
    cluster::read_cluster,
    fault::Report,
    ids::{ClusterId, PlanHash},
    lint::lint,
    plan::{self, Glyphs, Plan, PlanReport, Strategy, check_fresh},
    profile::ProfileCatalog,
    rollout::{Command, State},
    time::LogTime,
    version::Version,
};
use lockkeeper_proto::{
    pb::{OperatorCheckReply, OperatorPlanReply, OperatorPlanRequest},
    port::Group as _,
    transport::coded_status,
};
use tonic::{Code, Status};

/// The name faults of a plan sent to us carry; the client knows the file's own.
const PLAN_FILE: &str = "the plan";

fn precondition(code: &'static str, text: String) -> Status {
    coded_status(Code::FailedPrecondition, code, format!("{code}: {text}"))
}

impl Api {
    /// A plan file's plan, or its rendered faults.
    pub(super) fn read_plan(&self, text: &str) -> Result<Plan, String> {
        let plan = plan::read_plan(PLAN_FILE, text).map_err(|report| report.text())?;
        let linted = lint(&plan);
        if linted.errors() > 0 { Err(linted.text()) } else { Ok(plan) }
    }

    /// Whether what the plan rests on is still so; what nobody can look at is not known to differ.
    pub(super) async fn check_fresh(&self, plan: &Plan) -> Result<Result<(), String>, Status> {
        let view = self.group.read().await.map_err(|e| group_status(&e))?;
        // A plan that is running already is attached to, however far it got.
        if view.state.rollout.as_ref().is_some_and(|r| r.plan.hash == plan.hash) {
            return Ok(Ok(()));
        }
        let Some(config) = view.state.config.clone() else { return Ok(Ok(())) };
        let catalog = planning::catalog(&config);
        let Some(profile) = catalog.get(&config.spec.profile) else { return Ok(Ok(())) };
        let looks = planning::look(self, &view.state, &config, profile, Some(&plan.to)).await;
        let (observed, _) = planning::observed(&view.state, &looks, LogTime(self.clock.wall_ms()));
        Ok(check_fresh(plan, &observed).map_err(|report| report.text()))
    }

    /// The command that puts a cluster file into force, or the file's rendered faults.
    pub(super) fn read_cluster(&self, file: &str, text: String, profile: String) -> Result<Command, String> {
        let mut catalog = ProfileCatalog::built_in();
        if !profile.is_empty() {
            catalog.add("the profile", &profile).map_err(|report| report.text())?;
        }
        let (spec, _) = read_cluster(file, &text, &catalog).map_err(|report| report.text())?;
        Ok(Command::SetCluster { text, profile, spec: Box::new(spec) })
    }

    /// What a join token or an operator's context says of the group: its id and the nodes' addresses.
    pub(super) fn token_parts(&self) -> Result<(ClusterId, Vec<String>), Status> {
        let view = self.group.follow().borrow().clone();
        let group = view.state.group.as_ref();
        let group = group.ok_or_else(|| precondition("LK3001", "the group is not initialised".into()))?;
        let mut addresses: Vec<String> = view.state.nodes.values().map(|n| n.address.clone()).collect();
        addresses.truncate(crate::limits::ADDRESSES_TOLD);
        Ok((group.cluster.clone(), addresses))
    }

    /// Looks at everything and plans. Faults are an answer, not an error.
    pub(super) async fn make_plan(&self, request: OperatorPlanRequest) -> Result<OperatorPlanReply, Status> {
        let known = Strategy::ALL.into_iter().find(|s| s.as_str() == request.strategy);
        let Some(strategy) = known.or(request.strategy.is_empty().then_some(Strategy::Offline)) else {
            let text = format!("strategy {:?} is not supported; allowed: offline, rolling", request.strategy);
            return Ok(refused(text));
        };
        let to = match Version::new(request.to) {
            Ok(to) => to,
            Err(error) => return Ok(refused(format!("--to: {error}"))),
        };
        if request.adopt && strategy != Strategy::Offline {
            return Ok(refused(format!("--adopt: only with strategy offline, not {}", strategy.as_str())));
        }
        let parent = (!request.parent.is_empty()).then(|| PlanHash(request.parent));
        let view = self.group.read().await.map_err(|e| group_status(&e))?;
        let wish = Wish { strategy, to: &to, parent: parent.as_ref(), adopt: request.adopt };
        let made = self.plan_from(&view.state, &wish).await?;
        Ok(match made {
            Ok((plan, report)) => OperatorPlanReply {
                plan: plan::render(&plan),
                text: report.text(Glyphs::Unicode),
                json: serde_json::to_string(&report).unwrap_or_default(),
                faults: String::new(),
                warnings: u32::try_from(report.warnings.len()).unwrap_or(u32::MAX),
            },
            Err((report, notes)) => faulty(&report, &notes),
        })
    }

    async fn plan_from(
        &self,
        state: &State,
        wish: &Wish<'_>,
    ) -> Result<Result<(Plan, PlanReport), (Report, Vec<String>)>, Status> {
        let group = state.group.as_ref();
        let group = group.ok_or_else(|| precondition("LK3001", "the group is not initialised".into()))?;
        let config = state.config.clone().ok_or_else(|| {
            precondition("LK3108", "no cluster file is in force; lockkeeper cluster apply FILE".into())
        })?;
        let catalog = planning::catalog(&config);
        let profile = catalog.get(&config.spec.profile).ok_or_else(|| {
            precondition("LK3109", format!("this build has no profile {}", config.spec.profile))
        })?;
        let looks = planning::look(self, state, &config, profile, Some(wish.to)).await;
        let (observed, notes) = planning::observed(state, &looks, LogTime(self.clock.wall_ms()));
        let made = planning::made(group, &config, profile, &observed, wish);
        Ok(made.map_err(|report| (report, notes)))
    }

    /// Preflight: looks at everything a plan would need, without a version in mind.
    pub(super) async fn check(&self) -> Result<OperatorCheckReply, Status> {
        let view = self.group.read().await.map_err(|e| group_status(&e))?;
        let state = &view.state;
        let config = state.config.clone().ok_or_else(|| {
            precondition("LK3108", "no cluster file is in force; lockkeeper cluster apply FILE".into())
        })?;
        let catalog = planning::catalog(&config);
        let profile = catalog.get(&config.spec.profile).ok_or_else(|| {
            precondition("LK3109", format!("this build has no profile {}", config.spec.profile))
        })?;
        let looks = planning::try_out(self, state, &config, profile).await;
        let findings = preflight::findings(state, &config.spec, &looks, LogTime(self.clock.wall_ms()));
        Ok(OperatorCheckReply {
            json: serde_json::json!({ "findings": findings }).to_string(),
            text: preflight::text(&findings),
            blocked: preflight::count(&findings, FindingVerdict::Blocked),
            warnings: preflight::count(&findings, FindingVerdict::Warning),
        })
    }
}

fn refused(text: String) -> OperatorPlanReply {
    OperatorPlanReply { plan: String::new(), text: String::new(), json: String::new(), faults: text, warnings: 0 }
}

/// "Nothing to do" is a warning alone: no plan, and no faults either. What could not be looked at explains most
/// refusals, so it is told with them.
fn faulty(report: &Report, notes: &[String]) -> OperatorPlanReply {
    let warnings = u32::try_from(report.warnings()).unwrap_or(u32::MAX);
    if report.errors() == 0 {
        return OperatorPlanReply { text: report.text(), warnings, ..refused(String::new()) };
    }
    let notes: String = notes.iter().map(|note| format!("note: {note}\n")).collect();
    OperatorPlanReply { warnings, ..refused(report.text() + &notes) }
}
