//! One seed: the group is made, a rollout is started, faults strike, faults stop, the rollout ends. Judged all the time.

use crate::{
    bed::{Bed, Make},
    fault::{Nemesis, Scene, Schedule},
    invariant::{Case, Dump, Invariants},
    liveness::{self, Stuck},
    paths,
    plant::{self, Planted},
    plot::Plot,
    report::Report,
    tier::Tier,
    trace::Trace,
    watch::Watch,
    world::{Shared, World},
};
use lockkeeper_coordinator::raft::Tuning;
use std::{cell::RefCell, sync::Once};

/// A rollout must have begun by then: nothing has gone wrong yet.
const BEGIN_WITHIN_MS: u64 = 20_000;

/// Faults stop at the latest so long after the rollout began, ms.
const FAULTS_MS: u64 = 25_000;

/// A process that the plot killed, or that fell with a statement under way, is started again so long afterwards, ms.
const BACK_MS: u64 = 500;

/// How often the rollout's stage is looked at for triggers, ms.
const SCENE_EVERY: u64 = 5;

/// What a run is asked to do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask {
    /// Decides everything.
    pub seed: u64,
    /// A bug that is planted.
    pub plant: Option<Planted>,
    /// Whether the trace's lines are kept for people.
    pub keep: bool,
    /// How much of the stack is there.
    pub tier: Tier,
    /// What goes wrong.
    pub plot: Plot,
}

/// A run under way.
struct Run {
    bed: Bed,
    invariants: Invariants,
    trace: Trace,
    nemesis: Nemesis,
    lines: usize,
    seen: usize,
    deeds: usize,
    /// What is still to be done of the plot.
    plot: Option<Plot>,
    before: Dump,
}

/// Runs one seed. Once in the life of a thread: `futures::select!` keeps a random number by thread.
pub fn run(ask: Ask) -> (Report, Vec<String>) {
    plant::plant(ask.plant);
    catch_panics();
    let schedule = match ask.plot {
        Plot::Seed => Schedule::new(ask.seed),
        _ => Schedule::quiet(ask.seed),
    };
    let cluster = schedule.shape.cluster();
    let mut world = World::new(ask.seed, &cluster.members, &cluster.witnesses, schedule.shape.tool);
    world.strike = ask.plot.effect();
    let before = Dump::of(&world);
    let tuning = Tuning {
        snapshot_entries: schedule.snapshot_entries,
        entries_kept: schedule.snapshot_entries / 4,
        ..Tuning::default()
    };
    let world = Shared::new(world);
    let latency_max = schedule.latency_max;
    let bed = Bed::new(Make { seed: ask.seed, cluster, tuning, world, latency_max, tier: ask.tier });
    let mut run = Run {
        bed,
        invariants: Invariants::default(),
        trace: if ask.keep { Trace::keeping() } else { Trace::default() },
        nemesis: Nemesis::new(schedule.faults.clone(), schedule.latency_max),
        lines: 0,
        seen: 0,
        deeds: 0,
        plot: Some(ask.plot),
        before,
    };
    run.trace.add(&format!("{schedule:?}"));
    // A task that panics ends its runtime, and that ends this: the report is made all the same.
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.play(&schedule)));
    let mut stuck = match played {
        Ok(played) => played.err(),
        Err(_) => Some(Stuck::Panic("the simulation ended".into())),
    };
    if let Some(panic) = PANICS.take().into_iter().next() {
        stuck = Some(Stuck::Panic(panic));
    }
    let report = run.report(ask, &schedule, stuck.as_ref());
    (report, run.trace.kept().to_vec())
}

thread_local! {
    /// Panics of tasks that this thread simulates.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Panics of simulated tasks are kept; the simulation goes on as a process's others would.
fn catch_panics() {
    static ONCE: Once = Once::new();
    PANICS.take();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| PANICS.with_borrow_mut(|panics| panics.push(info.to_string()))));
    });
}

impl Run {
    fn play(&mut self, schedule: &Schedule) -> Result<(), Stuck> {
        let failed = |error: std::io::Error| Stuck::Panic(error.to_string());
        if let Some(number) = schedule.out_before {
            self.bed.world.lock().take_out(number);
        }
        if schedule.hasty {
            self.bed.people.be_hasty();
        }
        self.bed.start().map_err(failed)?;
        while !self.bed.people.begun() {
            self.step()?;
            if self.bed.now.ms() > BEGIN_WITHIN_MS {
                let lost = self.bed.people.lost().unwrap_or_default();
                let deeds: Vec<_> = self.bed.people.deeds().iter().map(|deed| deed.answer.clone()).collect();
                return Err(Stuck::NoBegin(format!("{lost} {deeds:?}")));
            }
        }
        if schedule.eager {
            self.bed.people.be_eager();
        }
        let begun = self.bed.now.ms();
        let mut scene = Scene::default();
        while !self.nemesis.is_done() && self.bed.now.ms() < begun + FAULTS_MS && scene.ended == 0 {
            self.step()?;
            if self.bed.now.ms().is_multiple_of(SCENE_EVERY) {
                scene = Scene::of(&self.bed.watch);
                self.nemesis.act(&mut self.bed, &scene, begun);
            }
        }
        self.nemesis.calm(&mut self.bed);
        self.trace.add(&format!("{:>8} faults are over", self.bed.now.ms()));
        self.settle()
    }

    fn settle(&mut self) -> Result<(), Stuck> {
        self.bed.people.settle();
        let until = self.bed.now.ms() + liveness::END_WITHIN_MS;
        while self.bed.people.outcome().is_none() {
            self.step()?;
            if self.bed.now.ms().is_multiple_of(250) {
                liveness::check_waits(&self.bed.people.waits())?;
            }
            if self.bed.now.ms() > until {
                let waits = liveness::told(&self.bed.people.waits());
                return Err(Stuck::NoEnd { within: liveness::END_WITHIN_MS, waits });
            }
        }
        // What is still under way arrives before the end is judged.
        while !self.bed.world.lock().late.is_empty() {
            self.step()?;
        }
        let until = self.bed.now.ms() + liveness::AGREE_WITHIN_MS;
        while !(liveness::agree(&self.bed) && self.bed.all_up()) {
            self.step()?;
            if self.bed.now.ms() > until {
                let applied: Vec<_> =
                    self.bed.names().map(|n| (n.to_string(), self.bed.watch.applied(n))).collect();
                return Err(Stuck::Disagree(format!("{applied:?}")));
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Stuck> {
        self.bed.step().map_err(|error| Stuck::Panic(error.to_string()))?;
        self.follow_plot();
        let fallen = self.bed.world.lock().fallen.take();
        if let Some(who) = fallen {
            self.bed.kill(&who, self.bed.now.ms() + BACK_MS);
        }
        self.judge();
        Ok(())
    }

    /// Kills whom the plot says, once, where it says.
    fn follow_plot(&mut self) {
        let who = match self.plot {
            Some(Plot::KillAtIndex(index, victim) | Plot::PowerAtIndex(index, victim)) => {
                if self.bed.watch.newest().is_none_or(|state| state.applied.0 < index) {
                    return;
                }
                victim.find(&self.bed, &Scene::of(&self.bed.watch))
            }
            Some(Plot::KillAtEffect(..) | Plot::PowerAtEffect(..)) => {
                let struck = self.bed.world.lock().struck.take();
                let Some(who) = struck else { return };
                Some(who)
            }
            Some(Plot::Seed | Plot::Quiet) | None => return,
        };
        let power = self.plot.take().is_some_and(Plot::is_power);
        let again = self.bed.now.ms() + BACK_MS;
        match who {
            Some(who) if power => self.bed.power_off(&who, again),
            Some(who) => self.bed.kill(&who, again),
            None => {}
        }
    }

    /// Looks at what is new, with every oracle.
    fn judge(&mut self) {
        let seen = self.bed.watch.since(self.seen);
        self.seen += seen.len();
        let deeds = self.bed.people.deeds_since(self.deeds);
        self.deeds += deeds.len();
        let (approved, over) = (self.bed.people.approved(), self.bed.people.outcome());
        let world = self.bed.world.lock();
        let lines = world.books.lines().get(self.lines..).unwrap_or_default();
        for line in lines {
            self.trace.line(line);
        }
        for seen in &seen {
            self.trace.seen(seen);
        }
        for deed in &deeds {
            self.trace.deed(deed);
        }
        let now = self.bed.now.ms();
        let case =
            Case { now, world: &world, lines, seen: &seen, approved: approved.as_ref(), over: over.as_ref() };
        self.invariants.look(&case);
        self.lines = world.books.lines().len();
    }

    fn report(&mut self, ask: Ask, schedule: &Schedule, stuck: Option<&Stuck>) -> Report {
        for strike in self.nemesis.strikes() {
            self.trace.add(&format!("{strike:?}"));
        }
        for violation in self.invariants.broken() {
            self.trace.add(&format!("BROKEN {violation}"));
        }
        let broken: Vec<_> =
            self.invariants.broken().map(|v| (v.name.as_str().to_owned(), v.to_string())).collect();
        let paths = paths::reached(&self.bed, self.nemesis.strikes(), schedule);
        let (differences, effects) = {
            let world = self.bed.world.lock();
            (self.before.differences(&Dump::of(&world)), world.effects)
        };
        Report {
            seed: ask.seed,
            tier: ask.tier,
            plant: ask.plant.map(|plant| plant.as_str().to_owned()),
            trace: self.trace.hash(),
            lines: self.trace.count(),
            virtual_ms: self.bed.now.ms(),
            outcome: self.bed.people.outcome().map(|outcome| format!("{outcome:?}")),
            broken,
            stuck: stuck.map(|stuck| (stuck.word().to_owned(), stuck.to_string())),
            faults: self.nemesis.strikes().iter().map(|strike| strike.kind.word().to_owned()).collect(),
            in_grant: self.nemesis.strikes().iter().any(|strike| strike.in_grant),
            paths: paths.into_iter().map(|path| path.as_str().to_owned()).collect(),
            differences,
            effects,
            first_entry: first_entry(&self.bed.watch),
            last_entry: self.bed.watch.newest().map_or(0, |state| state.applied.0),
        }
    }
}

/// The entry that started the first rollout.
fn first_entry(watch: &Watch) -> u64 {
    let Some(state) = watch.newest() else { return 0 };
    let past = state.history.iter().map(|rollout| rollout.id.0);
    past.chain(state.rollout.as_ref().map(|rollout| rollout.id.0)).min().unwrap_or(0)
}
