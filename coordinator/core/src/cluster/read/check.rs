//! Checks of the cluster file as a whole: references, addresses, voters, policies, doors.

use super::{
    Draft,
    values::{Reference, split_address, unknown},
};
use crate::{
    cluster::{Door, Voters, voters::VOTERS_MAX},
    document::Document,
    fault::{Fault, FaultCode},
    ids::{DatabaseName, MemberName},
    profile::{
        Profile,
        model::Eligible,
        template::{Runtime, Slot, Template},
    },
};
use std::{collections::BTreeMap, ops::Range};

pub(super) fn whole(document: &Document<'_>, draft: &Draft, profile: Option<&Profile>) {
    agents(document, draft);
    voters(document, draft);
    policy(document, draft);
    balancers(document, draft);
    databases(document, draft);
    if let Some(profile) = profile {
        upgrader(document, draft, profile);
        credentials(document, draft, profile);
        named_databases(document, draft);
    }
}

fn agents(document: &Document<'_>, draft: &Draft) {
    if draft.members.all.is_empty() && (draft.members.present || !document.failed()) {
        document.push(
            Fault::new(FaultCode::NoMembers, "the cluster has no members")
                .help("add [members.n1] with address = \"HOST:7440\""),
        );
    }
    for (name, agent) in &draft.witnesses.all {
        if draft.members.all.contains_key(name) {
            document.at(
                agent.name_at.clone(),
                Fault::new(FaultCode::DuplicateMember, format!("{name} is a member and a witness"))
                    .help("a member votes already; delete the witness or give it another name"),
            );
        }
    }
    let mut seen: BTreeMap<&str, &MemberName> = BTreeMap::new();
    let mut all: Vec<_> = draft.members.all.iter().chain(&draft.witnesses.all).collect();
    all.sort_by_key(|(_, agent)| agent.address_at.start);
    for (name, agent) in all {
        let address = agent.spec.address.as_str();
        if address.is_empty() {
            continue;
        }
        match seen.get(address) {
            Some(other) if *other != name => document.at(
                agent.address_at.clone(),
                Fault::new(FaultCode::DuplicateAddress, format!("{name} has the address of {other}"))
                    .found("the same address")
                    .help("every agent listens at an address of its own"),
            ),
            Some(_) => {}
            None => {
                seen.insert(address, name);
            }
        }
    }
}

fn known(draft: &Draft) -> Vec<&str> {
    draft.members.all.keys().chain(draft.witnesses.all.keys()).map(MemberName::as_str).collect()
}

fn refers(document: &Document<'_>, kind: &str, known: &[&str], reference: &Reference) {
    if !known.contains(&reference.name.as_str()) {
        document.at(reference.span.clone(), unknown(kind, reference.name.as_str(), known));
    }
}

fn voters(document: &Document<'_>, draft: &Draft) {
    let (voters, at) = &draft.voters;
    let all = known(draft);
    let names: Vec<&MemberName> = match voters {
        Voters::Auto => {
            let count = all.len().min(VOTERS_MAX);
            if count == 2 {
                document.push(
                    Fault::new(FaultCode::OneVoter, "two agents make one voter: its loss stops Lockkeeper")
                        .help("add a witness, for example on the balancer's or the database's host"),
                );
            }
            let odd = if count.is_multiple_of(2) { count.saturating_sub(1) } else { count };
            draft.witnesses.all.keys().chain(draft.members.all.keys()).take(odd).collect()
        }
        Voters::List(names) => {
            for name in names.iter().filter(|name| !all.contains(&name.as_str())) {
                document.at(at.clone(), unknown("member or witness", name.as_str(), &all));
            }
            let mut distinct = names.clone();
            distinct.sort();
            distinct.dedup();
            if distinct.len() != names.len() {
                document.at(at.clone(), Fault::new(FaultCode::DuplicateKey, "a voter is named twice"));
            } else if names.len() > VOTERS_MAX {
                document.at(
                    at.clone(),
                    Fault::new(FaultCode::TooManyVoters, "too many voters")
                        .found(names.len().to_string())
                        .allowed("1, 3 or 5"),
                );
            } else if names.len().is_multiple_of(2) {
                document.at(
                    at.clone(),
                    Fault::new(
                        FaultCode::EvenVoters,
                        "an even number of voters survives no more than one less",
                    )
                    .found(names.len().to_string())
                    .allowed("1, 3 or 5")
                    .help("take one away, or add a witness"),
                );
            }
            names.iter().collect()
        }
    };
    same_host(document, draft, &names);
}

fn same_host(document: &Document<'_>, draft: &Draft, voters: &[&MemberName]) {
    let agent = |name: &MemberName| draft.members.all.get(name).or_else(|| draft.witnesses.all.get(name));
    let mut hosts: BTreeMap<&str, Vec<(&MemberName, Range<usize>)>> = BTreeMap::new();
    for name in voters {
        if let Some(agent) = agent(name)
            && let Some((host, _)) = split_address(&agent.spec.address)
        {
            hosts.entry(host).or_default().push((name, agent.address_at.clone()));
        }
    }
    for (host, mut here) in hosts {
        here.sort_by_key(|(_, span)| span.start);
        if let [_, .., (_, last)] = here.as_slice() {
            let message = format!("{} voters of {} run on one host ({host})", here.len(), voters.len());
            document.at(
                last.clone(),
                Fault::new(FaultCode::VotersShareHost, message)
                    .help("losing that host loses all of them at once"),
            );
        }
    }
}

fn policy(document: &Document<'_>, draft: &Draft) {
    let members = draft.members.all.len();
    let floor = draft.policy.policy.capacity_floor as usize;
    if members > 0 && floor >= members && !draft.policy.capacity_floor_at.is_empty() {
        let (message, found) = if floor > members {
            ("capacity floor is larger than the cluster", format!("{floor}, but there are {members} members"))
        } else {
            ("capacity floor leaves no member to upgrade", format!("{floor} of {members} members"))
        };
        document.at(
            draft.policy.capacity_floor_at.clone(),
            Fault::new(FaultCode::CapacityFloor, message)
                .found(found)
                .allowed(format!("0 to {} with strategy rolling", members.saturating_sub(1)))
                .help("lower the floor or add members"),
        );
    }
    if draft.policy.policy.four_eyes && draft.policy.policy.approvals == 0 {
        document.at(
            draft.policy.four_eyes_at.clone(),
            Fault::new(FaultCode::PolicyConflict, "four eyes without any approval")
                .found("approvals = 0")
                .allowed("approvals = 1 or more")
                .help("ask for an approval, or say four_eyes = false"),
        );
    }
}

fn balancers(document: &Document<'_>, draft: &Draft) {
    let agents = known(draft);
    let members: Vec<&str> = draft.members.all.keys().map(MemberName::as_str).collect();
    for (name, balancer) in &draft.balancers {
        let mut servers: BTreeMap<&str, &MemberName> = BTreeMap::new();
        for (member, server, at) in &balancer.servers {
            refers(document, "member", &members, member);
            if let Some(other) = servers.insert(server, &member.name) {
                document.at(
                    at.clone(),
                    Fault::new(
                        FaultCode::SharedServer,
                        format!("{} and {other} share a server", member.name),
                    )
                    .found(format!("{server:?} is there twice"))
                    .help("draining one member must not drain another"),
                );
            }
        }
        for executor in &balancer.executors {
            refers(document, "member or witness", &agents, executor);
        }
        executors(
            document,
            &balancer.executors,
            &format!("balancer {name}"),
            &balancer.name_at,
            agents.len(),
        );
    }
    if !draft.balancers.is_empty() {
        for (name, agent) in &draft.members.all {
            if !draft.balancers.values().any(|b| b.servers.iter().any(|(m, _, _)| m.name == *name)) {
                document.at(
                    agent.name_at.clone(),
                    Fault::new(FaultCode::NotBalanced, format!("{name} is behind no balancer"))
                        .help("add it to servers of a balancer, unless nobody shall reach it"),
                );
            }
        }
    }
}

fn executors(document: &Document<'_>, named: &[Reference], what: &str, at: &Range<usize>, agents: usize) {
    let mut seen: Vec<&MemberName> = Vec::new();
    for reference in named {
        if seen.contains(&&reference.name) {
            let fault = Fault::new(FaultCode::DuplicateKey, format!("{} is named twice", reference.name));
            document.at(reference.span.clone(), fault.found("a second time").help("name it once"));
        }
        seen.push(&reference.name);
    }
    let one = if named.is_empty() { agents < 2 } else { named.len() < 2 };
    if one {
        document.at(
            at.clone(),
            Fault::new(FaultCode::OneExecutor, format!("one agent alone may act on {what}"))
                .help("name two in executors: if that one is lost, nobody can put it back"),
        );
    }
}

fn databases(document: &Document<'_>, draft: &Draft) {
    let agents = known(draft);
    for (name, database) in &draft.databases {
        for executor in &database.executors {
            refers(document, "member or witness", &agents, executor);
        }
        executors(
            document,
            &database.executors,
            &format!("database {name}"),
            &database.name_at,
            agents.len(),
        );
        let Some(admin) = &database.spec.admin else { continue };
        let shared = |who: &str| {
            Fault::new(FaultCode::SharedLogin, format!("the login {:?} is shared with {who}", admin.user))
                .help("whoever knows that login passes the shut door; give Lockkeeper a login of its own")
        };
        if database.spec.door == Door::Login {
            if admin.user == database.spec.owner {
                document.at(database.admin_at.clone(), shared("the application"));
            }
            if database.spec.infrastructure.iter().any(|i| i.login == admin.user) {
                document.at(database.admin_at.clone(), shared("declared infrastructure"));
            }
            if !database.spec.owner.is_empty()
                && database.spec.infrastructure.iter().any(|i| i.login == database.spec.owner)
            {
                let text = format!("the owner's login {:?} is declared infrastructure", database.spec.owner);
                document.at(
                    database.admin_at.clone(),
                    Fault::new(FaultCode::SharedLogin, text).help(
                        "the application could write through the shut door; give the tool a read-only login",
                    ),
                );
            }
        }
    }
}

fn upgrader(document: &Document<'_>, draft: &Draft, profile: &Profile) {
    if let Eligible::Pinned(role) = &profile.upgrader
        && !draft.members.all.is_empty()
        && !draft.members.all.values().any(|m| m.spec.labels.get("role") == Some(role))
    {
        document.push(
            Fault::new(FaultCode::NoUpgrader, format!("no member has the role {role:?}")).help(format!(
                "the profile upgrades the database there; write labels = {{ role = {role:?} }}"
            )),
        );
    }
}

/// A login door mints a login; without a way to tell the product nobody could use it.
fn credentials(document: &Document<'_>, draft: &Draft, profile: &Profile) {
    let set = |key: &str| {
        draft
            .parameters
            .keys()
            .any(|k| k == key || k.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
            || profile.parameters.get(key).is_some_and(|decl| decl.default.is_some())
    };
    let delivered = profile.credential.iter().any(|alternative| match &alternative.when {
        crate::profile::model::Condition::Always => true,
        crate::profile::model::Condition::Set(key) | crate::profile::model::Condition::Is(key, _) => set(key),
    });
    for (name, database) in &draft.databases {
        if database.spec.door == Door::Login && !delivered {
            document.at(
                database.door_at.clone(),
                Fault::new(
                    FaultCode::CredentialMissing,
                    format!("the door of {name} mints a login, but the upgrade tool is told none"),
                )
                .allowed("a parameter that delivers it, such as upgrade.template or upgrade.environment")
                .help("see lockkeeper profile show; a door on the database's host will need none, in a later version"),
            );
        }
    }
}

fn named_databases(document: &Document<'_>, draft: &Draft) {
    let names: Vec<&str> = draft.databases.keys().map(DatabaseName::as_str).collect();
    for (value, span) in draft.parameters.values() {
        let texts: Vec<&str> = match value {
            crate::cluster::Parameter::Text(text) => vec![text],
            crate::cluster::Parameter::List(texts) => texts.iter().map(String::as_str).collect(),
            crate::cluster::Parameter::Number(_) | crate::cluster::Parameter::Flag(_) => Vec::new(),
        };
        for template in texts.iter().filter_map(|text| Template::parse(text).ok()) {
            for slot in template.slots() {
                if let Slot::Runtime(Runtime::DatabasePath(name)) = slot
                    && !names.contains(&name.as_str())
                {
                    document.at(span.clone(), unknown("database", name, &names));
                }
            }
        }
    }
}
