//! Tests the testers: for each invariant a planted bug is caught by that invariant within 200 seeds, and the same seeds
//! pass without it.

use lockkeeper_chaos::{
    plant::Planted,
    report::Report,
    sweep::{Ran, Sweep, one},
};
use std::{fmt::Write as _, path::PathBuf};

const SEEDS: u64 = 200;

fn caught(report: &Report, plant: Option<Planted>) -> bool {
    plant.is_some_and(|plant| report.broken.iter().any(|(name, _)| name == plant.caught_by().as_str()))
}

#[test]
fn every_planted_bug_is_caught_by_its_invariant() {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_lockkeeper-chaos"));
    let mut text = format!("{:<26}{:<22}{:>6}{:>8}\n", "planted", "caught by", "seeds", "at");
    let mut missed = Vec::new();
    for plant in Planted::ALL {
        let sweep = Sweep {
            program: program.clone(),
            seeds: (1..=SEEDS).collect(),
            plant: Some(plant),
            until: caught,
        };
        let runs: Vec<Ran> = sweep.run();
        let hit = runs.iter().find(|ran| ran.report.as_ref().is_ok_and(|report| caught(report, Some(plant))));
        match hit {
            Some(ran) => {
                let clean = one(&program, ran.seed, None).unwrap();
                assert!(clean.is_good(), "seed {} fails without {plant:?} too: {clean:#?}", ran.seed);
                let name = plant.caught_by();
                writeln!(text, "{:<26}{name:<22}{:>6}{:>8}", plant.as_str(), runs.len(), ran.seed).unwrap();
            }
            None => {
                missed.push(plant.as_str());
                writeln!(text, "{:<26}{:<22}{:>6}{:>8}", plant.as_str(), "-", runs.len(), "-").unwrap();
            }
        }
    }
    println!("{text}\n{} planted, {} caught", Planted::ALL.len(), Planted::ALL.len() - missed.len());
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
