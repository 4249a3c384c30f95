//! One process of the light tier: the shipped agent and leader loop over a replica that the ether feeds.

use super::{
    consensus::LightConsensus,
    ether::{Ends, Ether},
    group::LightGroup,
    messages::{Ask, Call},
    replica::{self, Replies},
};
use crate::{
    echo::EchoGroup,
    host::FakeHost,
    process::{Process, chain, tell_facts},
    sim::SimDialer,
    watch::Seen,
};
use lockkeeper_agent::host::Host as _;
use lockkeeper_agent::{
    journal::{Journal, JournalError},
    node::{Node, Parts},
    task::TaskError,
};
use lockkeeper_coordinator::{
    consensus::ConsensusError,
    flight::Flight,
    leader::Leader,
    limits,
    local_group::LocalGroup,
    machine::StateMachine,
    planning::{self, Wish},
    presence::HostReport,
    sight::{Beat, Sightings},
};
use lockkeeper_core::{
    observe::FactsQuery,
    plan::{self, ActionKind},
    rollout::{Facts, State},
    time::LogTime,
    version::Version,
    view::{self, Stamp},
};
use lockkeeper_proto::{
    client::operator::Answer,
    port::{Clock, Group, Instance, View},
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::{sync::watch, task::JoinSet};
use tonic::Status;

/// Why a process ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    #[error("agent: {0}")]
    Agent(#[from] TaskError),
    #[error("replica: {0}")]
    Replica(String),
    #[error("{0} ended")]
    Part(&'static str),
}

/// Lives until it fails; killing drops it.
pub async fn run(process: Process, ether: Ether) {
    let (now, me) = (process.now.clone(), process.me.clone());
    let (watch, power) = (process.watch.clone(), process.power.clone());
    if let Err(ended) = live(process, ether).await {
        // What a machine without power says is heard by nobody.
        if !power.is_off() {
            watch.saw(now.ms(), &me, Seen::Ended { why: chain(&ended) });
        }
    }
}

/// What the tasks of a process share.
struct Inside {
    process: Process,
    ether: Ether,
    clock: Arc<dyn Clock>,
    local: Arc<LocalGroup>,
    group: Arc<dyn Group>,
    sightings: Arc<Sightings>,
    facts: watch::Receiver<Option<Facts>>,
    report: watch::Receiver<HostReport>,
}

async fn live(process: Process, ether: Ether) -> Result<(), Ended> {
    let journal = Journal::open(Box::new(process.power.journal()), process.clock.wall_ms())?;
    let torn = journal.ledger().torn();
    process.watch.saw(process.now.ms(), &process.me, Seen::Started { torn, store: true });
    let Ends { fed, leadership, calls } = ether.attach(&process.me);
    let (machine, state) = StateMachine::new();
    let replies = Arc::new(Replies::default());
    let clock: Arc<dyn Clock> = Arc::new(process.clock.clone());
    let me = process.me.clone();
    let consensus = Arc::new(LightConsensus {
        me: me.clone(),
        ether: ether.clone(),
        replies: replies.clone(),
        leadership,
    });
    // Nobody is dialled here: what a shipped group says over its channels goes over the ether.
    let dialer = Arc::new(SimDialer::new(process.card.clone(), Arc::default()));
    let local = LocalGroup::new(me.clone(), Instance::default(), consensus, state, dialer, clock.clone());
    let group: Arc<dyn Group> = Arc::new(LightGroup {
        me: me.clone(),
        local: local.clone(),
        ether: ether.clone(),
        clock: clock.clone(),
    });
    let sightings = Arc::new(Sightings::default());
    let (shown, facts) = watch::channel(None);
    let (report, reports) = watch::channel(HostReport::default());
    let leader = Leader {
        me: me.clone(),
        group: local.clone(),
        sightings: sightings.clone(),
        clock: clock.clone(),
        flight: Flight::default(),
    };
    let host = FakeHost::new(me.clone(), process.world.clone(), process.clock.clone(), process.power.clone());
    let mut node = Node::start(Parts {
        me,
        agent_version: "sim".into(),
        allowed: ActionKind::ALL.into_iter().collect(),
        group: Arc::new(EchoGroup::new(group.clone(), process.knobs.clone(), process.seed)),
        host: Arc::new(host),
        clock: clock.clone(),
        journal,
    });
    let reporting = tell_facts(node.sights(), report);
    let inside = Arc::new(Inside {
        process,
        ether,
        clock,
        local: local.clone(),
        group,
        sightings,
        facts,
        report: reports,
    });
    tokio::select! {
        biased;
        ended = replica::keep(machine, fed, replies) => match ended {
            Ok(()) => Err(Ended::Part("the log")),
            Err(why) => Err(Ended::Replica(why)),
        },
        ended = node.ended() => Ok(ended?),
        () = leader.run(shown) => Err(Ended::Part("the leader loop")),
        () = reporting => Err(Ended::Part("the report")),
        () = inside.process.watch_group(local.follow()) => Err(Ended::Part("the group")),
        () = beat(inside.clone()) => Err(Ended::Part("presence")),
        () = serve(inside.clone(), calls) => Err(Ended::Part("the server")),
    }
}

/// A sign of life to whoever leads, once a second.
async fn beat(inside: Arc<Inside>) {
    loop {
        let me = &inside.process.me;
        let report = inside.report.borrow().clone();
        let beat = Beat {
            member: me.clone(),
            agent_version: "sim".into(),
            facts_json: report.facts_json,
            facts_digest: report.digest,
            facts_age: inside.clock.boot().since(report.at),
            wall_ms: inside.clock.wall_ms(),
        };
        let leader = inside.local.follow().borrow().leader.clone();
        match leader {
            Some(leader) if leader == *me => inside.hear(&beat),
            Some(leader) => inside.ether.call(me, &leader, Ask::Beat(beat)),
            None => {}
        }
        inside.clock.sleep(limits::BEAT_EVERY).await;
    }
}

async fn serve(inside: Arc<Inside>, mut calls: tokio::sync::mpsc::UnboundedReceiver<Call>) {
    let mut serving = JoinSet::new();
    while let Some(call) = calls.recv().await {
        match call.ask {
            Ask::Beat(beat) => inside.hear(&beat),
            _ => drop(serving.spawn(inside.clone().answer(call))),
        }
        while serving.try_join_next().is_some() {}
    }
}

impl Inside {
    fn hear(&self, beat: &Beat) {
        let _known = self.sightings.heard(beat, self.clock.boot(), self.clock.wall_ms());
    }

    async fn answer(self: Arc<Self>, call: Call) {
        let heard = || self.ether.hears(&self.process.me, &call.from);
        match call.ask {
            Ask::Beat(beat) => self.hear(&beat),
            Ask::Propose(proposal, answer) => {
                let reply = self.local.propose_here(proposal).await;
                // An answer that is lost on its way leaves the asker waiting.
                if let Some(answer) = answer.filter(|_| heard()) {
                    let _unheard = answer.send(reply);
                }
            }
            Ask::ReadIndex(answer) => {
                let index: Result<_, ConsensusError> = self.local.read_here().await;
                if heard() {
                    let _unheard = answer.send(index);
                }
            }
            Ask::Status(answer) => {
                let _unheard = answer.send(self.status().await);
            }
            Ask::Plan(to, answer) => {
                let _unheard = answer.send(self.plan(to).await);
            }
            Ask::Change(proposal, answer) => {
                let reply = self.group.propose(*proposal).await;
                let reply = reply.map(Answer::Reply).map_err(|error| Status::unavailable(error.to_string()));
                let _unheard = answer.send(reply);
            }
        }
    }

    async fn read(&self) -> Result<Arc<View>, Status> {
        self.group.read().await.map_err(|error| Status::unavailable(error.to_string()))
    }

    async fn status(&self) -> Result<String, Status> {
        let view = self.read().await?;
        let stamp = Stamp {
            source: self.process.me.to_string(),
            as_of: self.clock.wall_ms(),
            applied: view.applied,
            leader: view.leader.as_ref().map(ToString::to_string),
            term: view.term,
            stale: !view.quorum,
        };
        let now = self.clock.boot();
        // A follower knows nothing of silences; it says so by counting from now.
        let facts = self.facts.borrow().clone().unwrap_or_else(|| Facts {
            now,
            me: self.process.me.clone(),
            leading_since: now,
            members: BTreeMap::new(),
            assigned: BTreeMap::new(),
            bound_differs: None,
        });
        let voters = self.local.consensus().leadership().borrow().voter_names();
        let status = view::status(&view.state, stamp, &voters, &self.sightings.view(now), &facts);
        serde_json::to_string(&status).map_err(|error| Status::internal(error.to_string()))
    }

    /// A plan and its faults.
    async fn plan(&self, to: String) -> Result<(String, String), Status> {
        let view = self.read().await?;
        self.plan_from(&view.state, to).await.map_or_else(|faults| Ok((String::new(), faults)), Ok)
    }

    async fn plan_from(&self, state: &State, to: String) -> Result<(String, String), String> {
        let to = Version::new(to).map_err(|error| error.to_string())?;
        let group = state.group.as_ref().ok_or("the group is not initialised")?;
        let config = state.config.clone().ok_or("no cluster file is in force")?;
        let catalog = planning::catalog(&config);
        let profile = catalog.get(&config.spec.profile).ok_or("there is no such profile")?;
        let mut looks = planning::Looks::new();
        for member in state.nodes.keys() {
            let Process { world, clock, power, .. } = &self.process;
            let host = FakeHost::new(member.clone(), world.clone(), clock.clone(), power.clone());
            looks.insert(member.clone(), Ok(host.facts(&query(&config.spec)).await));
        }
        let (observed, notes) = planning::observed(state, &looks, LogTime(self.clock.wall_ms()));
        let made = planning::made(group, &config, profile, &observed, &Wish::new(&to));
        let (plan, _) = made.map_err(|report| format!("{} {notes:?}", report.text()))?;
        Ok((plan::render(&plan), String::new()))
    }
}

/// What a host is asked: the names of the databases are all that a made-up host reads.
fn query(spec: &lockkeeper_core::cluster::ClusterSpec) -> FactsQuery {
    let databases = spec.databases.iter().map(|(name, database)| {
        let query = lockkeeper_core::observe::DatabaseQuery { spec: database.clone(), schema: String::new() };
        (name.clone(), query)
    });
    FactsQuery { databases: databases.collect(), ..FactsQuery::default() }
}
