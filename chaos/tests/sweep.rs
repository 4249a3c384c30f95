//! Three hundred seeds of the whole stack, and what they went through.

use lockkeeper_chaos::{
    paths::Path,
    sweep::{Sweep, table::table},
};

/// Enough that every rare path below is taken many times; about five minutes on two cores.
const SEEDS: u64 = 300;

/// Seeds that once failed, or that go where few others do.
fn kept() -> Vec<u64> {
    let kept = include_str!("../seeds.txt").lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    kept.filter(|line| !line.is_empty()).map(|line| line.parse().expect("a seed")).collect()
}

/// Paths that at least one seed must take, or the sweep shows less than it says.
const MUST: [Path; 24] = [
    Path::FaultInGrant,
    Path::FaultOnHolder,
    Path::LeaderChangedInGrant,
    Path::HolderLost,
    Path::AgentLost,
    Path::SecondGrant,
    Path::ExecutorChanged,
    Path::LongSilence,
    Path::PowerLostInSync,
    Path::StoreLost,
    Path::TornJournal,
    Path::SnapshotTaken,
    Path::UpgradeRefused,
    Path::UpgradeLost,
    Path::UnitAdopted,
    Path::Retried,
    Path::AbortApplied,
    Path::AbortRefused,
    Path::ApplyRefused,
    Path::Echoed,
    Path::SaidDone,
    Path::SaidFailed,
    Path::Completed,
    Path::Aborted,
];

#[test]
fn every_seed_keeps_every_invariant_and_ends() {
    let mut seeds = kept();
    seeds.extend((1..).filter(|seed| !kept().contains(seed)).take(usize::try_from(SEEDS).unwrap()));
    let sweep = Sweep {
        program: env!("CARGO_BIN_EXE_lockkeeper-chaos").into(),
        seeds,
        plant: None,
        until: |_, _| false,
    };
    let runs = sweep.run();
    let table = table(&runs, None);
    println!("{table}");
    assert!(table.seeds >= 300, "{} seeds", table.seeds);
    assert!(table.failed.is_empty(), "{} seeds failed, see above", table.failed.len());
    assert!(table.in_grant * 2 >= table.seeds, "half of all seeds have a fault inside an open grant");
    let missed: Vec<_> = MUST.iter().filter(|path| !table.paths.contains_key(path.as_str())).collect();
    assert!(missed.is_empty(), "no seed took {missed:?}");
}
