//! The `Group` port in process: a voter's own state, the Raft core beside it, the leader behind a channel.
//!
//! Knows nothing about what is proposed. Proposals and linearizable reads go to whoever leads.

use crate::{
    consensus::{Consensus, ConsensusError, Leadership},
    limits,
};
use async_trait::async_trait;
use lockkeeper_core::{
    ids::{LogIndex, MemberName},
    rollout::{Envelope, Reply, State},
    stored,
    time::{LogTime, Millis},
};
use lockkeeper_proto::{
    client::group::GroupClient,
    port::{Clock, Group, GroupError, Instance, Proposal, View},
    transport::{Dialer, ExpectedPeer},
};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// A voter's view of its group.
pub struct LocalGroup {
    me: MemberName,
    instance: Instance,
    consensus: Arc<dyn Consensus>,
    state: watch::Receiver<Arc<State>>,
    leadership: watch::Receiver<Leadership>,
    dialer: Arc<dyn Dialer>,
    clock: Arc<dyn Clock>,
    views: watch::Receiver<Arc<View>>,
    // One channel to the leader, made anew when another one leads.
    channel: Mutex<Option<(MemberName, String, GroupClient)>>,
}

impl LocalGroup {
    /// Joins the parts. Spawns one task that stamps every new state.
    pub fn new(
        me: MemberName,
        instance: Instance,
        consensus: Arc<dyn Consensus>,
        state: watch::Receiver<Arc<State>>,
        dialer: Arc<dyn Dialer>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let leadership = consensus.leadership();
        let first = Arc::new(stamp(&me, &state.borrow(), &leadership.borrow()));
        let (send, views) = watch::channel(first);
        tokio::spawn(stamping(me.clone(), state.clone(), leadership.clone(), send));
        Arc::new(Self { me, instance, consensus, state, leadership, dialer, clock, views, channel: Mutex::default() })
    }

    /// The Raft core beside it.
    pub fn consensus(&self) -> &Arc<dyn Consensus> {
        &self.consensus
    }

    /// Commits on this node, which must lead. The time of the envelope is this node's.
    pub async fn propose_here(&self, proposal: Proposal) -> Result<Reply, ConsensusError> {
        let envelope = Envelope {
            id: proposal.id,
            time: LogTime(self.clock.wall_ms()),
            actor: proposal.actor,
            trace: proposal.trace,
            command: proposal.command,
        };
        let bytes = stored::encode_envelope(&envelope).map_err(|e| ConsensusError::Stopped(e.to_string()))?;
        let reply = self.consensus.propose(bytes).await?;
        stored::decode_reply(&reply).map_err(|e| ConsensusError::Stopped(e.to_string()))
    }

    /// Confirms with a quorum that this node leads.
    pub async fn read_here(&self) -> Result<LogIndex, ConsensusError> {
        self.consensus.read_index().await
    }

    /// Asks whoever leads, this node or another one, until somebody answers or time is up.
    async fn at_leader(&self, ask: &Ask) -> Result<Answer, GroupError> {
        let begun = self.clock.boot();
        let mut last = "nobody is known to lead".to_owned();
        while self.clock.boot().since(begun) < limits::REQUEST_DEADLINE {
            let mut changes = self.leadership.clone();
            let leadership = changes.borrow_and_update().clone();
            let answer = match leadership.leader {
                Some((leader, _)) if leader == self.me => self.ask_here(ask).await,
                Some((leader, address)) => ask_there(self.client(&leader, &address), ask).await,
                None => Err(Again::Later(last.clone())),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(Again::No(error)) => return Err(error),
                Err(Again::Later(why)) => last = why,
            }
            // A new leader ends the pause: a planned hand-over is over in less.
            tokio::select! {
                biased;
                changed = changes.changed() => if changed.is_err() {
                    self.clock.sleep(limits::NO_LEADER_PAUSE).await;
                },
                () = self.clock.sleep(limits::NO_LEADER_PAUSE) => {}
            }
        }
        Err(GroupError::NoLeader(last))
    }

    async fn ask_here(&self, ask: &Ask) -> Result<Answer, Again> {
        Ok(match ask {
            Ask::Propose(proposal, _) => Answer::Reply(self.propose_here(proposal.clone()).await?),
            Ask::Read => Answer::Index(self.read_here().await?),
        })
    }

    fn client(&self, leader: &MemberName, address: &str) -> GroupClient {
        let mut cached = self.channel.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match cached.as_ref() {
            Some((name, at, client)) if name == leader && at == address => client.clone(),
            Some(_) | None => {
                let channel = self.dialer.channel(address, ExpectedPeer::Member(leader.clone()));
                let client = GroupClient::new(channel, limits::MESSAGE_MAX).speaking_as(&self.instance);
                *cached = Some((leader.clone(), address.to_owned(), client.clone()));
                client
            }
        }
    }
}

/// What is asked of the leader: a proposal with its bytes, or how far to read.
enum Ask {
    Propose(Proposal, Vec<u8>),
    Read,
}

enum Answer {
    Reply(Reply),
    Index(LogIndex),
}

enum Again {
    Later(String),
    No(GroupError),
}

impl From<ConsensusError> for Again {
    fn from(error: ConsensusError) -> Self {
        match error {
            ConsensusError::NotLeader | ConsensusError::Timeout => Again::Later(error.to_string()),
            ConsensusError::Stopped(_) => Again::No(GroupError::Stopping),
        }
    }
}

#[async_trait]
impl Group for LocalGroup {
    fn follow(&self) -> watch::Receiver<Arc<View>> {
        self.views.clone()
    }

    async fn propose(&self, proposal: Proposal) -> Result<Reply, GroupError> {
        let envelope = Envelope {
            id: proposal.id.clone(),
            time: LogTime(0),
            actor: proposal.actor.clone(),
            trace: proposal.trace.clone(),
            command: proposal.command.clone(),
        };
        let bytes = stored::encode_envelope(&envelope).map_err(|e| GroupError::Refused(e.to_string()))?;
        if bytes.len() > limits::ENVELOPE_MAX {
            let text = format!("a command of {} bytes, at most {} are allowed", bytes.len(), limits::ENVELOPE_MAX);
            return Err(GroupError::Refused(text));
        }
        match self.at_leader(&Ask::Propose(proposal, bytes)).await? {
            Answer::Reply(reply) => Ok(reply),
            Answer::Index(_) => Err(GroupError::Refused("the leader answered something else".into())),
        }
    }

    async fn read(&self) -> Result<Arc<View>, GroupError> {
        let index = match self.at_leader(&Ask::Read).await? {
            Answer::Index(index) => index,
            Answer::Reply(_) => return Err(GroupError::Refused("the leader answered something else".into())),
        };
        let mut state = self.state.clone();
        let caught_up = state.wait_for(|s| s.applied >= index);
        match tokio::time::timeout(limits::REQUEST_DEADLINE.into(), caught_up).await {
            Ok(Ok(state)) => Ok(Arc::new(stamp(&self.me, &state, &self.leadership.borrow()))),
            Ok(Err(_)) => Err(GroupError::Stopping),
            Err(_) => Err(GroupError::Timeout(limits::REQUEST_DEADLINE.0)),
        }
    }
}

async fn ask_there(client: GroupClient, ask: &Ask) -> Result<Answer, Again> {
    Ok(match ask {
        Ask::Propose(_, bytes) => {
            Answer::Reply(within(limits::FORWARD_DEADLINE, client.propose(bytes.clone())).await?)
        }
        Ask::Read => Answer::Index(within(limits::FORWARD_DEADLINE, client.read_index()).await?),
    })
}

async fn within<T, E: std::fmt::Display>(
    limit: Millis,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, Again> {
    match tokio::time::timeout(limit.into(), call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Again::Later(error.to_string())),
        Err(_) => Err(Again::Later("the leader did not answer".into())),
    }
}

fn stamp(me: &MemberName, state: &Arc<State>, leadership: &Leadership) -> View {
    View {
        state: state.clone(),
        applied: state.applied,
        source: Some(me.clone()),
        leader: leadership.leader.as_ref().map(|(name, _)| name.clone()),
        term: leadership.term,
        quorum: leadership.quorum,
    }
}

async fn stamping(
    me: MemberName,
    mut state: watch::Receiver<Arc<State>>,
    mut leadership: watch::Receiver<Leadership>,
    views: watch::Sender<Arc<View>>,
) {
    loop {
        let view = stamp(&me, &state.borrow_and_update(), &leadership.borrow_and_update());
        views.send_replace(Arc::new(view));
        let changed = tokio::select! {
            biased;
            changed = state.changed() => changed,
            changed = leadership.changed() => changed,
            () = views.closed() => return,
        };
        if changed.is_err() {
            return;
        }
    }
}
