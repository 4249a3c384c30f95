//! A group of one: the real replicated state and the real leader's `next`, without a network. Other members do what
//! they are told at once.

use super::{
    crash::Crash,
    host::World,
    plan::{Role, sample},
};
use async_trait::async_trait;
use lockkeeper_core::{
    cluster::ClusterSpec,
    identity::{Actor, Role as Right},
    ids::{
        ActorName, ClusterId, ClusterName, Digest, Generation, Incarnation, LogIndex, MemberName, NodeId,
        RequestId,
    },
    plan::{ActionKind, Plan},
    rollout::{
        Assignment, Command, Envelope, Facts, MemberSight, OutcomeResult, Reply, State, Status, StepPhase,
        apply, assignments_for, command::Enrol, next,
    },
    time::{BootTime, LogTime},
};
use lockkeeper_proto::port::{Group, GroupError, Proposal, View};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::sync::watch;

/// The agent under test.
pub fn me() -> MemberName {
    MemberName::new("n1").unwrap()
}

/// The log's outcome so far. Copied at a crash.
#[derive(Debug, Clone, Default)]
pub struct Log {
    pub state: State,
    /// Codes of failed attempts of the agent under test.
    pub failures: Vec<String>,
    /// Times a person was asked to retry.
    pub retries: u32,
    /// Intents and outcomes of the agent under test that changed nothing.
    pub rejected: u32,
}

impl Log {
    /// A group whose rollout has just been started.
    pub fn begun(role: Role) -> Self {
        let (text, spec, plan) = sample(role);
        let mut log = Self::default();
        log.found(text, spec, plan);
        log
    }

    fn found(&mut self, text: String, spec: ClusterSpec, plan: Plan) {
        let names: Vec<MemberName> = spec.members.keys().chain(spec.witnesses.keys()).cloned().collect();
        self.must(Command::Init {
            cluster: ClusterId("c-1".into()),
            name: ClusterName::new("library").unwrap(),
            generation: Generation(1),
        });
        for (n, member) in names.into_iter().enumerate() {
            let number = u64::try_from(n).unwrap() + 1;
            if n > 0 {
                let hash = Digest(format!("token-{n}"));
                self.must(Command::TokenCreate { hash, member: member.clone(), expires: LogTime(u64::MAX) });
            }
            self.must(Command::Enrol(Enrol {
                member: member.clone(),
                node_id: NodeId(number),
                incarnation: Incarnation(1),
                address: format!("10.77.0.{number}:7440"),
                fingerprint: Digest(format!("print-{n}")),
                token: (n > 0).then(|| Digest(format!("token-{n}"))),
            }));
            self.must(Command::Announce {
                member,
                agent_version: "test".into(),
                feature: 1,
                actions: ActionKind::ALL.into_iter().collect(),
            });
        }
        self.must(Command::SetCluster { text, profile: String::new(), spec: Box::new(spec) });
        self.must(Command::Apply { plan: Box::new(plan) });
    }

    fn must(&mut self, command: Command) {
        let reply = self.commit(command.clone());
        assert!(matches!(reply, Reply::Applied { .. }), "{command:?}: {reply:?}");
    }

    /// Commits one command by the operator or an agent.
    pub fn commit(&mut self, command: Command) -> Reply {
        let index = LogIndex(self.state.applied.0 + 1);
        let id = RequestId(format!("r-{}", index.0));
        let actor = Some(Actor {
            name: ActorName::new("ann").unwrap().to_string(),
            role: Right::Admin,
            via: "n2".into(),
        });
        apply(
            &mut self.state,
            index,
            &Envelope { id, time: LogTime(1), actor, trace: String::new(), command },
        )
    }

    /// The leader's work, the other members' work, and a person who retries what failed.
    pub fn drive(&mut self, world: &World) {
        while self.drive_once(world) {}
    }

    fn drive_once(&mut self, world: &World) -> bool {
        let mut moved = false;
        let sight = MemberSight { last_seen: Some(BootTime(0)) };
        let facts = Facts {
            now: BootTime(0),
            me: MemberName::new("db1").unwrap(),
            leading_since: BootTime(0),
            members: self.state.nodes.keys().map(|name| (name.clone(), sight)).collect(),
            assigned: BTreeMap::new(),
            bound_differs: None,
        };
        for command in next(&self.state, &facts) {
            moved |= matches!(self.commit(command), Reply::Applied { .. });
        }
        let names: Vec<MemberName> = self.state.nodes.keys().filter(|name| **name != me()).cloned().collect();
        for name in names {
            for assignment in assignments_for(&self.state, &name) {
                self.obey(assignment, world);
                moved = true;
            }
        }
        moved || self.retry()
    }

    fn obey(&mut self, assignment: Assignment, world: &World) {
        if assignment.step.owes.is_some() {
            let captured = World::ORIGINAL.to_owned();
            self.must(Command::OwedIntent { attempt: assignment.attempt.clone(), captured });
        }
        let mut outputs = BTreeMap::new();
        if assignment.step.action.kind() == ActionKind::CloseGrant {
            outputs.insert("judge.main".to_owned(), world.schema().to_owned());
        }
        let read_back = assignment.captured.clone();
        let result = OutcomeResult::Done { evidence: "told".into(), outputs, read_back, action_ms: None };
        self.must(Command::Outcome { attempt: assignment.attempt, result });
    }

    fn retry(&mut self) -> bool {
        let Some(rollout) = &self.state.rollout else { return false };
        let halted = matches!(rollout.status, Status::Halted { .. });
        let closing =
            rollout.grants.values().any(|g| g.state != lockkeeper_core::rollout::state::GrantState::Closed);
        let failed = rollout
            .steps
            .iter()
            .find(|(_, r)| matches!(r.phase, StepPhase::Failed { .. }))
            .map(|(id, _)| *id);
        match failed {
            Some(step) if halted && !closing && self.retries < 20 => {
                self.retries += 1;
                matches!(self.commit(Command::Retry { step }), Reply::Applied { .. })
            }
            Some(_) | None => false,
        }
    }
}

/// How the group misbehaves.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// Views stay as they were; only a read tells the truth.
    pub frozen: bool,
    /// Milliseconds the next reads take, in order; then none.
    pub slow_reads: Vec<u64>,
    /// The leader does nothing more.
    pub idle: bool,
}

/// The group port over a log.
pub struct FakeGroup {
    pub log: Arc<Mutex<Log>>,
    pub world: Arc<Mutex<World>>,
    pub crash: Crash,
    behaviour: Mutex<Behaviour>,
    views: watch::Sender<Arc<View>>,
}

impl FakeGroup {
    pub fn new(
        log: Arc<Mutex<Log>>,
        heard: &Log,
        world: Arc<Mutex<World>>,
        crash: Crash,
        behaviour: Behaviour,
    ) -> Self {
        let view = view(&heard.state);
        Self { log, world, crash, behaviour: Mutex::new(behaviour), views: watch::Sender::new(view) }
    }

    /// Lets the leader work and shows the result.
    pub fn drive(&self) {
        let world = self.world.lock().unwrap().clone();
        let mut log = self.log.lock().unwrap();
        let behaviour = self.behaviour.lock().unwrap();
        if !behaviour.idle {
            log.drive(&world);
        }
        if !behaviour.frozen {
            self.views.send_replace(view(&log.state));
        }
    }
}

fn view(state: &State) -> Arc<View> {
    Arc::new(View {
        state: Arc::new(state.clone()),
        applied: state.applied,
        source: None,
        leader: None,
        term: 1,
        quorum: true,
    })
}

#[async_trait]
impl Group for FakeGroup {
    fn follow(&self) -> watch::Receiver<Arc<View>> {
        self.views.subscribe()
    }

    async fn propose(&self, proposal: Proposal) -> Result<Reply, GroupError> {
        self.crash.point("before a proposal").await;
        let reply = {
            let mut log = self.log.lock().unwrap();
            if let Command::Outcome { result: OutcomeResult::Failed { code, .. }, .. } = &proposal.command {
                log.failures.push(code.clone());
            }
            let reply = log.commit(proposal.command);
            log.rejected += u32::from(matches!(reply, Reply::Rejected(_)));
            reply
        };
        self.drive();
        self.crash.point("after a proposal").await;
        Ok(reply)
    }

    async fn read(&self) -> Result<Arc<View>, GroupError> {
        self.crash.point("before a read").await;
        let delay = {
            let mut behaviour = self.behaviour.lock().unwrap();
            if behaviour.slow_reads.is_empty() { 0 } else { behaviour.slow_reads.remove(0) }
        };
        let view = view(&self.log.lock().unwrap().state);
        if delay > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
        }
        self.crash.point("after a read").await;
        Ok(view)
    }
}
