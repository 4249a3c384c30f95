//! Tests the testers: for each invariant a planted bug is caught by that invariant within 200 seeds, and the same seeds
//! pass without it.

use lockkeeper_chaos::{
    report::show,
    sweep::plants::{hunt_all, table},
};
use std::path::Path;

#[test]
fn every_planted_bug_is_caught_by_its_invariant() {
    let hunts = hunt_all(Path::new(env!("CARGO_BIN_EXE_lockkeeper-chaos")));
    show("planted bugs", &table(&hunts));
    let missed: Vec<_> = hunts.iter().filter(|hunt| !hunt.is_good()).collect();
    assert!(missed.is_empty(), "not caught, or not good without the bug: {missed:#?}");
}
