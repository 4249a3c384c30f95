//! What goes wrong when, decided by the seed alone.

use super::kind::{Kind, Victim};
use crate::{
    cluster::Shape,
    people::Order,
    world::{Thing, Tool},
};
use lockkeeper_core::plan::ActionKind;
use rand::{Rng, SeedableRng as _, rngs::StdRng};

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// So long after the rollout began, ms.
    After(u64),
    /// So long after a grant was opened, ms.
    InGrant(u64),
    /// So long after a step of this kind was handed out, ms.
    On(ActionKind, u64),
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub trigger: Trigger,
    /// What.
    pub kind: Kind,
    /// How long it lasts, ms; without meaning for what happens in a moment.
    pub lasts: u64,
}

/// Everything a seed decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The cluster.
    pub shape: Shape,
    /// Longest ordinary delay of a message, ms.
    pub latency_max: u64,
    /// Entries between snapshots.
    pub snapshot_entries: u64,
    /// People do what `why` says while faults last, too.
    pub eager: bool,
    /// A member that was out of the balancer before anything began.
    pub out_before: Option<usize>,
    /// The operator tries to start the plan before it is approved.
    pub hasty: bool,
    /// Faults.
    pub faults: Vec<Fault>,
}

/// Every eighth seed has a statement to the ledger that arrives late. Chosen by its number and drawn by itself, so that it
/// changes nothing else that seeds decide.
const LATE_EVERY: u64 = 8;
const LATE_AT: u64 = 4;

/// Faults of one seed.
const FAULTS: std::ops::RangeInclusive<usize> = 1..=6;

impl Schedule {
    /// One in which nothing goes wrong, with a tool whose database a person need not restore.
    pub fn quiet(seed: u64) -> Self {
        let tool = if seed.is_multiple_of(2) { Tool::Resumes } else { Tool::Transactional };
        let shape = Shape { witness: true, lost_after: 3, max_failures: 0, tool };
        Self {
            shape,
            latency_max: 5,
            snapshot_entries: 40,
            eager: true,
            out_before: None,
            hasty: false,
            faults: Vec::new(),
        }
    }

    /// The schedule of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed ^ 0x5eed);
        let tool = match random.random_range(0..10) {
            0..6 => Tool::Transactional,
            6..9 => Tool::Resumes,
            _ => Tool::Fragile,
        };
        let shape = Shape {
            witness: random.random_bool(0.6),
            lost_after: random.random_range(2..5),
            max_failures: if random.random_bool(0.3) { 2 } else { 0 },
            tool,
        };
        let lost = shape.lost_after * 1000;
        let count = random.random_range(FAULTS);
        let mut faults: Vec<Fault> = (0..count).map(|_| fault(&mut random, lost)).collect();
        // Most seeds have at least one fault where it hurts most.
        if random.random_bool(0.6) && !faults.iter().any(|f| matches!(f.trigger, Trigger::InGrant(_))) {
            let trigger = Trigger::InGrant(random.random_range(0..2_500));
            let kind = hard(&mut random);
            faults.push(Fault { trigger, kind, lasts: lasts(&mut random, lost) });
        }
        if seed % LATE_EVERY == LATE_AT {
            faults.push(late(seed));
        }
        Self {
            shape,
            latency_max: *pick(&mut random, &[2, 5, 5, 20, 60]),
            snapshot_entries: *pick(&mut random, &[20, 40, 80, 10_000]),
            eager: random.random_bool(0.6),
            out_before: random.random_bool(0.15).then(|| random.random_range(0..3)),
            hasty: random.random_bool(0.2),
            faults,
        }
    }
}

/// An act on the grant or the door whose statement arrives after its agent has done the same again, and others more: it must
/// find its token stale.
fn late(seed: u64) -> Fault {
    let mut random = StdRng::seed_from_u64(seed ^ 0x1a7e);
    let acts = [ActionKind::ShutDoor, ActionKind::AdmitHolder, ActionKind::CloseGrant, ActionKind::OpenDoor];
    let act = *pick(&mut random, &acts);
    let trigger = Trigger::On(act, 0);
    Fault {
        trigger,
        kind: Kind::Late { dies: random.random_bool(0.7) },
        lasts: random.random_range(1_500..6_000),
    }
}

fn pick<'a, T>(random: &mut StdRng, all: &'a [T]) -> &'a T {
    &all[random.random_range(0..all.len())]
}

fn victim(random: &mut StdRng) -> Victim {
    match random.random_range(0..10) {
        0..3 => Victim::Leader,
        3..6 => Victim::Holder,
        6..8 => Victim::Executor,
        8 => Victim::Worker,
        _ => Victim::Number(random.random_range(0..4)),
    }
}

/// Before the point of no return an abort is accepted, and a stranger is still let in.
const EARLY: [ActionKind; 9] = [
    ActionKind::StageRelease,
    ActionKind::Drain,
    ActionKind::StopService,
    ActionKind::ProveNoWriters,
    ActionKind::Backup,
    ActionKind::ProveBackup,
    ActionKind::ShutDoor,
    ActionKind::MintCredential,
    ActionKind::AdmitHolder,
];

/// What an offline rollout and its restore are made of; a fault that waits for another step would never strike.
const OFFLINE: [ActionKind; 18] = [
    ActionKind::StageRelease,
    ActionKind::Drain,
    ActionKind::StopService,
    ActionKind::ProveNoWriters,
    ActionKind::Backup,
    ActionKind::ProveBackup,
    ActionKind::ShutDoor,
    ActionKind::MintCredential,
    ActionKind::AdmitHolder,
    ActionKind::UpgradeDatabase,
    ActionKind::CloseGrant,
    ActionKind::OpenDoor,
    ActionKind::SwitchRelease,
    ActionKind::StartService,
    ActionKind::Prove,
    ActionKind::Admit,
    ActionKind::Run,
    ActionKind::RestoreDatabase,
];

/// When a kind of fault strikes, where not just any time will do.
fn aimed(random: &mut StdRng, kind: Kind) -> Option<(Trigger, u64)> {
    match kind {
        Kind::Person(Order::Abort) if random.random_bool(0.8) => {
            Some((Trigger::On(*pick(random, &EARLY), random.random_range(0..200)), 0))
        }
        Kind::Stranger => Some((Trigger::On(*pick(random, &EARLY), random.random_range(0..100)), 1_500)),
        Kind::Misfortune(_) | Kind::Slowness(_) | Kind::Echo(_) => {
            Some((Trigger::After(random.random_range(0..3_000)), 8_000))
        }
        _ => None,
    }
}

fn trigger(random: &mut StdRng) -> Trigger {
    match random.random_range(0..10) {
        0..5 => Trigger::InGrant(random.random_range(0..2_500)),
        5..8 => Trigger::On(*pick(random, &OFFLINE), random.random_range(0..150)),
        _ => Trigger::After(random.random_range(0..6_000)),
    }
}

fn fault(random: &mut StdRng, lost: u64) -> Fault {
    let kind = kind(random);
    let trigger = trigger(random);
    let lasts = lasts(random, lost);
    let (trigger, lasts) = aimed(random, kind).unwrap_or((trigger, lasts));
    Fault { trigger, kind, lasts }
}

/// Every third fault lasts longer than any time-out.
fn lasts(random: &mut StdRng, lost: u64) -> u64 {
    match random.random_range(0..3) {
        0 => random.random_range(100..1_000),
        1 => random.random_range(1_000..lost),
        _ => random.random_range(lost..lost + 4_000),
    }
}

/// What hurts most inside an open grant.
fn hard(random: &mut StdRng) -> Kind {
    let who = if random.random_bool(0.6) { Victim::Holder } else { Victim::Executor };
    match random.random_range(0..8) {
        0..2 => Kind::Partition(who),
        2 => Kind::Kill(who),
        3 => Kind::Power(who),
        4 => Kind::Torn(who, random.random_range(1..8)),
        5 => Kind::Stop(who),
        _ => Kind::Suspend(who),
    }
}

fn kind(random: &mut StdRng) -> Kind {
    let who = victim(random);
    match random.random_range(0..100) {
        0..6 => Kind::Loss(who, *pick(random, &[5, 20, 100])),
        6..11 => Kind::Delay(who, *pick(random, &[100, 400, 1_500])),
        11..15 => Kind::Hold(who),
        15..25 => Kind::Partition(who),
        25..29 => Kind::Mute(who),
        29..33 => Kind::Deaf(who),
        33..42 => Kind::Kill(who),
        42..48 => Kind::Power(who),
        48..56 => Kind::Torn(who, random.random_range(1..8)),
        56..63 => Kind::Stop(who),
        63..70 => Kind::Suspend(who),
        70..73 => Kind::Skew(who, *pick(random, &[-3_600_000, -5_000, 5_000, 3_600_000])),
        73..75 => Kind::Drift(who, *pick(random, &[-500, 500])),
        75..78 => Kind::Cut(who, Thing::Database),
        78..79 => Kind::Cut(who, Thing::Balancer),
        79..83 => Kind::Misfortune(*pick(random, &[100, 400])),
        83..85 => Kind::Slowness(random.random_range(2..5)),
        85..89 => Kind::Stranger,
        89..92 => Kind::Echo(500),
        92..94 => Kind::Replay(who),
        94 => Kind::Person(Order::Pause),
        95..99 => Kind::Person(Order::Abort),
        _ => Kind::Person(Order::ApplyAgain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        for seed in 0..50 {
            assert_eq!(Schedule::new(seed), Schedule::new(seed));
        }
        assert_ne!(Schedule::new(1), Schedule::new(2));
    }

    #[test]
    fn most_seeds_aim_at_the_open_grant() {
        let aims = |seed: &u64| {
            Schedule::new(*seed).faults.iter().any(|fault| matches!(fault.trigger, Trigger::InGrant(_)))
        };
        let aimed = (0..1_000).filter(aims).count();
        assert!(aimed > 800, "{aimed} of 1000");
    }
}
