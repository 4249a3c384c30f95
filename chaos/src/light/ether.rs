//! What is between the processes of the light tier: one committed log, who leads, and messages that take time, are lost,
//! held, or said twice. The driver moves it on; processes hang on to it by channels.
//!
//! It keeps what Raft keeps: an entry is committed only by a leader that a quorum hears; a new leader has all of them;
//! what a cut-off leader was asked to commit may be committed later or never. How Raft does it is the full tier's.

use super::{
    medium::{Medium, Seat, Wires, Wish},
    messages::{Ask, Bytes, Call, Fed},
    ways::Way,
};
use crate::watch::Watch;
use lockkeeper_coordinator::{
    consensus::{ConsensusError, Leadership},
    machine::StateMachine,
};
use lockkeeper_core::ids::{LogIndex, MemberName, NodeId};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{mpsc, oneshot, watch};

/// Messages remembered for a replay.
const SAID_MAX: usize = 48;

/// Clones are the same.
#[derive(Clone)]
pub struct Ether(Arc<Mutex<Medium>>);

/// A process's ends of its channels.
pub struct Ends {
    /// What it is to apply.
    pub fed: mpsc::UnboundedReceiver<Fed>,
    /// Who leads, as far as it hears.
    pub leadership: watch::Receiver<Leadership>,
    /// What others ask of it.
    pub calls: mpsc::UnboundedReceiver<Call>,
}

/// What an ether is made of.
pub struct MakeEther {
    /// Decides delays, losses and elections.
    pub seed: u64,
    /// Machines with their numbers and addresses.
    pub seats: Vec<(MemberName, NodeId, String)>,
    /// Longest ordinary delay, ms.
    pub latency: u64,
    /// Entries between snapshots.
    pub snapshot_every: u64,
    /// Commands that made the group.
    pub founding: Vec<Vec<u8>>,
    /// Is told who leads and who was sent a snapshot.
    pub watch: Watch,
}

impl Ether {
    /// Nobody is attached yet.
    pub fn new(make: MakeEther) -> Self {
        let seats = make.seats.into_iter().map(|(name, id, address)| Seat {
            name,
            id,
            address,
            process: None,
            frozen: false,
            has: 0,
            confirmed: 0,
            heard: 0,
            knows: Leadership::default(),
        });
        let seats: Vec<_> = seats.collect();
        let mut inner = Medium {
            now: 0,
            random: StdRng::seed_from_u64(make.seed ^ 0xe7e4),
            latency: make.latency,
            ways: vec![Way::default(); seats.len() * seats.len()],
            seats,
            log: Vec::new(),
            reference: StateMachine::new().0,
            referred: 0,
            snapshots: BTreeMap::new(),
            snapshot_every: usize::try_from(make.snapshot_every).unwrap_or(usize::MAX),
            term: 0,
            leader: None,
            elect_at: 50,
            limbo: Vec::new(),
            wishes: BTreeMap::new(),
            mail: BTreeMap::new(),
            said: VecDeque::new(),
            number: 0,
            watch: make.watch,
        };
        for command in make.founding {
            inner.commit(command.into());
        }
        Self(Arc::new(Mutex::new(inner)))
    }

    fn lock(&self) -> MutexGuard<'_, Medium> {
        // A panic ends the whole simulation, so nobody looks at what it left.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything moves on to `now`.
    pub fn step(&self, now: u64) {
        let mut inner = self.lock();
        inner.now = now;
        inner.keep_contact();
        inner.elect();
        inner.tell();
        inner.grant_wishes();
        inner.replicate();
        inner.deliver();
    }

    /// A process begins; it is fed what its disk holds.
    pub fn attach(&self, name: &MemberName) -> Ends {
        let (fed, fed_end) = mpsc::unbounded_channel();
        let (calls, calls_end) = mpsc::unbounded_channel();
        let mut inner = self.lock();
        let voters: Vec<_> = inner.seats.iter().map(|seat| (seat.id, seat.name.clone())).collect();
        let knows = Leadership { voters, term: inner.term, ..Leadership::default() };
        let (leadership, leadership_end) = watch::channel(knows.clone());
        if let Some(at) = inner.place(name) {
            inner.seats[at].knows = knows;
            inner.seats[at].process = Some(Wires { fed, leadership, calls });
            inner.feed_from_disk(at);
        }
        Ends { fed: fed_end, leadership: leadership_end, calls: calls_end }
    }

    /// A process ended.
    pub fn detach(&self, name: &MemberName) {
        let mut inner = self.lock();
        if let Some(at) = inner.place(name) {
            inner.seats[at].process = None;
            inner.seats[at].frozen = false;
        }
    }

    /// A process stands still or goes on.
    pub fn set_frozen(&self, name: &MemberName, frozen: bool) {
        let mut inner = self.lock();
        if let Some(at) = inner.place(name) {
            inner.seats[at].frozen = frozen;
        }
    }

    /// Changes both directions between two.
    pub fn both(&self, a: &MemberName, b: &MemberName, change: impl Fn(&mut Way)) {
        self.one(a, b, &change);
        self.one(b, a, &change);
    }

    /// Changes the direction from one to another.
    pub fn one(&self, from: &MemberName, to: &MemberName, change: impl Fn(&mut Way)) {
        let mut inner = self.lock();
        if let (Some(from), Some(to)) = (inner.place(from), inner.place(to)) {
            let at = from * inner.seats.len() + to;
            change(&mut inner.ways[at]);
        }
    }

    /// Sends a message. Whoever is no seat is a person, whose ways are always open.
    pub fn call(&self, from: &MemberName, to: &MemberName, ask: Ask) {
        let mut inner = self.lock();
        let Some(to) = inner.place(to) else { return };
        let way = inner.place(from).map_or(Way::default(), |from| inner.way(from, to));
        if inner.random.random_bool(way.loss.clamp(0.0, 1.0)) {
            return;
        }
        if let Some(again) = ask.again() {
            if inner.said.len() >= SAID_MAX {
                inner.said.pop_front();
            }
            inner.said.push_back((to, Call { from: from.clone(), ask: again }));
        }
        let call = Call { from: from.clone(), ask };
        inner.post(way.delay, to, call);
    }

    /// What a machine said lately is delivered once more.
    pub fn replay(&self, from: &MemberName) {
        let mut inner = self.lock();
        let again = |(to, call): &(usize, Call)| {
            (call.from == *from).then(|| Some((*to, call.ask.again()?))).flatten()
        };
        let said: Vec<_> = inner.said.iter().filter_map(again).collect();
        for (to, ask) in said {
            inner.post(0, to, Call { from: from.clone(), ask });
        }
    }

    /// Whether an answer comes through.
    pub fn hears(&self, from: &MemberName, to: &MemberName) -> bool {
        let inner = self.lock();
        match (inner.place(from), inner.place(to)) {
            (Some(from), Some(to)) => inner.way(from, to).is_open(),
            _ => true,
        }
    }

    /// Asks for a command to be committed by this process as the leader.
    pub fn propose(
        &self,
        at: &MemberName,
        bytes: Bytes,
    ) -> oneshot::Receiver<Result<LogIndex, ConsensusError>> {
        let (answer, answered) = oneshot::channel();
        self.lock().wish(at, Wish::Commit(bytes, answer));
        answered
    }

    /// Asks a quorum whether this process still leads.
    pub fn read_index(&self, at: &MemberName) -> oneshot::Receiver<Result<LogIndex, ConsensusError>> {
        let (answer, answered) = oneshot::channel();
        self.lock().wish(at, Wish::Confirm(answer));
        answered
    }
}
