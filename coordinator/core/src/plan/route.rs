//! From which version, in which hops: what the members have, and what the vendor's ladder allows.

use super::{Hop, Strategy, observed::PlanInput, planner::hops_text, rolling};
use crate::{
    fault::{Fault, FaultCode, Report},
    ids::MemberName,
    version::Version,
};
use std::collections::BTreeMap;

/// The hops and the source version, or why there is no way.
pub(super) fn route(input: &PlanInput<'_>) -> Result<(Vec<Hop>, Version), Report> {
    let from = source(input)?;
    let to = input.to;
    if input.strategy == Strategy::Rolling {
        rolling::fits(input)?;
        if from == *to {
            return Ok((Vec::new(), from));
        }
    }
    if input.adopt && from == *to {
        // Everybody is there already; proof and admission are left.
        return Ok((Vec::new(), from));
    }
    if from == *to {
        return Err(Report::one(
            Fault::new(FaultCode::NothingToDo, format!("nothing to do: every member has {to} already"))
                .help("name another version with --to; --strategy rolling restarts the members at this one"),
        ));
    }
    if *to < from {
        return Err(Report::one(
            Fault::new(FaultCode::Downgrade, format!("{to} is below what is installed"))
                .found(from.to_string())
                .allowed(format!("a version above {from}"))
                .help("versions only rise; going back is lockkeeper restore, from a backup set"),
        ));
    }
    let ladder = &input.profile.ladder;
    let Some(hops) = ladder.hops(&from, to) else {
        return Err(Report::one(
            Fault::new(
                FaultCode::OffLadder,
                format!("the profile's ladder does not lead from {from} to {to}"),
            )
            .allowed(ladder.describe())
            .help("choose a version on the ladder"),
        ));
    };
    if let [first, _, ..] = hops.as_slice() {
        return Err(Report::one(
            Fault::new(
                FaultCode::ManyHops,
                format!("{} hops are needed; this version plans one at a time", hops.len()),
            )
            .found(hops_text(&hops))
            .help(format!("plan --to {} first", first.to)),
        ));
    }
    if input.strategy == Strategy::Rolling {
        rolling::same_schema(input, &from)?;
    }
    Ok((hops, from))
}

/// The one version all members have; in an adoption the one that those have which have not the new one.
fn source(input: &PlanInput<'_>) -> Result<Version, Report> {
    let mut faults = Vec::new();
    let mut versions: BTreeMap<&Version, Vec<&MemberName>> = BTreeMap::new();
    for member in input.cluster.members.keys() {
        let missing =
            |text: String, help: &str| Fault::new(FaultCode::MemberNotObserved, text).help(help.to_owned());
        match input.observed.members.get(member) {
            None => faults
                .push(missing(format!("{member} is not enrolled"), "lockkeeper token create, then join")),
            Some(seen) if !seen.reachable => {
                faults.push(missing(
                    format!("the agent of {member} does not answer"),
                    "see lockkeeper members",
                ));
            }
            Some(seen) => match &seen.version {
                Some(version) => versions.entry(version).or_default().push(member),
                None => faults.push(missing(
                    format!("the installed version of {member} could not be read"),
                    "see the profile's [[version]] and lockkeeper check",
                )),
            },
        }
    }
    for database in input.cluster.databases.keys() {
        if !input.observed.databases.contains_key(database) {
            faults.push(
                Fault::new(
                    FaultCode::DatabaseNotObserved,
                    format!("nobody could read the database {database}"),
                )
                .help("see lockkeeper check"),
            );
        }
    }
    if input.adopt && versions.len() > 1 {
        versions.remove(input.to);
    }
    if versions.len() > 1 {
        let list = |names: &[&MemberName]| names.iter().map(|m| m.as_str()).collect::<Vec<_>>().join(" ");
        let found = versions.iter().map(|(v, names)| format!("{v} on {}", list(names))).collect::<Vec<_>>();
        faults.push(
            Fault::new(FaultCode::MixedVersions, "members stand at different versions")
                .found(found.join(", "))
                .allowed(if input.adopt {
                    "one old version beside the new one"
                } else {
                    "one version on all members"
                })
                .help(if input.adopt {
                    "bring those to one of the two by the vendor's guide, then plan --adopt".to_owned()
                } else {
                    format!(
                        "if somebody began to upgrade by hand: lockkeeper plan --to {} --adopt starts from there",
                        input.to
                    )
                }),
        );
    }
    match versions.into_keys().next() {
        Some(version) if faults.is_empty() => Ok(version.clone()),
        Some(_) => Err(Report::new(faults, String::new())),
        None => {
            if faults.is_empty() {
                faults.push(Fault::new(FaultCode::MemberNotObserved, "the cluster has no members"));
            }
            Err(Report::new(faults, String::new()))
        }
    }
}
