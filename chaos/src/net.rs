//! What lies between machines: turmoil's network under the whole stack, or the ether of the light tier. The same can be
//! done to both.

use crate::{light::Ether, sim::Card};
use lockkeeper_core::ids::MemberName;
use std::time::Duration;

/// See the module.
pub enum Net {
    /// TCP by turmoil.
    Turmoil(Box<turmoil::Sim<'static>>),
    /// Messages and a log that is there for everybody.
    Ether(Ether),
}

impl Net {
    /// Moves on; the ether to `now`.
    pub fn step(&mut self, now: u64) -> Result<(), Box<dyn std::error::Error>> {
        match self {
            Net::Turmoil(sim) => sim.step().map(|_| ()),
            Net::Ether(ether) => {
                ether.step(now);
                Ok(())
            }
        }
    }

    /// A machine loses its power.
    pub fn crash(&mut self, name: &MemberName) {
        match self {
            Net::Turmoil(sim) => sim.crash(name.as_str()),
            Net::Ether(ether) => ether.detach(name),
        }
    }

    /// It is on again.
    pub fn bounce(&mut self, name: &MemberName) {
        match self {
            Net::Turmoil(sim) => sim.bounce(name.as_str()),
            // A process attaches itself.
            Net::Ether(_) => {}
        }
    }

    /// A process is gone.
    pub fn killed(&self, name: &MemberName) {
        if let Net::Ether(ether) = self {
            ether.detach(name);
        }
    }

    /// A process stands still or goes on.
    pub fn set_frozen(&self, name: &MemberName, frozen: bool) {
        if let Net::Ether(ether) = self {
            ether.set_frozen(name, frozen);
        }
    }

    /// A machine is plugged in.
    pub fn connect(&mut self, name: &str, card: &Card) {
        if let Net::Turmoil(sim) = self {
            let software = card.clone();
            sim.host(name, move || software.clone().run());
        }
    }

    /// This share of the messages between two is lost.
    pub fn set_loss(&mut self, a: &MemberName, b: &MemberName, share: f64) {
        match self {
            Net::Turmoil(sim) => sim.set_link_fail_rate(a.as_str(), b.as_str(), share),
            Net::Ether(ether) => ether.both(a, b, |way| way.loss = share),
        }
    }

    /// Messages between two take at least `ms`.
    pub fn set_delay(&mut self, a: &MemberName, b: &MemberName, ms: u64) {
        match self {
            Net::Turmoil(sim) => sim.set_link_latency(a.as_str(), b.as_str(), Duration::from_millis(ms)),
            Net::Ether(ether) => ether.both(a, b, |way| way.delay = ms),
        }
    }

    /// And ordinarily at most `max` again.
    pub fn end_delay(&mut self, a: &MemberName, b: &MemberName, max: u64) {
        match self {
            Net::Turmoil(sim) => {
                sim.set_link_latency(a.as_str(), b.as_str(), Duration::from_millis(1));
                sim.set_link_max_message_latency(a.as_str(), b.as_str(), Duration::from_millis(max));
            }
            Net::Ether(ether) => ether.both(a, b, |way| way.delay = 0),
        }
    }

    /// Messages between two are kept.
    pub fn hold(&mut self, a: &MemberName, b: &MemberName) {
        match self {
            Net::Turmoil(sim) => sim.hold(a.as_str(), b.as_str()),
            Net::Ether(ether) => ether.both(a, b, |way| way.held = true),
        }
    }

    /// What was kept is delivered.
    pub fn release(&mut self, a: &MemberName, b: &MemberName) {
        match self {
            Net::Turmoil(sim) => sim.release(a.as_str(), b.as_str()),
            Net::Ether(ether) => ether.both(a, b, |way| way.held = false),
        }
    }

    /// Neither hears the other.
    pub fn partition(&mut self, a: &MemberName, b: &MemberName) {
        match self {
            Net::Turmoil(sim) => sim.partition(a.as_str(), b.as_str()),
            Net::Ether(ether) => ether.both(a, b, |way| way.cut = true),
        }
    }

    /// What `a` says does not reach `b`.
    pub fn partition_oneway(&mut self, a: &MemberName, b: &MemberName) {
        match self {
            Net::Turmoil(sim) => sim.partition_oneway(a.as_str(), b.as_str()),
            Net::Ether(ether) => ether.one(a, b, |way| way.cut = true),
        }
    }

    /// Both hear each other again.
    pub fn repair(&mut self, a: &MemberName, b: &MemberName) {
        match self {
            Net::Turmoil(sim) => sim.repair(a.as_str(), b.as_str()),
            Net::Ether(ether) => ether.both(a, b, |way| way.cut = false),
        }
    }
}
