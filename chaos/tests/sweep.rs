//! Three hundred seeds of the whole stack, and what they went through.

use lockkeeper_chaos::{
    paths::Path,
    report::show,
    sweep::{Sweep, table::table},
};

/// Enough that every rare path below is taken many times; about five minutes on two cores.
const SEEDS: u64 = 300;

/// Seeds that once failed, or that go where few others do.
fn kept() -> Vec<u64> {
    let kept =
        include_str!("../seeds.txt").lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    kept.filter(|line| !line.is_empty()).map(|line| line.parse().expect("a seed")).collect()
}

/// Seeds that take each of [`MUST`], at least.
const TAKEN_MIN: usize = 20;

/// Paths that many seeds take; if fewer do, the sweep shows less than it says. Rarer ones are counted in the table; those
/// that need neither store nor vote are demanded of the light tier.
const MUST: [Path; 9] = [
    Path::FaultInGrant,
    Path::FaultOnHolder,
    Path::LeaderChangedInGrant,
    Path::LongSilence,
    Path::LongPause,
    Path::PowerLostInSync,
    Path::StoreLost,
    Path::VoteAnew,
    Path::Completed,
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
    show("simulation of the whole stack", &table.to_string());
    assert!(table.seeds >= 300, "{} seeds", table.seeds);
    let unsafe_ones: Vec<u64> = runs
        .iter()
        .filter(|run| run.report.as_ref().map_or(true, |report| !report.broken.is_empty()))
        .map(|run| run.seed)
        .collect();
    assert!(unsafe_ones.is_empty(), "seeds that broke an invariant or did not run: {unsafe_ones:?}");
    let stuck = table.failed.len();
    println!("did not end by themselves: {stuck} of {} seeds", table.seeds);
    assert_eq!(stuck, 0, "{stuck} seeds did not end, see above");
    assert!(table.in_grant * 2 >= table.seeds, "half of all seeds have a fault inside an open grant");
    let taken = |path: &Path| table.paths.get(path.as_str()).copied().unwrap_or_default();
    let missed: Vec<_> = MUST.iter().filter(|path| taken(path) < TAKEN_MIN).collect();
    assert!(missed.is_empty(), "fewer than {TAKEN_MIN} seeds took {missed:?}");
    // Whether a peer is so far behind that the leader's log does not reach back is for each seed to decide.
    assert!(taken(&Path::SnapshotTaken) > 0, "no seed took {:?}", Path::SnapshotTaken);
}
