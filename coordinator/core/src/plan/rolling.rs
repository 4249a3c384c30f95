//! Strategy `rolling`: one member at a time is taken out, restarted or brought to another release, proven and put back,
//! and the database stays as it is.
//!
//! The profile's own steps on members are used, in its order; its steps on databases are left out. So a plan is refused
//! unless the profile says that both versions have one schema.

use super::{Strategy, action::ActionKind, observed::PlanInput};
use crate::{
    fault::{Fault, FaultCode, Report},
    plan::step::Phase,
    profile::{
        Profile,
        model::{On, Stage, StepTemplate, Wait},
        resolve::Scope,
    },
    version::Version,
};

/// The stages of the way forward.
pub(super) fn forward(input: &PlanInput<'_>, from: &Version) -> Vec<Stage> {
    let restart = from == input.to;
    let steps = on_members(&input.profile.stages);
    let (stage, rest): (Vec<StepTemplate>, Vec<StepTemplate>) =
        steps.partition(|step| step.kind == ActionKind::StageRelease);
    let pass = rest.into_iter().filter(|step| !(restart && step.kind == ActionKind::SwitchRelease)).collect();
    let stage = if restart { Vec::new() } else { stage };
    // A member is out, through and in again before the next one is taken out.
    [made("stage", false, stage), made("one by one", true, pass)].into_iter().flatten().collect()
}

/// The way back: the member that is under way is put back as it was. It may be in again by the time of its turn, so with
/// another release it is drained first.
pub(super) fn back(input: &PlanInput<'_>, from: &Version) -> Vec<Stage> {
    let out = [ActionKind::Drain, ActionKind::StopService, ActionKind::SwitchRelease];
    let again = on_members(&input.profile.stages)
        .filter(|step| from != input.to && out.contains(&step.kind))
        .map(|step| StepTemplate { undo: String::new(), ..step });
    made("put back", true, again.chain(on_members(&input.profile.undo)).collect()).into_iter().collect()
}

/// The stages of the profile whose kinds of action agents must be able to do.
pub(super) fn stages(input: &PlanInput<'_>, from: &Version) -> Option<(Vec<Stage>, Vec<Stage>)> {
    (input.strategy == Strategy::Rolling).then(|| (forward(input, from), back(input, from)))
}

fn on_members(stages: &[Stage]) -> impl Iterator<Item = StepTemplate> {
    stages.iter().flat_map(|stage| &stage.steps).filter(|step| step.on == On::Each).cloned()
}

fn made(name: &str, serial: bool, steps: Vec<StepTemplate>) -> Option<Stage> {
    // Users notice nothing of any of it.
    let stage = Stage { serial, phase: Some(Phase::Before), ..Stage::new(name, Wait::All, steps) };
    (!stage.steps.is_empty()).then_some(stage)
}

/// Whether every member can be missed: it is behind a balancer, and enough others are in there.
pub(super) fn fits(input: &PlanInput<'_>) -> Result<(), Report> {
    let floor = input.cluster.policy.capacity_floor as usize;
    let balancers = &input.cluster.balancers;
    let mut faults = Vec::new();
    for member in input.cluster.members.keys() {
        if !balancers.values().any(|spec| spec.servers.contains_key(member)) {
            faults.push(
                Fault::new(FaultCode::RollingCapacity, format!("{member} is behind no balancer"))
                    .allowed("every member behind a balancer, so that its users go to another one meanwhile")
                    .help("name its server in the cluster file, or plan --strategy offline"),
            );
        }
    }
    for (name, spec) in balancers.iter().filter(|(_, spec)| !spec.servers.is_empty()) {
        if spec.servers.len() <= floor {
            faults.push(
                Fault::new(FaultCode::RollingCapacity, format!("no member can be taken out of {name}"))
                    .found(format!("{} members are in it, the capacity floor is {floor}", spec.servers.len()))
                    .allowed(format!("a floor up to {}", spec.servers.len() - 1))
                    .help("lower policy.capacity_floor, add members, or plan --strategy offline"),
            );
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Report::new(faults, String::new())) }
}

/// Refuses versions that the profile does not say to have one schema.
pub(super) fn same_schema(input: &PlanInput<'_>, from: &Version) -> Result<(), Report> {
    let groups = groups(input.profile, input)?;
    if groups.iter().any(|group| group.contains(from) && group.contains(input.to)) {
        return Ok(());
    }
    let said = groups
        .iter()
        .map(|group| group.iter().map(Version::as_str).collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>();
    Err(Report::one(
        Fault::new(
            FaultCode::RollingSchema,
            format!("{from} -> {} may change the schema: members of both versions cannot run at once", input.to),
        )
        .found(if said.is_empty() { "no versions are said to have one schema".to_owned() } else { said.join("; ") })
        .allowed("versions that ladder.same_schema of the profile names together")
        .help("plan --strategy offline; or, if the vendor says that both have one schema, name them together in \
               schema.same (profile generic) or ladder.same_schema"),
    ))
}

/// The versions that have one schema, group by group.
fn groups(profile: &Profile, input: &PlanInput<'_>) -> Result<Vec<Vec<Version>>, Report> {
    let unreadable = |found: String| {
        Report::one(
            Fault::new(FaultCode::Unfilled, "the versions that have one schema cannot be read")
                .found(found)
                .allowed("texts of versions with spaces between them, such as \"26.5.0 26.5.1\"")
                .help("see schema.same or the profile's ladder.same_schema"),
        )
    };
    let texts = Scope::new(profile, input.cluster).list(&profile.same_schema);
    let texts = texts.map_err(|error| unreadable(error.to_string()))?;
    let versions = |text: &String| text.split_whitespace().map(Version::new).collect::<Result<Vec<_>, _>>();
    texts.iter().map(|text| versions(text).map_err(|error| unreadable(error.to_string()))).collect()
}
