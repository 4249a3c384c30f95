//! The whole simulation: machines, network, world and clock, moved on together one tick at a time.
//!
//! Knows what can be done to a machine or a link. Does not know what should be done when: that is in [`crate::fault`].

use crate::{
    cluster::Cluster,
    found,
    knobs::Knobs,
    light::{self, Ether, LightOffice, MakeEther},
    net::Net,
    people::{Counter, People, Person},
    process::Process,
    sim::{Card, Hello, Machine, Now, Pause, SimClock, SimDialer, clock::EPOCH_MS},
    tier::Tier,
    watch::Watch,
    world::Shared,
};
use lockkeeper_coordinator::{limits::MESSAGE_MAX, raft::Tuning};
use lockkeeper_core::ids::MemberName;
use lockkeeper_proto::{
    client::operator::OperatorClient,
    transport::{Dialer as _, ExpectedPeer},
};
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

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
    /// Machines whose store lost bytes with its power, and when they came back.
    pub losses: Vec<(MemberName, u64)>,
    machines: BTreeMap<MemberName, Machine>,
    persons: Vec<Machine>,
    tuning: Tuning,
    net: Net,
    tier: Tier,
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
    /// How much of the stack is there.
    pub tier: Tier,
}

impl Bed {
    /// Machines on, processes not started.
    pub fn new(make: Make) -> Self {
        let Make { seed, cluster, tuning, world, latency_max, tier } = make;
        let cluster = Arc::new(cluster);
        let watch = if tier == Tier::Light { Watch::sparse() } else { Watch::default() };
        let mut net = match tier {
            Tier::Whole => Net::Turmoil(Box::new(turmoil_net(seed, latency_max))),
            Tier::Light => Net::Ether(ether(seed, &cluster, latency_max, tuning, &watch)),
        };
        let mut machines = BTreeMap::new();
        for (number, name) in (1_u64..).zip(cluster.agents()) {
            let card = Card::new(Hello::node(&cluster.id, name));
            net.connect(name.as_str(), &card);
            let seed = seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d);
            machines.insert(name.clone(), Machine::new(name.as_str(), card, seed));
        }
        let mut persons = Vec::new();
        for (number, person) in (100_u64..).zip(Person::ALL) {
            let card = Card::new(person.hello(&cluster));
            net.connect(person.name(), &card);
            persons.push(Machine::new(person.name(), card, seed ^ number));
        }
        let (now, people, knobs) = (Now::default(), People::default(), Knobs::default());
        let (restarts, tally) = (BTreeMap::new(), Tally::default());
        Self {
            now,
            world,
            watch,
            people,
            knobs,
            cluster,
            tally,
            losses: Vec::new(),
            machines,
            persons,
            tuning,
            net,
            tier,
            restarts,
            steps: 0,
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
            let counters = counters(person, &self.cluster, &self.net, &machine.card);
            let clock = SimClock::new(self.now.clone(), machine.time.clone());
            let (people, cluster) = (self.people.clone(), self.cluster.clone());
            machine.start(seed, person.live(people, cluster, counters, clock))?;
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
        match &self.net {
            Net::Turmoil(_) => machine.start(seed, process.run()),
            Net::Ether(ether) => machine.start(seed, light::run(process, ether.clone())),
        }
    }

    /// Everything moves on by one tick.
    pub fn step(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        self.now.advance(self.tier.tick_ms());
        let now = self.now.ms();
        self.net.step(now)?;
        self.world.lock().advance(now);
        self.tick_machines(now);
        let due: Vec<_> =
            self.restarts.iter().filter(|(_, at)| **at <= now).map(|(n, _)| n.clone()).collect();
        for name in due {
            self.restarts.remove(&name);
            self.switch_on(&name)?;
        }
        self.steps += 1;
        Ok(())
    }

    fn tick_machines(&mut self, now: u64) {
        let tick = Duration::from_millis(self.tier.tick_ms());
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
            self.net.killed(name);
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
            self.net.crash(name);
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
            if damage.store_lost > 0 {
                self.losses.push((name.clone(), self.now.ms()));
            }
            self.net.bounce(name);
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
            self.net.set_frozen(name, true);
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
        self.net.set_frozen(name, false);
        self.machines.get_mut(name).map_or(0, |machine| machine.thaw(now))
    }

    /// Says again what a machine said before.
    pub fn replay(&self, name: &MemberName) {
        match (&self.net, self.machines.get(name)) {
            (Net::Turmoil(_), Some(machine)) => {
                for recording in machine.card.recordings() {
                    machine.card.replay(recording);
                }
            }
            (Net::Ether(ether), _) => ether.replay(name),
            (Net::Turmoil(_), None) => {}
        }
    }

    /// The network between machines, to do things to.
    pub const fn net(&mut self) -> &mut Net {
        &mut self.net
    }
}

fn turmoil_net(seed: u64, latency_max: u64) -> turmoil::Sim<'static> {
    turmoil::Builder::new()
        .rng_seed(seed)
        .epoch(std::time::UNIX_EPOCH + Duration::from_millis(EPOCH_MS))
        .simulation_duration(Duration::from_secs(3600))
        .tick_duration(Duration::from_millis(Tier::Whole.tick_ms()))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(latency_max))
        .tcp_capacity(1 << 16)
        .build()
}

fn ether(seed: u64, cluster: &Cluster, latency: u64, tuning: Tuning, watch: &Watch) -> Ether {
    let seat = |name: &MemberName| (name.clone(), cluster.node(name), cluster.address(name));
    Ether::new(MakeEther {
        seed,
        seats: cluster.agents().map(seat).collect(),
        latency,
        snapshot_every: tuning.snapshot_entries,
        founding: found::entries(cluster, EPOCH_MS),
        watch: watch.clone(),
    })
}

/// Makes a person's way to each agent. A channel belongs to the runtime it is made in, so this is called on the person's
/// own machine.
#[expect(clippy::unwrap_used, reason = "people's names are literals that are valid")]
fn counters(person: Person, cluster: &Cluster, net: &Net, card: &Card) -> impl FnOnce() -> Vec<Counter> + use<> {
    let dialer = SimDialer::new(card.clone(), cluster.places.clone());
    let me = MemberName::new(person.name()).unwrap();
    let ether = match net {
        Net::Turmoil(_) => None,
        Net::Ether(ether) => Some(ether.clone()),
    };
    let agents: Vec<_> = cluster.agents().map(|agent| (agent.clone(), cluster.address(agent))).collect();
    move || {
        let counter = |(agent, address): (MemberName, String)| match &ether {
            None => {
                let channel = dialer.channel(&address, ExpectedPeer::AnyNode);
                Counter::Client(OperatorClient::new(channel, MESSAGE_MAX))
            }
            Some(ether) => Counter::Office(LightOffice::new(me.clone(), person.role(), agent, ether.clone())),
        };
        agents.into_iter().map(counter).collect()
    }
}
