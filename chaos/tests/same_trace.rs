//! The same seed is the same run: two processes, one trace.

use lockkeeper_chaos::{sweep::one, tier::Tier};
use std::{collections::BTreeSet, path::Path};

#[test]
fn one_seed_run_twice_gives_one_trace() {
    let program = Path::new(env!("CARGO_BIN_EXE_lockkeeper-chaos"));
    let mut traces = BTreeSet::new();
    for seed in [3, 14, 15, 92, 65, 35, 89, 79] {
        let first = one(program, seed, None, Tier::Whole).unwrap();
        let second = one(program, seed, None, Tier::Whole).unwrap();
        assert!(first.lines > 100, "seed {seed} did nothing: {first:?}");
        assert_eq!(first, second, "seed {seed}");
        traces.insert(first.trace);
    }
    assert_eq!(traces.len(), 8, "another seed is another run");
}
