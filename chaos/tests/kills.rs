//! Kills at every log entry and on both sides of every effect; nothing may differ afterwards.

use lockkeeper_chaos::{kills::kill_everywhere, report::show};

/// Every so many places; 1 is every one, and takes about a minute on two quiet cores.
const STRIDE: u64 = 12;

/// Two rollouts: one whose tool is all or nothing, one whose tool goes on with a half-done schema.
const SEEDS: [u64; 2] = [1, 2];

#[test]
fn a_kill_anywhere_leaves_nothing_turned() {
    let mut text = String::new();
    let mut differences = Vec::new();
    for seed in SEEDS {
        let figures = kill_everywhere(seed, STRIDE);
        text += &format!("seed {seed}: {figures}");
        assert!(figures.runs > 30, "{figures}");
        differences.extend(figures.differences);
    }
    show("kill at every entry and effect", &text);
    assert!(differences.is_empty(), "{differences:#?}");
}
