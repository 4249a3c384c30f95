use super::*;
use crate::planning::Looks;
use lockkeeper_core::{
    cluster::read_cluster,
    ids::{ClusterId, ClusterName, Digest, Generation, Incarnation, LogIndex, NodeId},
    observe::{ForeignLock, ForeignLocks, HostFacts, Life, MachineFacts, Room, Tool, Writer},
    profile::ProfileCatalog,
    rollout::state::{Config, Group, Node},
};
use std::sync::Arc;

const NOW: u64 = 1_795_270_449_000;

fn name(text: &str) -> MemberName {
    MemberName::new(text).unwrap()
}

/// The sample cluster, everybody enrolled.
fn state() -> State {
    let text = include_str!("../../../deploy/sample/cluster.toml");
    let (spec, _) = read_cluster("cluster.toml", text, &ProfileCatalog::built_in()).unwrap();
    let nodes = spec.members.iter().chain(&spec.witnesses).zip(1..);
    let node = |address: &str, id| Node {
        id: NodeId(id),
        incarnation: Incarnation(1),
        address: address.to_owned(),
        fingerprint: Digest(String::new()),
        agent_version: "0.1.0".into(),
        feature: 2,
        actions: BTreeSet::new(),
        at: LogTime(1),
    };
    State {
        group: Some(Group {
            cluster: ClusterId("c-1".into()),
            name: ClusterName::new("library").unwrap(),
            generation: Generation(1),
        }),
        nodes: nodes.map(|((name, spec), id)| (name.clone(), node(&spec.address, id))).collect(),
        config: Some(Arc::new(Config {
            version: 1,
            digest: Digest(String::new()),
            text: text.to_owned(),
            profile: String::new(),
            spec,
            at: LogTime(1),
        })),
        ..State::default()
    }
}

/// What a healthy host answers.
fn well(state: &State) -> HostFacts {
    let spec = &state.config.as_ref().unwrap().spec;
    let database = lockkeeper_core::observe::DatabaseFacts { identity: "7/1".into(), schema: "23".into() };
    HostFacts {
        version: Some(Ok("20.6.1".into())),
        databases: spec.databases.keys().map(|name| (name.clone(), Ok(database.clone()))).collect(),
        locks: spec.databases.keys().map(|name| (name.clone(), Ok(ForeignLocks::default()))).collect(),
        balancers: spec
            .balancers
            .iter()
            .map(|(name, b)| {
                (name.clone(), Ok(b.servers.keys().map(|m| (m.clone(), "ready".to_owned())).collect()))
            })
            .collect(),
        machine: Some(MachineFacts {
            wall_ms: NOW + 200,
            weak: None,
            rooms: vec![Ok(Room {
                directory: "/var/lib/lockkeeper".into(),
                free: 50 << 30,
                size: 100 << 30,
            })],
        }),
        ..HostFacts::default()
    }
}

fn all_well(state: &State) -> Looks {
    state.nodes.keys().map(|name| (name.clone(), Ok(well(state)))).collect()
}

fn seen(state: &State, looks: &Looks, stale: bool) -> DoctorView {
    let stamp = Stamp { source: "n1".into(), as_of: NOW, applied: LogIndex(7), leader: None, term: 1, stale };
    let voters: Vec<MemberName> = state.nodes.keys().take(3).cloned().collect();
    diagnose(Seen { state, stamp, voters: &voters, looks, asked: (LogTime(NOW), LogTime(NOW + 500)) })
}

/// What is told beyond a healthy cluster, as (subject, verdict, code).
fn told(state: &State, looks: &Looks) -> Vec<(String, FindingVerdict, String)> {
    seen(state, looks, false).findings.into_iter().map(|f| (f.subject, f.verdict, f.code)).collect()
}

/// One host's answer changed.
fn but(looks: &Looks, who: &str, change: impl FnOnce(&mut HostFacts)) -> Looks {
    let mut looks = looks.clone();
    change(looks.get_mut(&name(who)).unwrap().as_mut().unwrap());
    looks
}

#[test]
fn a_healthy_cluster_has_no_findings_and_what_never_reported_is_unseen() {
    let state = state();
    let view = seen(&state, &all_well(&state), false);
    assert_eq!(view.findings, []);
    assert_eq!(view.unseen.len(), state.nodes.len(), "{:?}", view.unseen);
    assert!(view.unseen.iter().all(|why| why.contains("certificate")), "{:?}", view.unseen);
}

#[test]
fn each_thing_that_is_wrong_is_one_finding_with_its_remedy() {
    use FindingVerdict::{Blocked, Warning};
    let state = state();
    let spec = &state.config.as_ref().unwrap().spec;
    let well = all_well(&state);
    let (database, _) = spec.databases.first_key_value().unwrap();
    let (balancer, _) = spec.balancers.first_key_value().unwrap();
    let lock = |life| ForeignLock {
        tool: Tool::Alfresco,
        lock: "table public.alf_bootstrap_lock".into(),
        holder: String::new(),
        since: String::new(),
        life,
        proof: "so".into(),
        next: "do".into(),
        sql: vec!["SELECT 1;".into()],
    };
    let everywhere = |seen: &ForeignLocks| {
        let mut looks = well.clone();
        for facts in looks.values_mut().flatten() {
            facts.locks = [(database.clone(), Ok(seen.clone()))].into();
        }
        looks
    };
    let locked = |life| everywhere(&ForeignLocks { locks: vec![lock(life)], ..ForeignLocks::default() });
    let writer = |address: &str| Writer {
        address: address.into(),
        login: "app".into(),
        program: "java".into(),
        since: "today".into(),
    };
    let member = spec.members.values().next().unwrap().address.split(':').next().unwrap().to_owned();
    let written = |address: &str| {
        everywhere(&ForeignLocks { writers: vec![writer(address)], ..ForeignLocks::default() })
    };
    let room = |free| {
        move |facts: &mut HostFacts| {
            facts.machine.as_mut().unwrap().rooms =
                vec![Ok(Room { directory: "/x".into(), free, size: 100 << 30 }); 2];
        }
    };
    let clock = |wall_ms| move |facts: &mut HostFacts| facts.machine.as_mut().unwrap().wall_ms = wall_ms;
    let everyone_sees = |state: &str| {
        let mut looks = well.clone();
        for facts in looks.values_mut().flatten() {
            facts.balancers.get_mut(balancer).unwrap().as_mut().unwrap().insert(name("n2"), state.to_owned());
        }
        looks
    };
    for (looks, subject, verdict, code) in [
        (but(&well, "n2", clock(NOW - 3_000)), "n2", Warning, "clock-skew"),
        (but(&well, "n2", clock(NOW + 3_000)), "n2", Warning, "clock-skew"),
        (but(&well, "n2", room(500 << 20)), "n2", Warning, "disk-low"),
        (but(&well, "n2", room(1 << 20)), "n2", Blocked, "disk-low"),
        (
            but(&well, "n2", |f| f.machine.as_mut().unwrap().weak = Some("LK6216: weak".into())),
            "n2",
            Warning,
            "LK6216",
        ),
        (locked(Life::Unknown), database.as_str(), Blocked, "foreign-lock"),
        (locked(Life::Dead), database.as_str(), Warning, "foreign-lock"),
        (written("192.0.2.7"), database.as_str(), Warning, "LK5202"),
        (everyone_sees("maint"), "n2", Warning, "left-out"),
    ] {
        assert_eq!(told(&state, &looks), [(subject.to_owned(), verdict, code.to_owned())]);
        let view = seen(&state, &looks, false);
        assert!(view.findings.iter().all(|f| !f.remedy.is_empty()), "{view:?}");
    }
    // Within the time of the question, a clock is right; a member's own sessions and local ones are no strangers.
    for good in
        [but(&well, "n2", clock(NOW + 2_400)), written(&member), written("local"), everyone_sees("ready")]
    {
        assert_eq!(told(&state, &good), []);
    }
}

#[test]
fn silent_voters_are_counted_and_without_quorum_that_comes_first() {
    let state = state();
    let mut looks = all_well(&state);
    looks.insert(name("n2"), Err("cannot be reached".into()));
    let view = seen(&state, &looks, false);
    let told: Vec<_> = view.findings.iter().map(|f| (f.subject.as_str(), f.verdict)).collect();
    let votes = state.nodes.keys().take(3).any(|voter| *voter == name("n2"));
    assert_eq!(
        told,
        [("n2", FindingVerdict::Blocked)]
            .into_iter()
            .chain(votes.then_some(("group", FindingVerdict::Warning)))
            .collect::<Vec<_>>()
    );
    assert!(view.unseen.iter().any(|why| why.starts_with("n2: clock")), "{:?}", view.unseen);
    let only = looks.keys().next().unwrap().clone();
    for (who, look) in &mut looks {
        if *who != only {
            *look = Err("LK4001: cannot be reached".into());
        }
    }
    let view = seen(&state, &looks, true);
    assert!(
        view.findings
            .iter()
            .any(|f| f.subject == "group" && f.code == "LK3101" && f.text.contains("1 of 3 voters")),
        "{view:?}"
    );
    assert!(view.findings.iter().any(|f| f.code == "LK4001"), "{view:?}");
    assert!(view.findings.iter().all(|f| !f.remedy.is_empty()), "{view:?}");
}

/// As from one data directory: nothing is called wrong that nobody looked at.
#[test]
fn without_any_look_everything_is_unseen_and_nothing_is_wrong() {
    let state = state();
    let view = seen(&state, &Looks::new(), true);
    assert_eq!(view.findings, []);
    for what in ["group: ", "database ", "balancer ", "n1: its agent was not asked"] {
        assert!(view.unseen.iter().any(|why| why.starts_with(what)), "{what} is not in {:?}", view.unseen);
    }
    let view = seen(&State::default(), &Looks::new(), true);
    assert!(view.findings.iter().any(|f| f.code == "LK3001"), "{view:?}");
}
