//! Does faults to the bed when their triggers come, and undoes them when their time is over.

use super::{
    kind::{Kind, Victim},
    scene::Scene,
    schedule::{Fault, Trigger},
};
use crate::{
    bed::Bed,
    net::Net,
    people::Order,
    sim::Pause,
    world::{Hold, Login, Thing},
};
use lockkeeper_core::ids::MemberName;
use std::collections::BTreeMap;

/// How long a killed process stays away at least and at most, ms: whoever watches over it starts it again soon.
const AWAY_MS: u64 = 300;
const BACK_MS: u64 = 1_200;

/// A fault that struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// When, virtual ms.
    pub at: u64,
    /// What.
    pub kind: Kind,
    /// Whom.
    pub who: Option<MemberName>,
    /// How long it lasts, ms.
    pub lasts: u64,
    /// Whether a grant was open then.
    pub in_grant: bool,
    /// Whether it befell the holder of that grant.
    pub holder: bool,
}

struct Healing {
    at: u64,
    kind: Kind,
    who: Option<MemberName>,
}

/// The one who does it.
pub struct Nemesis {
    waiting: Vec<Fault>,
    /// Since when a trigger's condition holds.
    armed: BTreeMap<usize, u64>,
    healing: Vec<Healing>,
    strikes: Vec<Strike>,
    latency_max: u64,
}

impl Nemesis {
    /// For these faults, on a network whose messages ordinarily take up to `latency_max` ms.
    pub fn new(faults: Vec<Fault>, latency_max: u64) -> Self {
        Self {
            waiting: faults,
            armed: BTreeMap::new(),
            healing: Vec::new(),
            strikes: Vec::new(),
            latency_max,
        }
    }

    /// Whether everything struck and was undone.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.healing.is_empty()
    }

    /// What struck.
    pub fn strikes(&self) -> &[Strike] {
        &self.strikes
    }

    /// Does what is due now. `begun` is when the rollout began.
    pub fn act(&mut self, bed: &mut Bed, scene: &Scene, begun: u64) {
        let now = bed.now.ms();
        let due: Vec<_> = {
            let (due, later) = std::mem::take(&mut self.healing).into_iter().partition(|h| h.at <= now);
            self.healing = later;
            due
        };
        for healing in due {
            self.heal(bed, healing.kind, healing.who.as_ref());
        }
        let mut striking = Vec::new();
        for (number, fault) in self.waiting.iter().enumerate() {
            let (holds, delay) = match fault.trigger {
                Trigger::After(ms) => (true, ms),
                Trigger::InGrant(ms) => (scene.holder.is_some(), ms),
                Trigger::On(kind, ms) => (scene.assigned.contains_key(&kind), ms),
            };
            if holds {
                let since = match fault.trigger {
                    Trigger::After(_) => begun,
                    Trigger::InGrant(_) | Trigger::On(..) => *self.armed.entry(number).or_insert(now),
                };
                if now >= since + delay {
                    striking.push(number);
                }
            }
        }
        // Numbers change with each removal, so the last one goes first; what was armed is armed anew.
        for number in striking.into_iter().rev() {
            let fault = self.waiting.remove(number);
            self.armed = BTreeMap::new();
            self.strike(bed, scene, fault);
        }
    }

    /// Faults are over: everything is undone at once.
    pub fn calm(&mut self, bed: &mut Bed) {
        self.waiting.clear();
        for healing in std::mem::take(&mut self.healing) {
            self.heal(bed, healing.kind, healing.who.as_ref());
        }
        bed.knobs.set_echo(0);
        let mut world = bed.world.lock();
        world.luck.per_mille = 0;
        world.luck.slowness = 1;
        world.cut.clear();
        world.hold = None;
        world.kick(|login| *login == Login::Stranger);
    }

    fn strike(&mut self, bed: &mut Bed, scene: &Scene, fault: Fault) {
        let now = bed.now.ms();
        let who = find(bed, scene, fault.kind);
        let holder = scene.holder.is_some() && who == scene.holder;
        let in_grant = scene.holder.is_some();
        let struck =
            Strike { at: now, kind: fault.kind, who: who.clone(), lasts: fault.lasts, in_grant, holder };
        self.strikes.push(struck);
        tracing::info!(now, kind = %fault.kind, who = ?who, lasts = fault.lasts, "strikes");
        do_it(bed, scene, &fault, who.as_ref(), now + fault.lasts);
        self.healing.push(Healing { at: now + fault.lasts, kind: fault.kind, who });
    }

    fn heal(&self, bed: &mut Bed, kind: Kind, who: Option<&MemberName>) {
        match (kind, who) {
            (Kind::Loss(..), Some(who)) => ways(bed, who, |net, a, b| net.set_loss(a, b, 0.0)),
            (Kind::Delay(..), Some(who)) => {
                let max = self.latency_max;
                ways(bed, who, |net, a, b| net.end_delay(a, b, max));
            }
            (Kind::Hold(_), Some(who)) => ways(bed, who, |net, a, b| net.release(a, b)),
            (Kind::Partition(_) | Kind::Mute(_) | Kind::Deaf(_), Some(who)) => {
                ways(bed, who, |net, a, b| net.repair(a, b));
            }
            (Kind::Stop(_) | Kind::Suspend(_), Some(who)) => drop(bed.thaw(who)),
            (Kind::Skew(..), Some(who)) => with_time(bed, who, |time| time.set_skew(0)),
            // A drifting clock stays one; undoing it would be a jump of the boot clock, which never happens.
            (Kind::Drift(..), _) => {}
            (Kind::Cut(_, thing), Some(who)) => {
                bed.world.lock().cut.remove(&(who.clone(), thing));
            }
            (Kind::Misfortune(_), _) => bed.world.lock().luck.per_mille = 0,
            (Kind::Slowness(_), _) => bed.world.lock().luck.slowness = 1,
            (Kind::Stranger, _) => bed.world.lock().kick(|login| *login == Login::Stranger),
            (Kind::Echo(_), _) => bed.knobs.set_echo(0),
            // What is under way arrives in any case.
            (Kind::Late { .. }, _) => bed.world.lock().hold = None,
            (Kind::Person(Order::Pause), _) => bed.people.order(Order::Resume),
            (Kind::Kill(_) | Kind::Power(_) | Kind::Torn(..) | Kind::Replay(_) | Kind::Person(_), _)
            | (_, None) => {}
        }
    }
}

fn with_time(bed: &Bed, who: &MemberName, change: impl FnOnce(&crate::sim::MachineTime)) {
    if let Some(machine) = bed.machine(who) {
        change(&machine.time);
    }
}

/// Does something to every way between the victim and the others.
fn ways(bed: &mut Bed, who: &MemberName, act: impl Fn(&mut Net, &MemberName, &MemberName)) {
    let others: Vec<_> = bed.names().filter(|name| *name != who).cloned().collect();
    for other in others {
        act(bed.net(), who, &other);
    }
}

fn find(bed: &Bed, scene: &Scene, kind: Kind) -> Option<MemberName> {
    let victim = match kind {
        Kind::Loss(who, _)
        | Kind::Delay(who, _)
        | Kind::Hold(who)
        | Kind::Partition(who)
        | Kind::Mute(who)
        | Kind::Deaf(who)
        | Kind::Kill(who)
        | Kind::Power(who)
        | Kind::Torn(who, _)
        | Kind::Stop(who)
        | Kind::Suspend(who)
        | Kind::Skew(who, _)
        | Kind::Drift(who, _)
        | Kind::Cut(who, _)
        | Kind::Replay(who) => who,
        Kind::Misfortune(_)
        | Kind::Slowness(_)
        | Kind::Stranger
        | Kind::Echo(_)
        | Kind::Late { .. }
        | Kind::Person(_) => {
            return None;
        }
    };
    victim.find(bed, scene)
}

impl Victim {
    /// Who that is now.
    pub fn find(self, bed: &Bed, scene: &Scene) -> Option<MemberName> {
        let first = || bed.names().next().cloned();
        match self {
            Victim::Leader => scene.leader.clone().or_else(first),
            Victim::Holder => scene.holder.clone().or_else(|| scene.leader.clone()).or_else(first),
            Victim::Executor => scene.executor.clone().or_else(|| scene.leader.clone()).or_else(first),
            Victim::Worker => scene.assigned.values().next().cloned().or_else(first),
            Victim::Number(number) => {
                let count = bed.names().count();
                bed.names().nth(number.checked_rem(count)?).cloned()
            }
        }
    }
}

fn do_it(bed: &mut Bed, scene: &Scene, fault: &Fault, who: Option<&MemberName>, until: u64) {
    match (fault.kind, who) {
        (Kind::Loss(_, rate), Some(who)) => {
            ways(bed, who, |net, a, b| net.set_loss(a, b, f64::from(rate) / 1000.0));
        }
        (Kind::Delay(_, ms), Some(who)) => {
            ways(bed, who, |net, a, b| net.set_delay(a, b, ms));
        }
        (Kind::Hold(_), Some(who)) => ways(bed, who, |net, a, b| net.hold(a, b)),
        (Kind::Partition(_), Some(who)) => ways(bed, who, |net, a, b| net.partition(a, b)),
        (Kind::Mute(_), Some(who)) => ways(bed, who, |net, a, b| net.partition_oneway(a, b)),
        (Kind::Deaf(_), Some(who)) => ways(bed, who, |net, a, b| net.partition_oneway(b, a)),
        (Kind::Kill(_), Some(who)) => {
            bed.kill(who, until.clamp(bed.now.ms() + AWAY_MS, bed.now.ms() + BACK_MS))
        }
        (Kind::Power(_), Some(who)) => bed.power_off(who, until.max(bed.now.ms() + AWAY_MS)),
        (Kind::Torn(_, syncs), Some(who)) => {
            if let Some(machine) = bed.machine(who) {
                machine.power.light_fuse(syncs);
            }
        }
        (Kind::Stop(_), Some(who)) => bed.freeze(who, Pause::Stopped, false),
        (Kind::Suspend(_), Some(who)) => bed.freeze(who, Pause::Suspended, true),
        (Kind::Skew(_, ms), Some(who)) => with_time(bed, who, |time| time.set_skew(ms)),
        (Kind::Drift(_, micros), Some(who)) => {
            with_time(bed, who, |time| time.set_drift(micros, bed.now.ms()))
        }
        (Kind::Cut(_, thing), Some(who)) => cut(bed, who, thing),
        (Kind::Misfortune(per_mille), _) => bed.world.lock().luck.per_mille = per_mille,
        (Kind::Slowness(times), _) => bed.world.lock().luck.slowness = times,
        (Kind::Stranger, _) => {
            let mut world = bed.world.lock();
            let site = world.sites.keys().next().cloned();
            if let Some(site) = site {
                world.log_in(&site, Login::Stranger);
            }
        }
        (Kind::Echo(per_mille), _) => bed.knobs.set_echo(per_mille),
        (Kind::Late { dies }, _) => bed.world.lock().hold = Some(Hold { ms: fault.lasts, dies }),
        (Kind::Replay(_), Some(who)) => {
            bed.replay(who);
        }
        (Kind::Person(Order::Retry(_)), _) => bed.people.order(Order::Retry(scene.failed.unwrap_or(1))),
        (Kind::Person(order), _) => bed.people.order(order),
        (_, None) => {}
    }
}

fn cut(bed: &Bed, who: &MemberName, thing: Thing) {
    bed.world.lock().cut.insert((who.clone(), thing));
}
