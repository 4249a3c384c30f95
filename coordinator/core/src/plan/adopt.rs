//! Adoption: a plan for a cluster that somebody began to upgrade by hand.
//!
//! The database is there already, so there is no grant, no backup and no way back by a set: the point of no return lies
//! behind us. Members at the new version are proven and admitted. Those at the old one do not fit the schema: they are
//! taken out and stopped before anything else is relied on, and no way of this plan ever starts the old release.
//!
//! A schema that is not finished is not adopted: nobody here knows how far its upgrade came.

use super::{
    action::{ActionKind, SchemaJudge},
    build::Build,
    observed::{PlanInput, SERVES, Servers},
};
use crate::{
    fault::{Fault, FaultCode, Report},
    ids::{DatabaseName, MemberName},
    profile::model::{On, Stage, StepTemplate, Wait, With},
    version::Version,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a plan takes over from whoever began by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// What every database reads, and how it is asked again: its upgrade is finished, so there is no other.
    pub finished: BTreeMap<DatabaseName, SchemaJudge>,
}

/// Which members a stage is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// All members, or the databases.
    All,
    /// Those that have the new version already.
    New,
    /// Those that still have the old one.
    Old,
}

/// Members at the target version.
pub(super) fn new_members(input: &PlanInput<'_>) -> BTreeSet<MemberName> {
    let has = |m: &&MemberName| {
        input.observed.members.get(*m).and_then(|seen| seen.version.as_ref()) == Some(input.to)
    };
    input.cluster.members.keys().filter(has).cloned().collect()
}

/// Servers that were found out of their balancers. They are not ours: nothing of them is owed or undone.
pub(super) fn found_out(input: &PlanInput<'_>) -> Servers {
    if !input.adopt {
        return Servers::new();
    }
    let out = |servers: &BTreeMap<MemberName, String>| -> BTreeMap<MemberName, String> {
        let out = servers.iter().filter(|(_, state)| *state != SERVES);
        out.map(|(member, state)| (member.clone(), state.clone())).collect()
    };
    let balancers = input.observed.balancers.iter().map(|(name, servers)| (name.clone(), out(servers)));
    balancers.filter(|(_, servers)| !servers.is_empty()).collect()
}

/// What is adopted, or why nothing can be.
pub(super) fn adoption(input: &PlanInput<'_>, from: &Version) -> Result<Adoption, Report> {
    let mut faults = Vec::new();
    let mut finished = BTreeMap::new();
    for database in input.cluster.databases.keys() {
        let judge = match Build::new(input, from, input.to, None).finished(database) {
            Ok(judge) => judge,
            Err(unfilled) => {
                let text = format!("how the schema of {database} is read: {unfilled}");
                faults
                    .push(Fault::new(FaultCode::Unfilled, text).help("see [parameters] of the cluster file"));
                continue;
            }
        };
        let Some(seen) = input.observed.databases.get(database) else { continue };
        if judge.query.is_empty() || judge.after.is_empty() {
            faults.push(unjudged(database));
        } else if seen.schema == judge.after {
            finished.insert(database.clone(), judge);
        } else {
            faults.push(touched(input, database, &seen.schema, &judge.after));
        }
    }
    if faults.is_empty() {
        return Ok(Adoption { finished });
    }
    Err(Report::new(faults, String::new()))
}

fn unjudged(database: &DatabaseName) -> Fault {
    Fault::new(
        FaultCode::AdoptUnjudged,
        format!("nobody can say whether the upgrade of {database} is finished"),
    )
    .found("the profile does not say what the schema reads after it")
    .help(
        "set schema.query and schema.after in [parameters], apply the cluster file, then plan --adopt again",
    )
}

fn touched(input: &PlanInput<'_>, database: &DatabaseName, reads: &str, after: &str) -> Fault {
    let to = input.to;
    let help = if new_members(input).is_empty() {
        format!(
            "if nobody began to upgrade {database}: lockkeeper plan --to {to}, without --adopt; if an upgrade broke \
             half-way: restore the set that was taken before it, then plan without --adopt"
        )
    } else {
        format!(
            "finish the upgrade of {database} by the vendor's guide, then plan --adopt; or go back by hand: restore the \
             set that was taken before it, give every member its old release, then lockkeeper plan --to {to}"
        )
    };
    Fault::new(
        FaultCode::AdoptTouched,
        format!("the upgrade of {database} is not finished, so it cannot be adopted"),
    )
    .found(format!("its schema reads {reads:?}"))
    .allowed(format!("{after:?}, which {to} brings"))
    .help(help)
}

/// Refuses an ordinary plan for a database that is upgraded already: it would upgrade it twice.
pub(super) fn check_unfinished(input: &PlanInput<'_>, from: &Version) -> Result<(), Report> {
    let reads = |database: &DatabaseName| {
        let judge = Build::new(input, from, input.to, None).finished(database).ok()?;
        let seen = input.observed.databases.get(database)?;
        (!judge.after.is_empty() && seen.schema == judge.after).then_some(judge.after)
    };
    let faults: Vec<Fault> = input
        .cluster
        .databases
        .keys()
        .filter_map(|database| Some((database, reads(database)?)))
        .map(|(database, after)| {
            Fault::new(FaultCode::SchemaFinished, format!("{database} is upgraded already, and no member is"))
                .found(format!("its schema reads {after:?}, which {} brings; members have {from}", input.to))
                .help(format!(
                    "lockkeeper plan --to {} --adopt brings the members after it and upgrades no database (also right \
                     when the new version needs no upgrade of it)",
                    input.to
                ))
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Report::new(faults, String::new())) }
}

/// The way forward: the profile's own stages for the members at the old version, without what belongs to an upgrade
/// of the database, and around them what an adoption rests on.
pub(super) fn stages(input: &PlanInput<'_>) -> Vec<(For, Stage)> {
    let profile = input.profile;
    let new = new_members(input);
    let some_old = new.len() < input.cluster.members.len();
    let judged = !input.cluster.databases.is_empty();
    // Who fits the schema is served meanwhile: a shut door would put them out. Where nobody is, it costs nothing.
    let shuts = new.is_empty();
    let judge = |name: &str| {
        (For::All, Stage::new(name, Wait::All, vec![StepTemplate::new(ActionKind::JudgeSchema, On::Database)]))
    };
    let mut all = Vec::new();
    if judged {
        all.push(judge("judge"));
    }
    if !new.is_empty() {
        all.push((For::New, Stage::new("prove the new ones", Wait::All, proofs(input))));
    }
    if !some_old {
        all.push((For::New, Stage::new("admit the new ones", Wait::Own, of(input, ActionKind::Admit))));
        return all;
    }
    let mut relied = false;
    let mut reopened = !shuts;
    for stage in &profile.stages {
        let steps: Vec<StepTemplate> = stage.steps.iter().filter(|s| s.on == On::Each).map(one_way).collect();
        if steps.is_empty() {
            continue;
        }
        let has = |kind: ActionKind| steps.iter().any(|s| s.kind == kind);
        // From here on what is done rests on the finished schema.
        if !relied && (has(ActionKind::SwitchRelease) || has(ActionKind::StartService)) {
            relied = true;
            if shuts {
                let mut door = of(input, ActionKind::ProveNoWriters);
                door.extend(of(input, ActionKind::ShutDoor));
                all.push((For::All, Stage::new("shut the door", Wait::All, door)));
            }
            if judged {
                all.push(judge("judge again"));
            }
            if !shuts {
                let admit = of(input, ActionKind::Admit);
                all.push((For::New, Stage::new("admit the new ones", Wait::All, admit)));
            }
        }
        let mut wait = stage.wait;
        if !reopened && has(ActionKind::StartService) {
            reopened = true;
            // Nobody starts in front of a shut door, whatever the profile's stages wait for.
            wait = Wait::All;
            all.push((For::All, Stage::new("reopen", Wait::All, of(input, ActionKind::OpenDoor))));
        }
        all.push((For::Old, Stage { steps, wait, first_upgrader: false, ..stage.clone() }));
    }
    all.retain(|(_, stage)| !stage.steps.is_empty());
    all
}

/// The way back: a door that was shut is opened. The old release does not fit the schema and stays stopped; that is owed
/// until a person answers for it.
pub(super) fn undo(input: &PlanInput<'_>) -> Vec<Stage> {
    let opens = |stage: &&Stage| stage.steps.iter().any(|s| s.kind == ActionKind::OpenDoor);
    let only = |stage: &Stage| {
        let steps = stage.steps.iter().filter(|s| s.kind == ActionKind::OpenDoor).cloned().collect();
        Stage { steps, ..stage.clone() }
    };
    if !new_members(input).is_empty() {
        return Vec::new();
    }
    input.profile.undo.iter().filter(opens).map(only).collect()
}

/// Proofs of members that run the new version already: those that a start would need, and the profile's own.
fn proofs(input: &PlanInput<'_>) -> Vec<StepTemplate> {
    let steps = input.profile.stages.iter().flat_map(|stage| &stage.steps).filter(|s| s.on == On::Each);
    let proof = |s: &StepTemplate| {
        matches!(s.kind, ActionKind::StartService | ActionKind::Prove) && s.prove.is_some()
    };
    steps
        .filter(|s| proof(s))
        .map(|s| StepTemplate {
            kind: ActionKind::Prove,
            with: With::Nothing,
            undo: String::new(),
            hard: s.hard.clone().or_else(|| s.prove.as_ref().map(|p| p.within.clone())),
            estimate: None,
            ..s.clone()
        })
        .collect()
}

/// A step that no way back of an adoption undoes.
fn one_way(step: &StepTemplate) -> StepTemplate {
    let undo = match step.kind {
        ActionKind::StageRelease => step.undo.clone(),
        ActionKind::Drain | ActionKind::StopService => "none".to_owned(),
        _ => String::new(),
    };
    StepTemplate { undo, ..step.clone() }
}

fn of(input: &PlanInput<'_>, kind: ActionKind) -> Vec<StepTemplate> {
    let undone =
        |step: &StepTemplate| if kind == ActionKind::ShutDoor { step.clone() } else { one_way(step) };
    input.profile.steps_of(kind).map(undone).collect()
}
