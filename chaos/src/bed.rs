//! The whole simulation: machines, network, world and clock, moved on together one tick at a time.
//!
//! Knows what can be done to a machine or a link. Does not know what should be done when: that is in [`crate::fault`].

use crate::{
    cluster::Cluster,
    knobs::Knobs,
    people::{People, Person},
    process::Process,
    sim::{Card, Hello, Machine, Now, Pause, SimClock, SimDialer},
    watch::Watch,
    world::Shared,
};
use lockkeeper_coordinator::raft::Tuning;
use lockkeeper_core::ids::MemberName;
use std::{collections::BTreeMap, io, net::IpAddr, sync::Arc, time::Duration};

/// How far everything moves on at a time, ms. Messages take at least as long.
pub const TICK_MS: u64 = 1;

/// When a process that ended by itself is started again, as systemd does.
const RESTART_MS: u64 = 400;

/// What is counted of the driver's own doings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Machines whose journal lost bytes that were not synced.
    pub journal_lost: u32,
    /// Machines whose store lost bytes that were not synced.
    pub store_lost: u32,
    /// Machines of whose unsynced bytes some survived.
    pub torn: u32,
    /// Processes that ended by themselves.
    pub ended: u32,
}

/// Everything simulated.
pub struct Bed {
    /// Virtual time.
    pub now: Now,
    /// The outside.
    pub world: Shared,
    /// What is seen of the processes.
    pub watch: Watch,
    /// What people do.
    pub people: People,
    /// What is turned meanwhile.
    pub knobs: Knobs,
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// What happened by the driver's doing.
    pub tally: Tally,
    machines: BTreeMap<MemberName, Machine>,
    persons: Vec<Machine>,
    tuning: Tuning,
    sim: turmoil::Sim<'static>,
    /// When ended processes start again.
    restarts: BTreeMap<MemberName, u64>,
    steps: usize,
}

/// What a bed is made of.
pub struct Make {
    /// Decides everything.
    pub seed: u64,
    /// The cluster.
    pub cluster: Cluster,
    /// Snapshot figures.
    pub tuning: Tuning,
    /// The outside.
    pub world: Shared,
    /// Longest delay of a message, ms.
    pub latency_max: u64,
}

impl Bed {
    /// Machines on, processes not started.
    pub fn new(make: Make) -> Self {
        let Make { seed, cluster, tuning, world, latency_max } = make;
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .epoch(std::time::UNIX_EPOCH + Duration::from_millis(crate::sim::clock::EPOCH_MS))
            .simulation_duration(Duration::from_secs(3600))
            .tick_duration(Duration::from_millis(TICK_MS))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(latency_max))
            .tcp_capacity(1 << 16)
            .build();
        let cluster = Arc::new(cluster);
        let mut machines = BTreeMap::new();
        for (number, name) in (1_u64..).zip(cluster.agents()) {
            let card = Card::new(Hello::node(&cluster.id, name));
            let software = card.clone();
            sim.host(name.as_str(), move || software.clone().run());
            let seed = seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d);
            machines.insert(name.clone(), Machine::new(name.as_str(), card, seed));
        }
        let mut persons = Vec::new();
        for (number, person) in (100_u64..).zip(Person::ALL) {
            let card = Card::new(person.hello(&cluster));
            let software = card.clone();
            sim.host(person.name(), move || software.clone().run());
            persons.push(Machine::new(person.name(), card, seed ^ number));
        }
        let (watch, knobs) = (Watch::default(), Knobs::default());
        let (now, people) = (Now::default(), People::default());
        let (restarts, tally) = (BTreeMap::new(), Tally::default());
        Self {
            now, world, watch, people, knobs, cluster, tally, machines, persons, tuning, sim, restarts, steps: 0,
        }
    }

    /// Starts all processes and people.
    pub fn start(&mut self) -> io::Result<()> {
        let names: Vec<_> = self.machines.keys().cloned().collect();
        for name in names {
            self.start_process(&name)?;
        }
        for (machine, person) in self.persons.iter_mut().zip(Person::ALL) {
            let seed = machine.next_seed();
            let dialer = SimDialer::new(machine.card.clone(), self.cluster.places.clone());
            let clock = SimClock::new(self.now.clone(), machine.time.clone());
            let (people, cluster) = (self.people.clone(), self.cluster.clone());
            machine.start(seed, person.live(people, cluster, dialer, clock))?;
        }
        Ok(())
    }

    /// The machines with an agent.
    pub fn names(&self) -> impl Iterator<Item = &MemberName> {
        self.machines.keys()
    }

    /// A machine.
    pub fn machine(&self, name: &MemberName) -> Option<&Machine> {
        self.machines.get(name)
    }

    /// Whether every machine is on, its process running and not frozen.
    pub fn all_up(&self) -> bool {
        self.machines.values().all(|m| m.is_running() && m.paused().is_none())
    }

    fn start_process(&mut self, name: &MemberName) -> io::Result<()> {
        let Some(machine) = self.machines.get_mut(name) else { return Ok(()) };
        let seed = machine.next_seed();
        let process = Process {
            me: name.clone(),
            seed,
            cluster: self.cluster.clone(),
            tuning: self.tuning,
            world: self.world.clone(),
            clock: SimClock::new(self.now.clone(), machine.time.clone()),
            now: self.now.clone(),
            power: machine.power.clone(),
            card: machine.card.clone(),
            watch: self.watch.clone(),
            knobs: self.knobs.clone(),
        };
        machine.start(seed, process.run())
    }

    /// Everything moves on by one tick.
    pub fn step(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        self.sim.step()?;
        self.now.advance(TICK_MS);
        let now = self.now.ms();
        self.world.lock().advance(now);
        self.tick_machines(now);
        let due: Vec<_> = self.restarts.iter().filter(|(_, at)| **at <= now).map(|(n, _)| n.clone()).collect();
        for name in due {
            self.restarts.remove(&name);
            self.switch_on(&name)?;
        }
        self.steps += 1;
        Ok(())
    }

    fn tick_machines(&mut self, now: u64) {
        let tick = Duration::from_millis(TICK_MS);
        let mut ended = Vec::new();
        // Another one goes first each time.
        let count = self.machines.len();
        let first = self.steps.checked_rem(count).unwrap_or(0);
        let order = (0..count).map(|at| (at + first) % count);
        let names: Vec<_> = self.machines.keys().cloned().collect();
        for name in order.filter_map(|at| names.get(at)) {
            let Some(machine) = self.machines.get_mut(name) else { continue };
            if machine.tick(tick) {
                ended.push((name.clone(), machine.power.is_off()));
            } else if machine.is_running() && machine.power.is_off() {
                ended.push((name.clone(), true));
            }
        }
        for machine in &mut self.persons {
            machine.tick(tick);
        }
        for (name, dark) in ended {
            if dark {
                self.go_dark(&name, now + RESTART_MS * 3);
            } else {
                self.tally.ended += 1;
                self.kill(&name, now + RESTART_MS);
            }
        }
    }

    /// Ends the process like `kill -9`; it is started again at `again`.
    pub fn kill(&mut self, name: &MemberName, again: u64) {
        if let Some(machine) = self.machines.get_mut(name) {
            machine.kill();
            self.restarts.insert(name.clone(), again);
        }
    }

    /// Power loss; on again at `again`.
    pub fn power_off(&mut self, name: &MemberName, again: u64) {
        if let Some(machine) = self.machines.get(name) {
            machine.power.cut();
        }
        self.go_dark(name, again);
    }

    fn go_dark(&mut self, name: &MemberName, again: u64) {
        if let Some(machine) = self.machines.get_mut(name) {
            machine.kill();
            self.sim.crash(name.as_str());
            self.world.lock().power_off(name);
            self.restarts.insert(name.clone(), again);
        }
    }

    /// Whatever is missing of a machine comes back.
    fn switch_on(&mut self, name: &MemberName) -> io::Result<()> {
        let Some(machine) = self.machines.get_mut(name) else { return Ok(()) };
        if machine.power.is_off() {
            let damage = machine.power.restore();
            machine.time.switch_on(self.now.ms());
            self.tally.journal_lost += u32::from(damage.journal_lost > 0);
            self.tally.store_lost += u32::from(damage.store_lost > 0);
            self.tally.torn += u32::from(damage.torn);
            self.sim.bounce(name.as_str());
            self.world.lock().power_on(name);
        }
        if machine.is_running() { Ok(()) } else { self.start_process(name) }
    }

    /// The process, and with `whole` the whole machine, stands still.
    pub fn freeze(&mut self, name: &MemberName, pause: Pause, whole: bool) {
        let now = self.now.ms();
        if let Some(machine) = self.machines.get_mut(name)
            && machine.is_running()
        {
            machine.freeze(pause, now);
            if whole {
                self.world.lock().set_frozen(name, true);
            }
        }
    }

    /// It goes on; answers how long it stood still, ms.
    pub fn thaw(&mut self, name: &MemberName) -> u64 {
        let now = self.now.ms();
        let frozen = self.world.lock().sites.get(name).is_some_and(|site| site.frozen);
        if frozen {
            self.world.lock().set_frozen(name, false);
        }
        self.machines.get_mut(name).map_or(0, |machine| machine.thaw(now))
    }

    /// The network between machines, to do things to.
    pub const fn net(&mut self) -> &mut turmoil::Sim<'static> {
        &mut self.sim
    }

    /// A machine's address in the network.
    pub fn ip(&self, name: &MemberName) -> IpAddr {
        self.sim.lookup(name.as_str())
    }
}
