//! What the simulation sees of its processes from inside: states, votes, who leads, why they ended. For oracles and for
//! aiming faults; nothing in the product reads it.

use lockkeeper_core::{
    ids::{LogIndex, MemberName},
    rollout::State,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// One thing a process showed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what its name says; the variants are described")]
pub enum Seen {
    /// The process runs; how many torn ends its journal has had cut off, and whether it found a store.
    Started { torn: u64, store: bool },
    /// Everything up to `index` is applied; a digest of the whole state.
    State { index: LogIndex, digest: String },
    /// The vote it holds.
    Vote { term: u64, node: u64, committed: bool },
    /// It leads, confirmed by a quorum, or does not any more.
    Leading { term: u64, leading: bool },
    /// It took over a snapshot that reaches to `index`.
    Snapshot { index: LogIndex },
    /// A line of the rollout's history; told by whoever applied it first.
    Event { index: LogIndex, text: String },
    /// It ended by itself.
    Ended { why: String },
}

/// Who showed what, when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Virtual ms.
    pub at: u64,
    /// Which machine.
    pub who: MemberName,
    /// What.
    pub seen: Seen,
}

#[derive(Debug, Default)]
struct Inner {
    observations: Vec<Observation>,
    states: BTreeMap<MemberName, Arc<State>>,
    leading: BTreeMap<MemberName, u64>,
    told: LogIndex,
    /// States are compared at every so many entries.
    every: u64,
}

/// In the light tier states are compared at every so many entries: making a digest costs more than anything else there.
const SPARSE: u64 = 16;

/// Everything seen. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Mutex<Inner>>);

impl Watch {
    /// One that makes few digests.
    pub fn sparse() -> Self {
        Self(Arc::new(Mutex::new(Inner { every: SPARSE, ..Inner::default() })))
    }

    /// Takes something in.
    pub fn saw(&self, at: u64, who: &MemberName, seen: Seen) {
        let mut inner = self.lock();
        match &seen {
            Seen::Leading { term, leading: true } => drop(inner.leading.insert(who.clone(), *term)),
            Seen::Leading { leading: false, .. } | Seen::Ended { .. } | Seen::Started { .. } => {
                inner.leading.remove(who);
            }
            Seen::State { .. } | Seen::Vote { .. } | Seen::Snapshot { .. } | Seen::Event { .. } => {}
        }
        inner.observations.push(Observation { at, who: who.clone(), seen });
    }

    /// Takes a whole state in, and tells the lines of its history that nobody has told.
    pub fn saw_state(&self, at: u64, who: &MemberName, state: &Arc<State>) {
        let (told, every) = {
            let inner = self.lock();
            (inner.told, inner.every)
        };
        if every == 0 || state.applied.0.is_multiple_of(every) {
            // Not the product's own digest: an oracle shares no code with what it checks.
            let bytes = serde_json::to_vec(state.as_ref()).unwrap_or_default();
            let digest = blake3::hash(&bytes).to_hex().as_str().chars().take(16).collect();
            self.saw(at, who, Seen::State { index: state.applied, digest });
        }
        let past = state.history.iter().map(|rollout| &rollout.events);
        let lines = past.chain(state.rollout.iter().map(|rollout| &rollout.events)).flatten();
        for event in lines.filter(|event| event.index > told) {
            self.saw(at, who, Seen::Event { index: event.index, text: event.text.clone() });
        }
        let mut inner = self.lock();
        inner.told = told.max(state.applied);
        inner.states.insert(who.clone(), state.clone());
    }

    /// What was seen from number `from` on.
    pub fn since(&self, from: usize) -> Vec<Observation> {
        self.lock().observations.get(from..).unwrap_or_default().to_vec()
    }

    /// The state that reaches furthest.
    pub fn newest(&self) -> Option<Arc<State>> {
        self.lock().states.values().max_by_key(|state| state.applied).cloned()
    }

    /// How far a machine was last seen to have applied.
    pub fn applied(&self, who: &MemberName) -> LogIndex {
        self.lock().states.get(who).map_or(LogIndex(0), |state| state.applied)
    }

    /// The machine that leads in the highest term.
    pub fn leader(&self) -> Option<MemberName> {
        self.lock().leading.iter().max_by_key(|(_, term)| **term).map(|(who, _)| who.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves whole values behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
