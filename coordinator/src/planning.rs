//! What plans rest on: agents are asked to look at their hosts, and what they saw is put into the planner's words.
//!
//! Decides nothing: the planner does, and it is pure.

use crate::{api::Api, limits, preflight, sight::Sightings};
use futures::future::join_all;
use lockkeeper_core::{
    cluster::{BalancerSpec, ClusterSpec, DatabaseSpec},
    fault::Report,
    ids::{BalancerName, DatabaseName, Digest, MemberName, PlanHash},
    lint::lint,
    observe::{DatabaseQuery, FactsQuery, ForeignLocks, HostFacts},
    plan::{self, Observed, ObservedDatabase, ObservedMember, Plan, PlanInput, PlanReport, Strategy},
    profile::{Profile, ProfileCatalog},
    rollout::{
        State,
        state::{Config, Group},
    },
    time::LogTime,
    version::Version,
};
use lockkeeper_proto::{
    client::group::GroupClient,
    transport::ExpectedPeer,
};
use std::collections::BTreeMap;

/// What one agent said, or why nothing.
pub type Looks = BTreeMap<MemberName, Result<HostFacts, String>>;

/// The catalog with the profile that the cluster file in force brought along.
pub fn catalog(config: &Config) -> ProfileCatalog {
    let mut catalog = ProfileCatalog::built_in();
    if !config.profile.is_empty()
        && let Err(report) = catalog.add("profile", &config.profile)
    {
        // It was read when it was put into force; a build that cannot read it any more has no such profile.
        tracing::warn!(faults = %report.text(), "the profile in force does not read");
    }
    catalog
}

/// Asks every enrolled agent to look, all at once. `to` is the wished version, if one is wished.
pub async fn look(api: &Api, state: &State, config: &Config, profile: &Profile, to: Option<&Version>) -> Looks {
    asked(api, state, |member| query(&config.spec, profile, member, to)).await
}

/// Asks every enrolled agent to look, and to try by harmless real acts what it would have to do; while a rollout is
/// under way only to look, for the acts of two would meet.
pub async fn try_out(api: &Api, state: &State, config: &Config, profile: &Profile) -> Looks {
    asked(api, state, |member| {
        let prove = state.rollout.is_none().then(|| balancers_of(&config.spec, member));
        Ok(FactsQuery { prove, locks: true, ..query(&config.spec, profile, member, None)? })
    })
    .await
}

/// Asks every enrolled agent for all that a diagnosis wants; without a cluster file for its machine alone.
pub async fn examine(api: &Api, state: &State) -> Looks {
    let config = state.config.as_deref();
    let catalog = config.map(catalog);
    let profile = config.zip(catalog.as_ref()).and_then(|(config, catalog)| catalog.get(&config.spec.profile));
    asked(api, state, |member| {
        let mut asked = FactsQuery::default();
        if let Some((config, profile)) = config.zip(profile) {
            asked = query(&config.spec, profile, member, None)?;
            asked.balancers = balancers_of(&config.spec, member);
        }
        Ok(FactsQuery { locks: true, machine: true, ..asked })
    })
    .await
}

/// Other tools' locks by database: this agent looks, and the others where it may not or could not.
pub async fn foreign_locks(api: &Api, state: &State) -> BTreeMap<DatabaseName, Result<ForeignLocks, String>> {
    let Some(config) = state.config.as_deref() else { return BTreeMap::new() };
    let catalog = catalog(config);
    let Some(profile) = catalog.get(&config.spec.profile) else {
        let why = format!("this build has no profile {}", config.spec.profile);
        return config.spec.databases.keys().map(|name| (name.clone(), Err(why.clone()))).collect();
    };
    let wanted = |member: &MemberName| {
        let asked = query(&config.spec, profile, member, None)?;
        Ok(FactsQuery { version: None, locks: true, ..asked })
    };
    let mut looks = asked_of(api, state, |member| *member == api.me, wanted).await;
    let told = |looks: &Looks, name: &DatabaseName| preflight::foreign_locks(looks, name).map(|seen| seen.cloned().map_err(str::to_owned));
    if config.spec.databases.keys().any(|name| !matches!(told(&looks, name), Some(Ok(_)))) {
        looks.extend(asked_of(api, state, |member| *member != api.me, wanted).await);
    }
    let nobody = || Err("no agent that answers may look at it".to_owned());
    config.spec.databases.keys().map(|name| (name.clone(), told(&looks, name).unwrap_or_else(nobody))).collect()
}

async fn asked(api: &Api, state: &State, query: impl Fn(&MemberName) -> Result<FactsQuery, String>) -> Looks {
    asked_of(api, state, |_| true, query).await
}

async fn asked_of(
    api: &Api,
    state: &State,
    whom: impl Fn(&MemberName) -> bool,
    query: impl Fn(&MemberName) -> Result<FactsQuery, String>,
) -> Looks {
    let query = &query;
    let nodes: Vec<_> = state.nodes.iter().filter(|(member, _)| whom(member)).collect();
    let asks = nodes.iter().map(|(member, node)| async move {
        let (member, node) = (*member, *node);
        let query = query(member)?;
        if *member == api.me {
            return Ok(api.observer.observe(&query).await);
        }
        let channel = api.dialer.channel(&node.address, ExpectedPeer::Member(member.clone()));
        let client = GroupClient::new(channel, limits::MESSAGE_MAX);
        client.observe(&query).await.map(|(facts, _)| facts).map_err(|status| status.message().to_owned())
    });
    let answers = join_all(asks).await;
    nodes.iter().map(|(member, _)| (*member).clone()).zip(answers).collect()
}

/// What the boot guard of one member's host asks: the version that is about to start, and every database.
pub fn before_start(config: &Config, member: &MemberName) -> Result<FactsQuery, String> {
    let catalog = catalog(config);
    let spec = &config.spec;
    let profile = catalog.get(&spec.profile).ok_or_else(|| format!("this build has no profile {}", spec.profile))?;
    if !spec.members.contains_key(member) {
        return Ok(FactsQuery::default());
    }
    let version = profile.version_query(spec, member).map_err(|e| e.to_string())?;
    let databases = databases(spec, profile, |_| true)?;
    Ok(FactsQuery { version: Some(version), databases, ..FactsQuery::default() })
}

/// What one agent is asked.
fn query(
    spec: &ClusterSpec,
    profile: &Profile,
    member: &MemberName,
    to: Option<&Version>,
) -> Result<FactsQuery, String> {
    let mut query = FactsQuery::default();
    if spec.members.contains_key(member) {
        query.version = Some(profile.version_query(spec, member).map_err(|e| e.to_string())?);
        if let Some(to) = to {
            query.release = profile.release_directory(spec, member, to).map_err(|e| e.to_string())?;
        }
    }
    if to.is_some() {
        query.balancers = balancers_of(spec, member);
    }
    query.databases = databases(spec, profile, |database| may_act(&database.executors, member))?;
    Ok(query)
}

/// Whether an agent may look at a database or act on a balancer: one of its executors, else anybody.
fn may_act(executors: &[MemberName], member: &MemberName) -> bool {
    executors.is_empty() || executors.contains(member)
}

/// The balancers this agent may act on.
fn balancers_of(spec: &ClusterSpec, member: &MemberName) -> BTreeMap<BalancerName, BalancerSpec> {
    let mine = spec.balancers.iter().filter(|(_, balancer)| may_act(&balancer.executors, member));
    mine.map(|(name, balancer)| (name.clone(), balancer.clone())).collect()
}

/// How the wanted databases are looked at.
fn databases(
    spec: &ClusterSpec,
    profile: &Profile,
    wanted: impl Fn(&DatabaseSpec) -> bool,
) -> Result<BTreeMap<DatabaseName, DatabaseQuery>, String> {
    let wanted = spec.databases.iter().filter(|(_, database)| wanted(database));
    wanted
        .map(|(name, database)| {
            let schema = profile.schema_query(spec, name).map_err(|e| e.to_string())?;
            Ok((name.clone(), DatabaseQuery { spec: database.clone(), schema }))
        })
        .collect()
}

/// What plan is wished.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// How members pass.
    pub strategy: Strategy,
    /// The version all members shall have.
    pub to: &'a Version,
    /// The plan that this one amends.
    pub parent: Option<&'a PlanHash>,
    /// Whether to take over what somebody began by hand.
    pub adopt: bool,
}

impl<'a> Wish<'a> {
    /// An ordinary plan.
    pub const fn new(to: &'a Version) -> Self {
        Self { strategy: Strategy::Offline, to, parent: None, adopt: false }
    }
}

/// A plan from what was observed that the linter has nothing against, or what stands in its way.
pub fn made(
    group: &Group,
    config: &Config,
    profile: &Profile,
    observed: &Observed,
    wish: &Wish<'_>,
) -> Result<(Plan, PlanReport), Report> {
    let input = PlanInput {
        cluster_id: &group.cluster,
        cluster: &config.spec,
        cluster_version: config.version,
        cluster_digest: &config.digest,
        profile,
        observed,
        strategy: wish.strategy,
        to: wish.to,
        parent: wish.parent,
        adopt: wish.adopt,
    };
    let (plan, report) = plan::plan(&input)?;
    let linted = lint(&plan);
    if linted.errors() > 0 { Err(linted) } else { Ok((plan, report)) }
}

/// What was seen, in the planner's words, and what could not be seen, for people.
pub fn observed(state: &State, looks: &Looks, at: LogTime) -> (Observed, Vec<String>) {
    let mut observed = Observed { at, ..Observed::default() };
    let mut notes = Vec::new();
    let mut databases: BTreeMap<DatabaseName, Result<ObservedDatabase, String>> = BTreeMap::new();
    for (member, node) in &state.nodes {
        let mut seen = ObservedMember {
            incarnation: node.incarnation,
            actions: node.actions.clone(),
            ..ObservedMember::default()
        };
        match looks.get(member) {
            Some(Ok(facts)) => {
                seen.reachable = true;
                seen.version = version(member, facts, &mut notes);
                seen.release = match &facts.release {
                    Some(Ok(tree)) => Some(Digest(tree.clone())),
                    Some(Err(_)) | None => None,
                };
                for (name, servers) in &facts.balancers {
                    match servers {
                        Ok(servers) => drop(observed.balancers.insert(name.clone(), servers.clone())),
                        Err(why) => notes.push(format!("{member} could not ask the balancer {name}: {why}")),
                    }
                }
                for (name, found) in &facts.databases {
                    let found = found.clone().map(|f| ObservedDatabase { identity: f.identity, schema: f.schema });
                    // One good look is enough; of bad ones the first is told.
                    match databases.get(name) {
                        Some(Ok(_)) => {}
                        Some(Err(_)) if found.is_err() => {}
                        Some(Err(_)) | None => drop(databases.insert(name.clone(), found)),
                    }
                }
            }
            Some(Err(why)) => notes.push(format!("{member} did not answer: {why}")),
            None => notes.push(format!("{member} was not asked")),
        }
        observed.members.insert(member.clone(), seen);
    }
    for (name, found) in databases {
        match found {
            Ok(found) => drop(observed.databases.insert(name, found)),
            Err(why) => notes.push(format!("{name} could not be looked at: {why}")),
        }
    }
    (observed, notes)
}

fn version(member: &MemberName, facts: &HostFacts, notes: &mut Vec<String>) -> Option<Version> {
    match facts.version.as_ref()? {
        Ok(text) => match Version::new(text.clone()) {
            Ok(version) => Some(version),
            Err(error) => {
                notes.push(format!("{member}: {error}"));
                None
            }
        },
        Err(why) => {
            notes.push(format!("{member}: its version could not be read: {why}"));
            None
        }
    }
}

/// How what is observed now differs from what the plan is bound to, if it does. What was not observed lately is not
/// a difference: the steps' own checks look at it again.
pub fn bound_difference(plan: &Plan, sightings: &Sightings) -> Option<String> {
    plan.bound.members.iter().find_map(|(member, bound)| {
        let facts: HostFacts = serde_json::from_str(&sightings.of(member)?.facts_json).ok()?;
        let found = facts.version?.ok()?;
        (found != bound.version.as_str()).then(|| format!("{member} has version {found}, not {}", bound.version))
    })
}
