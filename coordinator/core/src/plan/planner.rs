//! The planner: from what was observed to a whole plan. Its top function reads like the runbook.
//!
//! It runs outside the replicated state, so it may improve while members run different builds.

use super::{
    BoundDatabase, BoundFacts, BoundMember, Hop, Plan, PlanPolicy, Strategy, Targets, adopt,
    expand::{Expansion, Ways},
    hash,
    limits::STEPS_MAX,
    observed::PlanInput,
    report::PlanReport,
    route, safety,
};
use crate::{
    fault::{Fault, FaultCode, Report, Severity},
    ids::PlanHash,
    version::Version,
};

/// The format of plan files this version writes.
pub const FORMAT: u32 = 1;

/// Makes the plan that brings the cluster from what was observed to `input.to`, or says everything that stands in
/// its way. "Nothing to do" is [`FaultCode::NothingToDo`], a warning alone.
pub fn plan(input: &PlanInput<'_>) -> Result<(Plan, PlanReport), Report> {
    let (hops, from) = route::route(input)?;
    let adopt = match (input.adopt, input.strategy) {
        (true, _) => Some(adopt::adoption(input, &from)?),
        (false, Strategy::Offline) => {
            adopt::check_unfinished(input, &from)?;
            None
        }
        // It upgrades no database.
        (false, Strategy::Rolling) => None,
    };
    let may = safety::who_may(input, &from)?;
    let Ways { steps, undo, restore } = ways(input, &from, &may)?;
    let mut plan = Plan {
        format: FORMAT,
        hash: PlanHash(String::new()),
        parent: input.parent.cloned(),
        cluster: input.cluster.cluster.clone(),
        strategy: input.strategy,
        from,
        to: input.to.clone(),
        adopt,
        hops,
        bound: bound(input),
        observed: input.observed.at,
        targets: targets(input),
        policy: policy(input, &may),
        steps,
        undo,
        restore,
    };
    plan.hash = hash(&plan);
    let report = PlanReport::new(&plan, Some(&input.cluster.voter_names()), may.warnings);
    Ok((plan, report))
}

/// The way forward and the ways back.
fn ways(input: &PlanInput<'_>, from: &Version, may: &safety::WhoMay) -> Result<Ways, Report> {
    let mut expansion = Expansion::new(input, from, &may.upgraders);
    expansion.every_way();
    let (ways, mut faults) = expansion.finish();
    let count = ways.steps.len() + ways.undo.len() + ways.restore.len();
    if count > STEPS_MAX {
        faults.push(
            Fault::new(FaultCode::PlanTooLarge, "the plan has too many steps")
                .found(count.to_string())
                .allowed(format!("up to {STEPS_MAX}"))
                .help("split the cluster, or the profile's stages"),
        );
    }
    if faults.iter().any(|f| f.severity == Severity::Error) {
        return Err(Report::new(faults, String::new()));
    }
    Ok(ways)
}

/// What the approval rests on.
fn bound(input: &PlanInput<'_>) -> BoundFacts {
    let observed = input.observed;
    let members = input.cluster.members.keys().filter_map(|name| {
        let seen = observed.members.get(name)?;
        let version = seen.version.clone()?;
        // A release in use may grow caches at any time: no content to rest on.
        let release = seen.release.as_ref().filter(|_| version != *input.to);
        let release = release.map(|digest| digest.0.clone()).unwrap_or_default();
        Some((name.clone(), BoundMember { incarnation: seen.incarnation, version, release }))
    });
    let databases = input.cluster.databases.keys().filter_map(|name| {
        let seen = observed.databases.get(name)?;
        Some((name.clone(), BoundDatabase { identity: seen.identity.clone(), schema: seen.schema.clone() }))
    });
    BoundFacts {
        cluster_id: input.cluster_id.clone(),
        cluster_version: input.cluster_version,
        cluster_digest: input.cluster_digest.0.clone(),
        profile: input.profile.name.clone(),
        profile_digest: input.profile.digest.0.clone(),
        members: members.collect(),
        databases: databases.collect(),
        out: adopt::found_out(input),
    }
}

fn targets(input: &PlanInput<'_>) -> Targets {
    Targets {
        balancers: input.cluster.balancers.clone(),
        databases: input.cluster.databases.clone(),
        members: input.cluster.agents().map(|(name, spec)| (name.clone(), spec.host.clone())).collect(),
    }
}

fn policy(input: &PlanInput<'_>, may: &safety::WhoMay) -> PlanPolicy {
    let policy = &input.cluster.policy;
    PlanPolicy {
        on_upgrader_loss: policy.on_upgrader_loss,
        lost_after: policy.lost_after,
        max_failures: policy.max_failures,
        approvals: policy.approvals,
        four_eyes: policy.four_eyes,
        capacity_floor: (input.strategy == Strategy::Rolling).then_some(policy.capacity_floor),
        upgraders: may.upgraders.clone(),
        executors: may.executors.clone(),
    }
}

/// The hops as people write them.
pub(super) fn hops_text(hops: &[Hop]) -> String {
    hops.iter().map(|hop| format!("{} -> {}", hop.from, hop.to)).collect::<Vec<_>>().join(", then ")
}
