//! A whole group in one value: applies commands like the log does, plays leader and agents, keeps the log.

use lockkeeper_core::{
    identity::{Actor, Role},
    ids::{ClusterId, ClusterName, Digest, Generation, Incarnation, LogIndex, MemberName, NodeId, RequestId},
    plan::{Action, ActionKind, Plan},
    rollout::{
        Assignment, Command, Envelope, Facts, MemberSight, OutcomeResult, Reply, State, apply,
        assignments_for,
        command::{AttemptRef, Enrol, Verdict},
        next,
    },
    time::{BootTime, LogTime},
};
use std::collections::{BTreeMap, BTreeSet};

/// A group whose log is played by hand.
pub struct Group {
    pub state: State,
    pub log: Vec<(LogIndex, Envelope)>,
    pub clock: u64,
    pub leader: MemberName,
    /// Members whose agents are heard of.
    pub up: BTreeSet<MemberName>,
    pub last_seen: BTreeMap<MemberName, u64>,
    pub leading_since: u64,
    /// What the schema reads when a grant is closed.
    pub left: String,
    requests: u64,
}

pub fn person(name: &str, role: Role) -> Actor {
    Actor { name: name.to_owned(), role, via: "n1".to_owned() }
}

impl Group {
    /// A group with these nodes enrolled, able to do everything, and the cluster file `text` in force.
    pub fn new(text: &str) -> Self {
        let spec = super::cluster(text);
        let names: Vec<MemberName> = spec.members.keys().chain(spec.witnesses.keys()).cloned().collect();
        let mut group = Self {
            state: State::default(),
            log: Vec::new(),
            clock: 1_795_212_000_000,
            leader: names[0].clone(),
            up: names.iter().cloned().collect(),
            last_seen: BTreeMap::new(),
            leading_since: 0,
            left: "26".to_owned(),
            requests: 0,
        };
        let cluster = ClusterId("c-1".into());
        let name = ClusterName::new("library").unwrap();
        group.must(None, Command::Init { cluster, name, generation: Generation(1) });
        let admin = person("ada", Role::Admin);
        for (at, member) in names.iter().enumerate() {
            let token = (at > 0).then(|| Digest::of(member.as_str().as_bytes()));
            if let Some(hash) = token.clone() {
                let expires = LogTime(group.clock + 3_600_000);
                group.must(Some(&admin), Command::TokenCreate { hash, member: member.clone(), expires });
            }
            group.must(
                None,
                Command::Enrol(Enrol {
                    member: member.clone(),
                    node_id: NodeId(at as u64 + 1),
                    incarnation: Incarnation(1),
                    address: format!("10.0.0.{at}:7440"),
                    fingerprint: Digest::of(b"machine"),
                    token,
                }),
            );
            let actions = ActionKind::ALL.into_iter().collect();
            let agent_version = "0.1.0".to_owned();
            group
                .must(None, Command::Announce { member: member.clone(), agent_version, feature: 1, actions });
        }
        let set = Command::SetCluster { text: text.to_owned(), profile: String::new(), spec: Box::new(spec) };
        group.must(Some(&admin), set);
        group
    }

    /// Commits one command and says what applying it answered.
    pub fn commit(&mut self, actor: Option<&Actor>, command: Command) -> Reply {
        self.requests += 1;
        self.commit_as(&format!("r{}", self.requests), actor, command)
    }

    pub fn commit_as(&mut self, id: &str, actor: Option<&Actor>, command: Command) -> Reply {
        let index = LogIndex(self.state.applied.0 + 1);
        let envelope = Envelope {
            id: RequestId(id.to_owned()),
            time: LogTime(self.clock),
            actor: actor.cloned(),
            trace: String::new(),
            command,
        };
        let reply = apply(&mut self.state, index, &envelope);
        self.log.push((index, envelope));
        reply
    }

    /// Commits a command that must take effect.
    pub fn must(&mut self, actor: Option<&Actor>, command: Command) {
        let kind = command.kind();
        match self.commit(actor, command) {
            Reply::Applied { .. } => {}
            Reply::Rejected(rejection) => panic!("{kind:?}: {rejection}"),
        }
    }

    /// The plan for the cluster file in force, approved by one and started by another person.
    pub fn plan(&self, to: &str) -> Plan {
        self.plan_by(lockkeeper_core::plan::Strategy::Offline, to)
    }

    /// The same with a strategy.
    pub fn plan_by(&self, strategy: lockkeeper_core::plan::Strategy, to: &str) -> Plan {
        let config = self.state.config.as_ref().expect("a cluster file is in force");
        let observed = super::observed(&config.spec, "20.6.1", "23");
        let catalog = lockkeeper_core::profile::ProfileCatalog::built_in();
        let input = lockkeeper_core::plan::PlanInput {
            cluster_id: &ClusterId("c-1".into()),
            cluster: &config.spec,
            cluster_version: config.version,
            cluster_digest: &config.digest,
            profile: catalog.get(&config.spec.profile).expect("built in"),
            observed: &observed,
            strategy,
            to: &super::version(to),
            parent: None,
            adopt: false,
        };
        match lockkeeper_core::plan::plan(&input) {
            Ok((plan, _)) => plan,
            Err(report) => panic!("{report}"),
        }
    }

    /// A plan made elsewhere, bound to the cluster file in force here.
    pub fn bound_here(&self, mut plan: Plan) -> Plan {
        let config = self.state.config.as_ref().expect("a cluster file is in force");
        (plan.bound.cluster_version, plan.bound.cluster_digest) = (config.version, config.digest.0.clone());
        plan.hash = lockkeeper_core::plan::hash(&plan);
        plan
    }

    pub fn approve_and_start(&mut self, plan: &Plan) {
        let approve = Command::Approve { plan: plan.hash.clone(), reference: "CHG-1".into() };
        self.must(Some(&person("bea", Role::Approver)), approve);
        self.must(Some(&person("ola", Role::Operator)), Command::Apply { plan: Box::new(plan.clone()) });
    }

    pub fn facts(&mut self) -> Facts {
        for member in &self.up {
            self.last_seen.insert(member.clone(), self.clock);
        }
        Facts {
            now: BootTime(self.clock),
            me: self.leader.clone(),
            leading_since: BootTime(self.leading_since),
            members: self
                .last_seen
                .iter()
                .map(|(m, at)| (m.clone(), MemberSight { last_seen: Some(BootTime(*at)) }))
                .collect(),
            assigned: BTreeMap::new(),
            bound_differs: None,
        }
    }

    /// One turn of the leader loop; answers what it proposed.
    pub fn lead(&mut self) -> Vec<(Command, Reply)> {
        let facts = self.facts();
        let commands = next(&self.state, &facts);
        commands.into_iter().map(|c| (c.clone(), self.commit(None, c))).collect()
    }

    /// Everything agents have to do now.
    pub fn assignments(&self) -> Vec<Assignment> {
        self.up.iter().flat_map(|m| assignments_for(&self.state, m)).collect()
    }

    /// The agent does it well: intent first where something is owed, then the outcome.
    pub fn finish(&mut self, assignment: &Assignment) {
        if !assignment.wanted {
            self.outcome(&assignment.attempt, OutcomeResult::Dropped);
            return;
        }
        if assignment.step.owes.is_some() {
            let captured = original(&assignment.step.action).to_owned();
            self.commit(None, Command::OwedIntent { attempt: assignment.attempt.clone(), captured });
        }
        let mut result = good(assignment);
        if let (Action::CloseGrant(a), OutcomeResult::Done { outputs, .. }) =
            (&assignment.step.action, &mut result)
        {
            outputs.insert(format!("judge.{}", a.database), self.left.clone());
        }
        self.outcome(&assignment.attempt, result);
    }

    pub fn outcome(&mut self, attempt: &AttemptRef, result: OutcomeResult) -> Reply {
        self.commit(None, Command::Outcome { attempt: attempt.clone(), result })
    }
}

/// Rows the new version wrote, as the count before a restore says.
pub const LOSS: u64 = 17;

/// What a setting was before anybody touched it.
pub fn original(action: &Action) -> &'static str {
    match action.kind() {
        ActionKind::Drain => "ready",
        ActionKind::StopService => "running",
        _ => "open",
    }
}

pub fn good(assignment: &Assignment) -> OutcomeResult {
    let mut outputs = BTreeMap::new();
    if let Action::CloseGrant(a) = &assignment.step.action {
        outputs.insert(format!("judge.{}", a.database), "26".to_owned());
    }
    if let Action::ProveNoWriters(a) = &assignment.step.action
        && assignment.plan.restore.iter().any(|s| s.id == assignment.step.id)
    {
        outputs.insert(format!("loss.{}", a.database), LOSS.to_string());
    }
    OutcomeResult::Done {
        evidence: format!("{} seen", assignment.step.action.kind()),
        outputs,
        read_back: assignment.captured.clone().filter(|_| assignment.step.settles.is_some()),
        action_ms: None,
    }
}

pub fn bad(verdict: Option<Verdict>) -> OutcomeResult {
    OutcomeResult::Failed { code: "LK5001".into(), text: "it did not work".into(), verdict }
}
