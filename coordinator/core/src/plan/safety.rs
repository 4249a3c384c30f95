//! Who may do what: executors of shared targets, upgraders of databases, and whether every agent can do its part.
//!
//! The facts are stale the moment they are read. That is in order: a member lost later is noticed by the leader, and
//! identities and contents are compared again at apply and at the point of no return.

use super::{
    Strategy,
    action::ActionKind,
    observed::{ObservedMember, PlanInput},
    rolling,
    step::SharedTarget,
};
use crate::{
    fault::{Fault, FaultCode, Report, Severity},
    ids::{DatabaseName, MemberName},
    profile::model::{Eligible, On, Stage},
    version::Version,
};
use std::collections::{BTreeMap, BTreeSet};

/// Who may act, and what a person should know about it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WhoMay {
    /// Members that may be elected upgrader of each database.
    pub(super) upgraders: BTreeMap<DatabaseName, Vec<MemberName>>,
    /// Candidates of each shared target's executor, in order.
    pub(super) executors: Vec<(SharedTarget, Vec<MemberName>)>,
    /// Warnings.
    pub(super) warnings: Vec<Fault>,
}

pub(super) fn who_may(input: &PlanInput<'_>, from: &Version) -> Result<WhoMay, Report> {
    let rolling = rolling::stages(input, from);
    let offline = (input.profile.stages.as_slice(), input.profile.undo.as_slice());
    let ways = rolling.as_ref().map_or(offline, |(forward, back)| (forward.as_slice(), back.as_slice()));
    let mut faults = Vec::new();
    releases(input, &mut faults);
    members(input, ways, &mut faults);
    let executors = executors(input, ways, &mut faults);
    let upgraders = match (input.strategy, input.adopt) {
        (Strategy::Offline, false) => upgraders(input, &executors, &mut faults),
        // Nobody is elected: no database is upgraded, or it was before.
        (Strategy::Offline, true) | (Strategy::Rolling, _) => BTreeMap::new(),
    };
    one_loss(input, &mut faults);
    if faults.iter().any(|f| f.severity == Severity::Error) {
        return Err(Report::new(faults, String::new()));
    }
    Ok(WhoMay { upgraders, executors, warnings: faults })
}

/// Staged releases must be one and the same.
fn releases(input: &PlanInput<'_>, faults: &mut Vec<Fault>) {
    // A release in use may have grown caches since it was installed; its member is proven by its answers.
    let in_use = |m: &MemberName| {
        input.observed.members.get(m).and_then(|seen| seen.version.as_ref()) == Some(input.to)
    };
    let staged: BTreeMap<&str, &MemberName> = input
        .cluster
        .members
        .keys()
        .filter(|m| !in_use(m))
        .filter_map(|m| Some((input.observed.members.get(m)?.release.as_ref()?.0.as_str(), m)))
        .collect();
    if staged.len() > 1 {
        let short = |hash: &str| hash.get(..8).unwrap_or(hash).to_owned();
        let found = staged.iter().map(|(hash, m)| format!("{} on {m}", short(hash))).collect::<Vec<_>>();
        faults.push(
            Fault::new(
                FaultCode::ReleasesDiffer,
                format!("the staged release {} differs between members", input.to),
            )
            .found(found.join(", "))
            .help("stage the same files everywhere, or remove them and let Lockkeeper copy them"),
        );
    }
}

/// The stages forward and back.
type Ways<'a> = (&'a [Stage], &'a [Stage]);

/// Kinds of action that are part of the way, by where they are done.
fn kinds(stages: &[Stage], undo: &[Stage], on: impl Fn(ActionKind, On) -> bool) -> BTreeSet<ActionKind> {
    let steps = stages.iter().chain(undo).flat_map(|stage| &stage.steps);
    let mut kinds: BTreeSet<ActionKind> = steps
        .filter(|step| on(step.kind, step.on))
        .flat_map(|step| {
            let proof = (step.prove.is_some() && step.kind != ActionKind::Run).then_some(ActionKind::Prove);
            [Some(step.kind), proof].into_iter().flatten()
        })
        .collect();
    if kinds.remove(&ActionKind::UpgradeDatabase) {
        kinds.extend([ActionKind::UpgradeDatabase, ActionKind::MintCredential]);
    }
    kinds
}

const fn is_balancer(kind: ActionKind) -> bool {
    matches!(kind, ActionKind::Drain | ActionKind::Admit)
}

/// Each member's agent must be able to do its own part.
fn members(input: &PlanInput<'_>, (forward, back): Ways<'_>, faults: &mut Vec<Fault>) {
    let own = kinds(forward, back, |kind, on| on == On::Each && !is_balancer(kind));
    for member in input.cluster.members.keys() {
        let Some(seen) = input.observed.members.get(member) else { continue };
        let missing = lacks(seen, &own);
        if !missing.is_empty() {
            faults.push(
                Fault::new(
                    FaultCode::ActionNotAnnounced,
                    format!("the agent of {member} cannot do every step"),
                )
                .found(format!("it lacks {missing}"))
                .help("update the agent, or permit these actions in its agent.toml"),
            );
        }
    }
}

fn lacks(seen: &ObservedMember, kinds: &BTreeSet<ActionKind>) -> String {
    kinds.difference(&seen.actions).map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

fn executors(
    input: &PlanInput<'_>,
    (forward, back): Ways<'_>,
    faults: &mut Vec<Fault>,
) -> Vec<(SharedTarget, Vec<MemberName>)> {
    let balancer = kinds(forward, back, |kind, _| is_balancer(kind));
    let mut database = kinds(forward, back, |_, on| on == On::Database);
    if input.adopt {
        let needed = [ActionKind::ProveNoWriters, ActionKind::ShutDoor, ActionKind::OpenDoor];
        database.retain(|kind| needed.contains(kind));
        database.insert(ActionKind::JudgeSchema);
    } else if forward.iter().flat_map(|s| &s.steps).any(|s| s.kind == ActionKind::UpgradeDatabase) {
        database.extend([ActionKind::AdmitHolder, ActionKind::CloseGrant, ActionKind::RestoreDatabase]);
    }
    let voters = input.cluster.voter_names();
    let mut all = Vec::new();
    for (name, spec) in &input.cluster.balancers {
        let target = SharedTarget::Balancer(name.clone());
        let named = if spec.executors.is_empty() { &voters } else { &spec.executors };
        all.push((target.clone(), candidates(input, &target, named, &balancer, faults)));
    }
    // A rolling plan has nothing to do at a database.
    for (name, spec) in input.cluster.databases.iter().filter(|_| !database.is_empty()) {
        let target = SharedTarget::Database(name.clone());
        let named = if spec.executors.is_empty() { &voters } else { &spec.executors };
        all.push((target.clone(), candidates(input, &target, named, &database, faults)));
    }
    all
}

/// The named ones but those known to be unable; somebody must be in order now.
fn candidates(
    input: &PlanInput<'_>,
    target: &SharedTarget,
    named: &[MemberName],
    kinds: &BTreeSet<ActionKind>,
    faults: &mut Vec<Fault>,
) -> Vec<MemberName> {
    let seen = |m: &&MemberName| input.observed.members.get(*m);
    let able = |m: &&MemberName| seen(m).is_none_or(|s| !s.reachable || lacks(s, kinds).is_empty());
    let in_order = |m: &&MemberName| seen(m).is_some_and(|s| s.reachable && lacks(s, kinds).is_empty());
    let candidates: Vec<MemberName> = named.iter().filter(able).cloned().collect();
    let ready = candidates.iter().filter(in_order).count();
    let list = named.iter().map(MemberName::as_str).collect::<Vec<_>>().join(", ");
    if ready == 0 {
        faults.push(
            Fault::new(FaultCode::NoExecutor, format!("nobody can act on {target}"))
                .found(format!("named: {list}; none of them answers and can do what is needed"))
                .help("see lockkeeper members; name others under executors in the cluster file"),
        );
    } else if ready < 2 {
        faults.push(
            Fault::new(FaultCode::FewExecutors, format!("one agent alone can act on {target}"))
                .found(format!("named: {list}"))
                .help("if it is lost, nobody can put back what is owed there until it is back"),
        );
    }
    candidates
}

/// Who may be elected: eligible by the profile, able, and not the only one who could work the door meanwhile.
fn upgraders(
    input: &PlanInput<'_>,
    executors: &[(SharedTarget, Vec<MemberName>)],
    faults: &mut Vec<Fault>,
) -> BTreeMap<DatabaseName, Vec<MemberName>> {
    let profile = input.profile;
    let needed = kinds(&profile.stages, &[], |_, on| on == On::Holder);
    let eligible = |member: &MemberName| match &profile.upgrader {
        Eligible::Any => true,
        Eligible::Pinned(role) => {
            input.cluster.members.get(member).is_some_and(|spec| spec.labels.get("role") == Some(role))
        }
    };
    let able = |member: &MemberName| {
        input.observed.members.get(member).is_some_and(|s| s.reachable && lacks(s, &needed).is_empty())
    };
    let mut all = BTreeMap::new();
    for database in input.cluster.databases.keys() {
        let target = SharedTarget::Database(database.clone());
        let doors =
            executors.iter().find(|(t, _)| *t == target).map(|(_, c)| c.as_slice()).unwrap_or_default();
        let other_door = |member: &MemberName| doors.iter().any(|executor| executor != member);
        let members: Vec<MemberName> = input
            .cluster
            .members
            .keys()
            .filter(|m| eligible(m) && able(m) && other_door(m))
            .cloned()
            .collect();
        if members.is_empty() {
            let found = match &profile.upgrader {
                Eligible::Any => "every member".to_owned(),
                Eligible::Pinned(role) => format!("members with the role {role:?}"),
            };
            faults.push(
                Fault::new(FaultCode::NobodyMayUpgrade, format!("nobody may upgrade {database}"))
                    .found(format!(
                        "eligible: {found}; door: {}",
                        doors.iter().map(MemberName::as_str).collect::<Vec<_>>().join(", ")
                    ))
                    .allowed("a member that can do upgrade-database while another agent works the door")
                    .help("name a second executor of this database, or update the agents"),
            );
        }
        all.insert(database.clone(), members);
    }
    all
}

/// Two agents make one voter; losing it stops the rollout.
fn one_loss(input: &PlanInput<'_>, faults: &mut Vec<Fault>) {
    let agents = input.cluster.agents().count();
    if let [only] = input.cluster.voter_names().as_slice()
        && agents > 1
    {
        faults.push(
            Fault::new(
                FaultCode::OneLossStops,
                format!("losing {only} stops the rollout: it is the only voter"),
            )
            .help("add a witness; until then lockkeeper breakglass show works from any agent's directory"),
        );
    }
}
