//! What a plan says to people: what will happen, what cannot be undone, how long, what will be owed.
//!
//! Made from the plan alone, so that `plan show` of a file says what `plan` said; only warnings and voters come from
//! the planner's facts.

mod forecast;
mod lines;
mod text;
mod words;

use super::{Action, OwedKey, Plan, Step, Strategy};
use crate::{
    cluster::{Door, OnUpgraderLoss},
    fault::Fault,
    ids::{ClusterName, DatabaseName, MemberName, PlanHash, ProfileName, StepId},
    time::{LogTime, Millis},
    version::Version,
};
use serde::Serialize;

pub use text::Glyphs;

/// A plan for people.
#[must_use = "a report that nobody reads helps nobody"]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// The plan.
    pub plan: PlanHash,
    /// The plan it amends.
    pub parent: Option<PlanHash>,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// Version the members have now.
    pub from: Version,
    /// Version they shall have.
    pub to: Version,
    /// What is taken over from whoever began by hand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adopts: Vec<String>,
    /// Vendor-supported jumps.
    pub hops: usize,
    /// How members pass.
    pub strategy: Strategy,
    /// The profile.
    pub profile: ProfileName,
    /// Its digest.
    pub profile_digest: String,
    /// When the facts were observed.
    pub observed: LogTime,
    /// Members that were observed.
    pub members: usize,
    /// The way forward, some steps a line.
    pub lines: Vec<Line>,
    /// The way back before the point of no return.
    pub undo: Vec<Line>,
    /// The way back after it.
    pub restore: Vec<Line>,
    /// How long.
    pub forecast: Forecast,
    /// The first step that cannot be undone.
    pub point_of_no_return: Option<StepId>,
    /// The backup sets that lead back after it.
    pub sets: Vec<String>,
    /// `rolling`: how many stay in each balancer.
    pub floor: Vec<String>,
    /// How each database is shut.
    pub door: Vec<String>,
    /// What is lost with whom.
    pub loss: Vec<String>,
    /// When it stops by itself.
    pub stop: String,
    /// What will be changed and given back.
    pub owed: Vec<OwedKey>,
    /// What it needs before it may be applied.
    pub needs: String,
    /// Things to know before approving.
    pub warnings: Vec<Fault>,
}

/// Some steps as one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What lies between this line and the one before.
    pub before: Option<Ruler>,
    /// Its steps.
    pub steps: Vec<StepId>,
    /// Where.
    pub place: String,
    /// What.
    pub what: String,
    /// Members pass one at a time.
    pub serial: bool,
    /// How it is undone.
    pub undo: String,
    /// How long it takes, once for all that stand side by side.
    pub about: Millis,
    /// The duration is that of each, one after another.
    pub each: bool,
}

/// A line across the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruler {
    /// Users are out from here on.
    OutageBegins,
    /// From here on the only exits are forward or a restore.
    PointOfNoReturn,
    /// The first member serves users again.
    OutageEnds,
}

/// How long it will take, from the profile's estimates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// From the first drain to the first admission.
    pub outage: Millis,
    /// From the start to the last admission.
    pub total: Millis,
}

impl PlanReport {
    /// The report of a plan. `voters` are the agents that hold the log, if that is known.
    pub fn new(plan: &Plan, voters: Option<&[MemberName]>, warnings: Vec<Fault>) -> Self {
        Self {
            plan: plan.hash.clone(),
            parent: plan.parent.clone(),
            cluster: plan.cluster.clone(),
            from: plan.from.clone(),
            to: plan.to.clone(),
            adopts: words::adopts(plan),
            hops: plan.hops.len(),
            strategy: plan.strategy,
            profile: plan.bound.profile.clone(),
            profile_digest: plan.bound.profile_digest.clone(),
            observed: plan.observed,
            members: plan.bound.members.len(),
            lines: lines::forward(plan),
            undo: lines::back(plan, &plan.undo),
            restore: lines::back(plan, &plan.restore),
            forecast: forecast::forecast(plan),
            point_of_no_return: plan.steps.iter().find(|s| s.irreversible).map(|s| s.id),
            sets: words::sets(plan),
            floor: floor(plan),
            door: match plan.strategy {
                Strategy::Offline => {
                    plan.targets.databases.iter().map(|(name, spec)| door(plan, name, spec.door)).collect()
                }
                Strategy::Rolling => Vec::new(),
            },
            loss: loss(plan, voters),
            stop: match plan.policy.max_failures {
                0 => "at the first failure".to_owned(),
                n => {
                    format!("at failure number {}; a failed step of a grant stops at once", u64::from(n) + 1)
                }
            },
            owed: plan.steps.iter().filter_map(|s| s.owes.clone()).collect(),
            needs: needs(plan),
            warnings,
        }
    }

    /// The screen an operator reads and approves.
    pub fn text(&self, glyphs: Glyphs) -> String {
        text::text(self, glyphs)
    }
}

fn floor(plan: &Plan) -> Vec<String> {
    let Some(floor) = plan.policy.capacity_floor else { return Vec::new() };
    let words = |(name, spec): (&crate::ids::BalancerName, &crate::cluster::BalancerSpec)| {
        let all = spec.servers.len();
        format!(
            "{name}: {} of {all} members stay in, one at a time is out; never fewer than {floor}",
            all.saturating_sub(1)
        )
    };
    plan.targets.balancers.iter().map(words).collect()
}

fn door(plan: &Plan, name: &DatabaseName, door: Door) -> String {
    let shut = |step: &&Step| matches!(&step.action, Action::ShutDoor(shut) if shut.database == *name);
    if plan.adopt.is_some() {
        return match plan.steps.iter().find(shut) {
            Some(_) => format!("{name}: shut until every member is switched; strangers block"),
            None => format!("{name}: stays open for those that fit the schema; all others are stopped first"),
        };
    }
    match door {
        Door::Login => format!("{name}: login per grant, proven by read-back; strangers block"),
        Door::PathPerEpoch => {
            format!("{name}: a file per grant; a thawed holder's writes are diverted, not refused")
        }
    }
}

fn loss(plan: &Plan, voters: Option<&[MemberName]>) -> Vec<String> {
    let mut all = Vec::new();
    if plan.strategy == Strategy::Offline && !plan.targets.databases.is_empty() && plan.adopt.is_none() {
        all.push(
            match plan.policy.on_upgrader_loss {
                OnUpgraderLoss::Halt => "upgrader lost: HALT, a person decides (lockkeeper takeover)",
                OnUpgraderLoss::RegrantIfUntouched => {
                    "upgrader lost: another grant if it is proven out and the database is untouched, else HALT"
                }
                OnUpgraderLoss::RestoreAndRegrant => {
                    "upgrader lost: the proven set is restored, then another grant (needs an approver)"
                }
            }
            .to_owned(),
        );
    }
    match voters {
        None | Some([]) => {}
        Some([only]) => all.push(format!("{only} lost: the rollout stops, it is the only voter")),
        Some(voters) => all.push(format!(
            "{} of {} voters lost: the rollout stops (lockkeeper recover)",
            voters.len() / 2 + 1,
            voters.len()
        )),
    }
    all.push(format!("a member lost for {}: HALT", plan.policy.lost_after));
    all
}

fn needs(plan: &Plan) -> String {
    let eyes = if plan.policy.four_eyes { " (four eyes)" } else { "" };
    match plan.policy.approvals {
        0 => "no approval".to_owned(),
        1 => format!("1 approval{eyes}"),
        n => format!("{n} approvals{eyes}"),
    }
}
