//! Reads a cluster file; every fault at once, each with its place, what was found, what is allowed and what to do.

mod agents;
mod balancers;
mod check;
mod databases;
mod parameters;
mod policy;
mod values;

use super::spec::{ClusterSpec, MemberSpec, Parameter, Voters};
use crate::{
    document::{Document, Section, closest},
    fault::{Fault, FaultCode, Report},
    ids::{BalancerName, ClusterName, DatabaseName, MemberName, ProfileName},
    profile::{Profile, ProfileCatalog},
};
use agents::Agents;
use std::{collections::BTreeMap, ops::Range};

/// Reads a cluster file from its text. With it come the warnings; a file with errors gives all of them and the
/// warnings too.
pub fn read_cluster(
    file: &str,
    text: &str,
    profiles: &ProfileCatalog,
) -> Result<(ClusterSpec, Report), Report> {
    let (document, root) = Document::parse(file, text);
    let spec = cluster(&document.section(String::new(), &root, 0..0), profiles);
    match spec {
        Some(spec) if !document.failed() => Ok((spec, document.finish())),
        Some(_) | None => Err(document.finish()),
    }
}

/// Everything read so far, with places, for checks that look at the whole.
struct Draft {
    members: Agents,
    witnesses: Agents,
    voters: (Voters, Range<usize>),
    policy: policy::ReadPolicy,
    balancers: BTreeMap<BalancerName, balancers::ReadBalancer>,
    databases: BTreeMap<DatabaseName, databases::ReadDatabase>,
    parameters: BTreeMap<String, (Parameter, Range<usize>)>,
}

fn cluster(top: &Section<'_>, profiles: &ProfileCatalog) -> Option<ClusterSpec> {
    let name = top.need("cluster", "write cluster = \"NAME\"").and_then(|item| item.name::<ClusterName>());
    let profile = profile(top, profiles);
    let members = agents::read(top, "members");
    let witnesses = agents::read(top, "witnesses");
    let voters = agents::voters(top);
    let policy = policy::read(top);
    let balancers = balancers::read(top);
    let databases = databases::read(top);
    let parameters = parameters::read(top, profile.as_ref().and_then(|(_, p)| *p));
    for key in ["window", "notify"] {
        if let Some(item) = top.get(key) {
            item.fault(
                Fault::new(FaultCode::NotSupported, format!("{key:?} is not supported by this version"))
                    .help("delete it; this version would not act on it, and silence would look like it did"),
            );
        }
    }
    top.check_keys();
    let draft = Draft { members, witnesses, voters, policy, balancers, databases, parameters };
    check::whole(top.document(), &draft, profile.as_ref().and_then(|(_, p)| *p));
    let parameters_at = top.get("parameters").map_or(0..0, |item| item.span());
    let take = |agents: Agents| -> BTreeMap<MemberName, MemberSpec> {
        agents.all.into_iter().map(|(name, agent)| (name, agent.spec)).collect()
    };
    let (profile_name, profile) = profile?;
    let spec = ClusterSpec {
        cluster: name?,
        profile: profile_name,
        voters: draft.voters.0,
        members: take(draft.members),
        witnesses: take(draft.witnesses),
        policy: draft.policy.policy,
        balancers: draft.balancers.into_iter().map(|(name, b)| (name, b.spec)).collect(),
        databases: draft.databases.into_iter().map(|(name, d)| (name, d.spec)).collect(),
        parameters: draft.parameters.into_iter().map(|(key, (value, _))| (key, value)).collect(),
    };
    // Only of a file that is right otherwise: a faulty value would be told twice.
    if let Some(profile) = profile.filter(|_| !top.document().failed()) {
        for fault in crate::plan::unfilled(profile, &spec) {
            top.document().at(parameters_at.clone(), fault);
        }
    }
    Some(spec)
}

fn profile<'p>(
    top: &Section<'_>,
    profiles: &'p ProfileCatalog,
) -> Option<(ProfileName, Option<&'p Profile>)> {
    let item = top.need("profile", "write profile = \"NAME\", see lockkeeper profile list")?;
    let name = item.name::<ProfileName>()?;
    let profile = profiles.get(&name);
    if profile.is_none() {
        let known: Vec<&str> = profiles.iter().map(|p| p.name.as_str()).collect();
        let mut fault =
            Fault::new(FaultCode::UnknownProfile, format!("there is no profile {:?}", name.as_str()));
        if let Some(word) = closest(name.as_str(), known.iter().copied()) {
            fault.message.push_str(&format!("; did you mean {word:?}?"));
        }
        item.fault(fault.allowed(known.join(", ")).help("see lockkeeper profile list"));
    }
    Some((name, profile))
}
