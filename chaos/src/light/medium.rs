//! The inside of the ether: its seats, its log, its mail, and how a tick moves them on.

use super::{
    messages::{Bytes, Call, Fed},
    ways::Way,
};
use crate::watch::{Seen, Watch};
use lockkeeper_coordinator::{
    consensus::{ConsensusError, Leadership},
    machine::StateMachine,
    raft::Machine as _,
};
use lockkeeper_core::ids::{LogIndex, MemberName, NodeId};
use rand::{Rng as _, rngs::StdRng};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tokio::sync::{mpsc, oneshot, watch};

/// A leader that heard no quorum for so long does not act as one, ms.
const LEASE_MS: u64 = 900;

/// So long after a leader was last confirmed another one is elected, at least, ms.
const ELECTION_MS: u64 = 1_200;

pub(super) struct Wires {
    pub(super) fed: mpsc::UnboundedSender<Fed>,
    pub(super) leadership: watch::Sender<Leadership>,
    pub(super) calls: mpsc::UnboundedSender<Call>,
}

pub(super) struct Seat {
    pub(super) name: MemberName,
    pub(super) id: NodeId,
    pub(super) address: String,
    pub(super) process: Option<Wires>,
    pub(super) frozen: bool,
    /// Entries on its disk.
    pub(super) has: usize,
    /// When a quorum last heard it lead.
    pub(super) confirmed: u64,
    /// When it last heard the leader.
    pub(super) heard: u64,
    pub(super) knows: Leadership,
}

pub(super) enum Wish {
    Commit(Bytes, oneshot::Sender<Result<LogIndex, ConsensusError>>),
    Confirm(oneshot::Sender<Result<LogIndex, ConsensusError>>),
}

pub(super) struct Medium {
    pub(super) now: u64,
    pub(super) random: StdRng,
    pub(super) latency: u64,
    pub(super) seats: Vec<Seat>,
    pub(super) ways: Vec<Way>,
    pub(super) log: Vec<(u64, Bytes)>,
    /// Applies everything, for snapshots; at no other time, because nobody else looks at it.
    pub(super) reference: StateMachine,
    /// How many entries the reference has applied.
    pub(super) referred: usize,
    pub(super) snapshots: BTreeMap<usize, Arc<Vec<u8>>>,
    pub(super) snapshot_every: usize,
    pub(super) term: u64,
    pub(super) leader: Option<usize>,
    pub(super) elect_at: u64,
    /// Asked of a leader that no quorum hears.
    pub(super) limbo: Vec<(Bytes, Option<oneshot::Sender<Result<LogIndex, ConsensusError>>>)>,
    pub(super) wishes: BTreeMap<(u64, u64), (usize, Wish)>,
    pub(super) mail: BTreeMap<(u64, u64), (usize, Call)>,
    pub(super) said: VecDeque<(usize, Call)>,
    pub(super) number: u64,
    pub(super) watch: Watch,
}

impl Medium {
    pub(super) fn place(&self, name: &MemberName) -> Option<usize> {
        self.seats.iter().position(|seat| seat.name == *name)
    }

    pub(super) fn way(&self, from: usize, to: usize) -> Way {
        self.ways[from * self.seats.len() + to]
    }

    pub(super) fn is_awake(&self, at: usize) -> bool {
        self.seats[at].process.is_some() && !self.seats[at].frozen
    }

    pub(super) fn hears(&self, from: usize, to: usize) -> bool {
        from == to || self.way(from, to).is_open()
    }

    pub(super) fn has_quorum(&self, at: usize) -> bool {
        let answers = |other: &usize| {
            *other == at || self.is_awake(*other) && self.hears(at, *other) && self.hears(*other, at)
        };
        self.is_awake(at) && (0..self.seats.len()).filter(answers).count() * 2 > self.seats.len()
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    pub(super) fn latency(&mut self) -> u64 {
        self.random.random_range(1..=self.latency.max(1))
    }

    pub(super) fn post(&mut self, delay: u64, to: usize, call: Call) {
        let due = self.now + delay + self.latency();
        let number = self.next_number();
        self.mail.insert((due, number), (to, call));
    }

    pub(super) fn wish(&mut self, at: &MemberName, wish: Wish) {
        if let Some(at) = self.place(at) {
            // To a quorum and back, and a sync.
            let due = self.now + self.latency() + self.latency() + 1;
            let number = self.next_number();
            self.wishes.insert((due, number), (at, wish));
        }
    }

    pub(super) fn commit(&mut self, bytes: Bytes) -> LogIndex {
        self.log.push((self.now, bytes));
        if self.log.len().is_multiple_of(self.snapshot_every.max(1)) {
            for number in self.referred..self.log.len() {
                let index = LogIndex(number as u64 + 1);
                // What the reference answers is of no interest; the leader's own replica answers whoever proposed.
                let _reply = self.reference.apply(index, &self.log[number].1);
            }
            self.referred = self.log.len();
            self.reference.applied(LogIndex(self.referred as u64));
            self.snapshots.insert(self.referred, Arc::new(self.reference.snapshot()()));
        }
        LogIndex(self.log.len() as u64)
    }

    pub(super) fn keep_contact(&mut self) {
        let Some(leader) = self.leader else { return };
        if self.has_quorum(leader) {
            self.seats[leader].confirmed = self.now;
        }
        for at in 0..self.seats.len() {
            if at != leader && self.is_awake(leader) && self.is_awake(at) && self.hears(leader, at) {
                self.seats[at].heard = self.now;
            }
        }
        if self.seats[leader].confirmed == self.now {
            self.elect_at = self.now + ELECTION_MS + self.random.random_range(0..400);
            // What waited for a quorum has one.
            for (bytes, answer) in std::mem::take(&mut self.limbo) {
                let index = self.commit(bytes);
                if let Some(answer) = answer {
                    let _unheard = answer.send(Ok(index));
                }
            }
        }
    }

    pub(super) fn elect(&mut self) {
        if self.now < self.elect_at {
            return;
        }
        let able: Vec<_> = (0..self.seats.len()).filter(|at| self.has_quorum(*at)).collect();
        if able.is_empty() {
            return;
        }
        let chosen = able[self.random.random_range(0..able.len())];
        self.term += 1;
        self.leader = Some(chosen);
        self.seats[chosen].confirmed = self.now;
        self.elect_at = self.now + ELECTION_MS;
        for (bytes, _) in std::mem::take(&mut self.limbo) {
            // Some follower had it, or none.
            if self.random.random_bool(0.5) {
                self.commit(bytes);
            }
        }
        self.feed(chosen, self.log.len());
    }

    /// Everybody who is awake learns who leads, as far as it hears.
    pub(super) fn tell(&mut self) {
        for at in 0..self.seats.len() {
            if !self.is_awake(at) {
                continue;
            }
            let seat = &self.seats[at];
            let was = &seat.knows;
            let (mut who, mut term) = (was.leader.as_ref().map(|(name, _)| name), was.term);
            let (mut leading, mut quorum) = (was.leading, was.quorum);
            let leader = self.leader.filter(|leader| *leader == at || seat.heard == self.now);
            if let Some(leader) = leader {
                let confirmed = self.now.saturating_sub(seat.confirmed) < LEASE_MS;
                (who, term) = (Some(&self.seats[leader].name), self.term);
                (leading, quorum) = (leader == at && confirmed, leader != at || confirmed);
            } else {
                leading &= self.now.saturating_sub(seat.confirmed) < LEASE_MS;
                if self.now.saturating_sub(seat.heard.max(seat.confirmed)) > ELECTION_MS {
                    (who, leading, quorum) = (None, false, false);
                }
            }
            // Most ticks change nothing, and copying what is known is most of what a tick costs.
            let same_leader = was.leader.as_ref().map(|(name, _)| name) == who;
            if !same_leader || (was.term, was.leading, was.quorum) != (term, leading, quorum) {
                let mut knows = was.clone();
                if !same_leader {
                    let named = |seat: &Seat| (seat.name.clone(), seat.address.clone());
                    knows.leader = self.seats.iter().find(|seat| Some(&seat.name) == who).map(named);
                }
                (knows.term, knows.leading, knows.quorum) = (term, leading, quorum);
                if (leading, term) != (was.leading, was.term) && (leading || was.leading) {
                    self.watch.saw(self.now, &seat.name, Seen::Leading { term, leading });
                }
                self.seats[at].knows = knows.clone();
                if let Some(process) = &self.seats[at].process {
                    process.leadership.send_replace(knows);
                }
            }
        }
    }

    pub(super) fn grant_wishes(&mut self) {
        while let Some(entry) = self.wishes.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (at, wish) = entry.remove();
            let leads = self.leader == Some(at);
            let confirmed = leads && self.has_quorum(at);
            match wish {
                Wish::Commit(bytes, answer) if confirmed => {
                    let index = self.commit(bytes);
                    let _unheard = answer.send(Ok(index));
                }
                Wish::Commit(bytes, answer) if leads => self.limbo.push((bytes, Some(answer))),
                Wish::Confirm(answer) if confirmed => {
                    let _unheard = answer.send(Ok(LogIndex(self.log.len() as u64)));
                }
                // Never answered: whoever asks gives up.
                Wish::Confirm(_) if leads => {}
                Wish::Commit(_, answer) | Wish::Confirm(answer) => {
                    let _unheard = answer.send(Err(ConsensusError::NotLeader));
                }
            }
        }
    }

    pub(super) fn replicate(&mut self) {
        let Some(leader) = self.leader.filter(|leader| self.is_awake(*leader)) else { return };
        self.feed(leader, self.log.len());
        for at in 0..self.seats.len() {
            let way = self.way(leader, at);
            if at == leader || self.seats[at].process.is_none() || way.cut || way.held {
                continue;
            }
            if self.seats[at].has == self.log.len() || self.random.random_bool(way.loss.clamp(0.0, 1.0)) {
                continue;
            }
            let takes = way.delay + self.latency();
            let has = self.seats[at].has;
            let came = self.log[has..].iter().take_while(|(since, _)| since + takes <= self.now).count();
            let newest = self.snapshots.last_key_value().map(|(index, bytes)| (*index, bytes.clone()));
            match newest {
                // What the leader has cut off its log comes as a whole.
                Some((index, bytes)) if came > 0 && has + self.snapshot_every / 4 < index => {
                    self.seats[at].has = index;
                    let index = LogIndex(index as u64);
                    self.send(at, Fed::Snapshot(index, bytes));
                    self.watch.saw(self.now, &self.seats[at].name, Seen::Snapshot { index });
                }
                _ => self.feed(at, has + came),
            }
        }
    }

    pub(super) fn feed(&mut self, at: usize, upto: usize) {
        for number in self.seats[at].has..upto {
            let bytes = self.log[number].1.clone();
            self.send(at, Fed::Entry(LogIndex(number as u64 + 1), bytes));
        }
        self.seats[at].has = self.seats[at].has.max(upto);
    }

    pub(super) fn feed_from_disk(&mut self, at: usize) {
        let has = self.seats[at].has;
        let newest = self.snapshots.range(..=has).next_back().map(|(index, bytes)| (*index, bytes.clone()));
        self.seats[at].has = 0;
        if let Some((index, bytes)) = newest {
            self.seats[at].has = index;
            self.send(at, Fed::Snapshot(LogIndex(index as u64), bytes));
        }
        self.feed(at, has);
    }

    pub(super) fn send(&self, at: usize, fed: Fed) {
        if let Some(process) = &self.seats[at].process {
            // A process that is ending hears nothing more.
            let _unheard = process.fed.send(fed);
        }
    }

    pub(super) fn deliver(&mut self) {
        while let Some(entry) = self.mail.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (to, call) = entry.remove();
            let way = self.place(&call.from).map_or(Way::default(), |from| self.way(from, to));
            if way.held {
                let number = self.next_number();
                self.mail.insert((self.now + 50, number), (to, call));
            } else if !way.cut
                && let Some(process) = &self.seats[to].process
            {
                let _unheard = process.calls.send(call);
            }
        }
    }
}
