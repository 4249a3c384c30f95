//! The search itself.

use super::{
    acts::{Act, Node},
    key::{Key, key},
    outside::{Broken, Outside},
    start,
};
use crate::plant::{self, Planted};
use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Searches at the same time.
const WORKERS: usize = 2;

/// What is to be searched.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// New nodes from each starting point, at most.
    pub each: usize,
    /// A bug that is planted.
    pub plant: Option<Planted>,
}

/// A broken law, with the shortest way to it from its starting point.
#[derive(Debug, Clone)]
pub struct Counterexample {
    /// What does not hold.
    pub broken: Broken,
    /// The way.
    pub way: Vec<String>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Starting points: all nodes of an uneventful rollout.
    pub starts: usize,
    /// Different nodes.
    pub nodes: usize,
    /// Acts that were tried.
    pub acts: usize,
    /// Of the longest ways from each starting point the shortest and the longest.
    pub depth: Option<(usize, usize)>,
    /// Ends that were reached: rollouts that are over.
    pub ends: usize,
    /// A broken law, if one was.
    pub counterexample: Option<Counterexample>,
    /// Why there was nothing to search.
    pub fault: Option<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { starts, nodes, acts, depth, ends, counterexample, fault } = self;
        let (least, most) = depth.unwrap_or_default();
        writeln!(f, "starting points {starts}, states {nodes}, acts tried {acts}, ends reached {ends}")?;
        writeln!(f, "depth from each starting point {least} to {most}")?;
        if let Some(fault) = fault {
            writeln!(f, "{fault}")?;
        }
        let Some(Counterexample { broken, way }) = counterexample else {
            return writeln!(f, "no law is broken");
        };
        writeln!(f, "{} is broken: {}", broken.law, broken.text)?;
        (1..).zip(way).try_for_each(|(number, act)| writeln!(f, "  {number:>2} {act}"))
    }
}

/// Searches.
pub fn search(ask: Search) -> Found {
    let mut found = Found::default();
    // By thread, so that other searches of this process are not touched.
    let starts = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                plant::plant(ask.plant);
                quiet_way()
            })
            .join()
    });
    let starts = match starts {
        Ok(Ok(starts)) => starts,
        Ok(Err(fault)) => {
            found.fault = Some(fault);
            return found;
        }
        Err(_) => {
            found.fault = Some("the search panicked".into());
            return found;
        }
    };
    found.starts = starts.len();
    let next = AtomicUsize::new(0);
    let all = Mutex::new((found, BTreeSet::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                plant::plant(ask.plant);
                loop {
                    let Some(start) = starts.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    let one = from(start, ask.each);
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    let broken = one.counterexample.is_some();
                    all.1.extend(one.seen);
                    let found = &mut all.0;
                    found.acts += one.acts;
                    found.ends += one.ends;
                    let (least, most) = found.depth.unwrap_or((one.depth, one.depth));
                    found.depth = Some((least.min(one.depth), most.max(one.depth)));
                    if broken {
                        // The shortest one is the one to read.
                        let length = |found: &Option<Counterexample>| {
                            found.as_ref().map_or(usize::MAX, |c| c.way.len())
                        };
                        if length(&one.counterexample) < length(&found.counterexample) {
                            found.counterexample = one.counterexample;
                        }
                        next.store(usize::MAX / 2, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (mut found, seen) = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.nodes = seen.len();
    found
}

struct One {
    seen: BTreeSet<Key>,
    acts: usize,
    ends: usize,
    depth: usize,
    counterexample: Option<Counterexample>,
}

/// Every act of every node, breadth first, until enough nodes were seen.
fn from(start: &Node, enough: usize) -> One {
    let mut one = One { seen: BTreeSet::new(), acts: 0, ends: 0, depth: 0, counterexample: None };
    // How each node was come to: from which other, by what.
    let mut ways: Vec<Option<(usize, Act)>> = vec![None];
    let mut queue: VecDeque<(usize, usize, Node)> = VecDeque::from([(0, 0, start.clone())]);
    one.seen.insert(key(&start.state, &start.outside));
    while let Some((number, depth, node)) = queue.pop_front() {
        for act in node.acts() {
            one.acts += 1;
            match node.after(&act) {
                Ok(None) => {}
                Ok(Some(then)) => {
                    if one.seen.len() < enough && one.seen.insert(key(&then.state, &then.outside)) {
                        one.depth = one.depth.max(depth + 1);
                        one.ends += usize::from(then.state.rollout.is_none());
                        ways.push(Some((number, act)));
                        queue.push_back((ways.len() - 1, depth + 1, then));
                    }
                }
                Err(broken) => {
                    let mut way = vec![act.to_string()];
                    let mut at = number;
                    while let Some(Some((before, act))) = ways.get(at) {
                        way.push(act.to_string());
                        at = *before;
                    }
                    way.reverse();
                    one.counterexample = Some(Counterexample { broken, way });
                    return one;
                }
            }
        }
        if one.seen.len() >= enough {
            break;
        }
    }
    one
}

/// The nodes of a rollout in which nothing goes wrong: agents first, then the leader's first command.
fn quiet_way() -> Result<Vec<Node>, String> {
    let (members, state) = start::start()?;
    let mut node = Node { state, outside: Outside::new(&members) };
    let mut way = vec![node.clone()];
    while node.state.rollout.is_some() {
        let forward = |act: &&Act| match act {
            Act::Begin(_) | Act::Land(_) => true,
            Act::Report(_, result) => {
                matches!(result.as_ref(), lockkeeper_core::rollout::OutcomeResult::Done { .. })
            }
            Act::Commit(..) | Act::Touch => false,
        };
        let acts = node.acts();
        let by_agents = acts.iter().find(forward).cloned();
        let by_leader = || node.quiet_commands().into_iter().next().map(|c| Act::Commit(None, Box::new(c)));
        let act = by_agents.or_else(by_leader).ok_or("the uneventful rollout does not go on")?;
        match node.after(&act) {
            // A planted bug may show already on the way; it is found again from the node before.
            Err(_) => break,
            Ok(None) => return Err(format!("the uneventful rollout is refused: {act}")),
            Ok(Some(then)) => node = then,
        }
        if node.state.rollout.is_some() {
            way.push(node.clone());
        }
        if way.len() > 2_000 {
            return Err("the uneventful rollout does not end".into());
        }
    }
    Ok(way)
}
