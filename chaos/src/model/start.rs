//! Where the search starts: a made group with an approved plan that was just begun.

use crate::{
    cluster::{Shape, target},
    found,
    sim::clock::EPOCH_MS,
    world::{OLD, Tool},
};
use lockkeeper_coordinator::planning::{self, Looks, Wish};
use lockkeeper_core::{
    cluster::read_cluster,
    identity::{Actor, Role},
    ids::{DatabaseName, LogIndex, MemberName, RequestId},
    observe::{DatabaseFacts, HostFacts},
    plan::ActionKind,
    profile::ProfileCatalog,
    rollout::{Command, Envelope, Reply, State, apply},
    stored,
    time::LogTime,
    version::Version,
};

/// Who is behind a command of a person.
pub fn person(name: &str, role: Role) -> Option<Actor> {
    Some(Actor { name: name.into(), role, via: "n1".into() })
}

/// Commits a command at the next index.
pub fn commit(state: &mut State, actor: Option<Actor>, command: Command) -> Reply {
    let index = LogIndex(state.applied.0 + 1);
    let id = RequestId(format!("model/{index}"));
    let envelope = Envelope { id, time: LogTime(EPOCH_MS + index.0), actor, trace: String::new(), command };
    let reply = apply(state, index, &envelope);
    // Neither decides anything, and both would make every node bigger than the one before.
    state.requests.clear();
    if let Some(rollout) = &mut state.rollout {
        rollout.events.clear();
    }
    reply
}

/// Members and the state, or why there is none.
pub fn start() -> Result<(Vec<MemberName>, State), String> {
    let shape = Shape { witness: true, lost_after: 3, max_failures: 0, tool: Tool::Resumes };
    let cluster = shape.cluster();
    let mut state = State::default();
    for entry in found::entries(&cluster, EPOCH_MS) {
        let envelope = stored::decode_envelope(&entry).map_err(|error| error.to_string())?;
        let index = LogIndex(state.applied.0 + 1);
        let _made = apply(&mut state, index, &envelope);
    }
    let mut looks = Looks::new();
    for member in cluster.agents() {
        let command = Command::Announce {
            member: member.clone(),
            agent_version: "model".into(),
            feature: 1,
            actions: ActionKind::ALL.into_iter().collect(),
        };
        commit(&mut state, None, command);
        let database = DatabaseFacts { identity: "7438/main".into(), schema: OLD.1.to_string() };
        let version = cluster.members.contains(member).then(|| Ok(OLD.0.to_owned()));
        let name = DatabaseName::new("main").map_err(|error| error.to_string())?;
        let facts = HostFacts { version, databases: [(name, Ok(database))].into(), ..HostFacts::default() };
        looks.insert(member.clone(), Ok(facts));
    }
    let read = read_cluster("cluster.toml", &cluster.text, &ProfileCatalog::built_in());
    let (spec, _) = read.map_err(|report| report.text())?;
    let text = cluster.text.clone();
    let set = Command::SetCluster { text, profile: String::new(), spec: Box::new(spec) };
    commit(&mut state, person("ada", Role::Admin), set);
    let (observed, _) = planning::observed(&state, &looks, LogTime(EPOCH_MS));
    let (Some(group), Some(config)) = (&state.group, &state.config) else { return Err("no group".into()) };
    let catalog = planning::catalog(config);
    let profile = catalog.get(&config.spec.profile).ok_or("no profile")?;
    let to = Version::new(target().to_owned()).map_err(|error| error.to_string())?;
    let made = planning::made(group, config, profile, &observed, &Wish::new(&to));
    let (plan, _) = made.map_err(|report| report.text())?;
    let approve = Command::Approve { plan: plan.hash.clone(), reference: "CHG-1".into() };
    commit(&mut state, person("ada", Role::Admin), approve);
    match commit(&mut state, person("ola", Role::Operator), Command::Apply { plan: Box::new(plan) }) {
        Reply::Applied { .. } => Ok((cluster.members, state)),
        Reply::Rejected(rejection) => Err(rejection.to_string()),
    }
}
