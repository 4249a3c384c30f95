//! Prints how planning, the linter and one tick of the leader grow with the members:
//! `cargo run --release -p lockkeeper-core --example scale`.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{drive::Group, generate::Shape};
use lockkeeper_core::{
    ids::MemberName,
    lint::lint,
    plan::render,
    rollout::{Rollout, StepPhase, StepRecord, assignments_for, next, why},
};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

fn main() {
    println!("members  steps  plan file     plan     lint  tick idle  tick worst  why worst  one apply");
    for members in [10, 100, 1_000] {
        let shape =
            Shape { members, witnesses: 0, databases: 1, balancers: 1, postgres: true, process: false };
        println!("{}", line(members, &shape.text()));
    }
}

fn line(members: usize, text: &str) -> String {
    let spec = common::cluster(text);
    let observed = common::observed(&spec, "1.0", "1");
    let planning = best(|| drop(common::plan(&spec, &observed, "2.0").unwrap()));
    let plan = common::plan(&spec, &observed, "2.0").unwrap().0;
    let linting = best(|| drop(lint(&plan)));
    let bytes = render(&plan).len();
    let steps = plan.steps.len() + plan.undo.len();
    let (idle, worst, reasons, one) = rollout(text);
    format!(
        "{members:>7} {steps:>6} {:>7} KiB {:>8} {:>8} {:>10} {:>11} {:>10} {:>10}",
        bytes >> 10,
        ms(planning),
        ms(linting),
        ms(idle),
        ms(worst),
        ms(reasons),
        ms(one)
    )
}

/// A whole rollout, driven to its end: the first tick, the worst tick, the worst `why`, the worst single apply.
fn rollout(text: &str) -> (Duration, Duration, Duration, Duration) {
    let mut group = Group::new(text);
    let plan = group.plan("26.5.0");
    group.approve_and_start(&plan);
    let facts = group.facts();
    let idle = best(|| drop(next(&group.state, &facts)));
    let (mut worst, mut reasons, mut one) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut ticks = 0_u64;
    while group.state.rollout.is_some() {
        let facts = group.facts();
        let begun = Instant::now();
        let commands = next(&group.state, &facts);
        worst = worst.max(begun.elapsed());
        // Asking for reasons at every tick would measure little else.
        if ticks % 50 == 0 {
            let begun = Instant::now();
            drop(why(&group.state, &facts));
            reasons = reasons.max(begun.elapsed());
        }
        ticks += 1;
        assert!(ticks < 50_000, "the rollout does not end");
        assert!(!commands.is_empty(), "the rollout stands still");
        for command in commands {
            let begun = Instant::now();
            group.commit(None, command);
            one = one.max(begun.elapsed());
        }
        // Only agents that have something are asked; asking all at every tick would take longer than all else.
        let busy: BTreeSet<MemberName> = group.state.rollout.iter().flat_map(busy).collect();
        for assignment in busy.iter().flat_map(|m| assignments_for(&group.state, m)).collect::<Vec<_>>() {
            group.finish(&assignment);
        }
    }
    (idle, worst, reasons, one)
}

fn busy(rollout: &Rollout) -> Vec<MemberName> {
    let member = |record: &StepRecord| match &record.phase {
        StepPhase::Assigned { member, .. } => Some(member.clone()),
        _ => None,
    };
    rollout.steps.values().filter_map(member).collect()
}

/// The best of five.
fn best(mut run: impl FnMut()) -> Duration {
    let mut times = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        run();
        times.push(begun.elapsed());
    }
    times.into_iter().min().unwrap()
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
