//! The planner's contract: what it makes of a cluster, and what it refuses.

mod common;

use common::{SAMPLE, cluster, observed, plan};
use lockkeeper_core::plan::{ActionKind, Phase};

#[test]
fn the_sample_cluster_gets_the_canonical_plan() {
    let spec = cluster(SAMPLE);
    let (plan, report) =
        plan(&spec, &observed(&spec, "20.6.1", "23"), "26.5.0").unwrap_or_else(|r| panic!("{r}"));
    for s in plan.steps.iter().chain(&plan.undo) {
        println!(
            "{:>3} {:<12} {:<7} {:<17} {:<10} {:<40} after {:?} serial {:?} {:?} {:?} {:?}",
            s.id,
            s.stage,
            format!("{:?}", s.phase),
            s.action.kind(),
            s.target,
            format!("{:?}", s.who),
            s.after.iter().map(|i| i.0).collect::<Vec<_>>(),
            s.serial.as_ref().map(|x| x.run.clone()),
            s.owes,
            s.settles,
            s.deadline,
        );
    }
    println!("{}", report.text(lockkeeper_core::plan::Glyphs::Unicode));
    assert_eq!(plan.steps.iter().filter(|s| s.irreversible).count(), 1);
    assert_eq!(
        plan.steps.first().map(|s| (s.action.kind(), s.phase)),
        Some((ActionKind::StageRelease, Phase::Before))
    );
}
