//! Seeds of core, leader loop and agent without Raft and network, and what they went through.

use lockkeeper_chaos::{
    paths::Path,
    report::show,
    sweep::{light, table::table},
};

/// How long they take is in `docs/simulation.md`.
const SEEDS: u64 = 5_000;

/// Seeds that take each of [`MUST`], at least.
const TAKEN_MIN: usize = 20;

/// A path that no seed takes is not tested, whatever the oracles say. Those of stores and votes are the whole tier's.
const MUST: [Path; 22] = [
    Path::FaultInGrant,
    Path::FaultOnHolder,
    Path::LeaderChangedInGrant,
    Path::HolderLost,
    Path::AgentLost,
    Path::SecondGrant,
    Path::ExecutorChanged,
    Path::LongSilence,
    Path::TornJournal,
    Path::SnapshotTaken,
    Path::StaleRefused,
    Path::UpgradeRefused,
    Path::GivenBack,
    Path::Retried,
    Path::AbortRaced,
    Path::Echoed,
    Path::StrangerBlocked,
    Path::LongPause,
    Path::TakenUntouched,
    Path::TakenTouched,
    Path::TakenFinished,
    Path::Completed,
];

#[test]
fn light_seeds_keep_every_invariant_and_end() {
    let runs = light((1..=SEEDS).collect(), None);
    let table = table(&runs, None);
    show("simulation of core and agent", &table.to_string());
    assert!(table.failed.is_empty(), "seeds {:?} failed, see above", table.failed);
    assert!(table.in_grant * 2 >= table.seeds, "half of all seeds have a fault inside an open grant");
    let taken = |path: &Path| table.paths.get(path.as_str()).copied().unwrap_or_default();
    let missed: Vec<_> = MUST.iter().filter(|path| taken(path) < TAKEN_MIN).collect();
    assert!(missed.is_empty(), "fewer than {TAKEN_MIN} seeds took {missed:?}");
}
