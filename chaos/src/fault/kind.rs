//! What can go wrong.

use crate::{people::Order, world::Thing};
use std::fmt;

/// Whom a fault befalls; chosen when it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// Who leads.
    Leader,
    /// Who holds the open grant; the leader, if nobody does.
    Holder,
    /// Who works the database's door.
    Executor,
    /// Who has an assignment.
    Worker,
    /// The n-th machine.
    Number(usize),
}

/// One kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Messages on all ways of the victim are lost now and then, per thousand.
    Loss(Victim, u32),
    /// Messages on all ways of the victim take so long, ms.
    Delay(Victim, u64),
    /// Messages on all ways of the victim are kept and delivered together at the end.
    Hold(Victim),
    /// The victim hears nobody and nobody hears it.
    Partition(Victim),
    /// Nobody hears the victim, but it hears everybody.
    Mute(Victim),
    /// The victim hears nobody, but everybody hears it.
    Deaf(Victim),
    /// The agent's process is killed.
    Kill(Victim),
    /// Power loss.
    Power(Victim),
    /// Power loss in the middle of the n-th sync from now.
    Torn(Victim, u32),
    /// The agent's process is stopped by a signal.
    Stop(Victim),
    /// The whole machine is suspended.
    Suspend(Victim),
    /// The victim's wall clock jumps by so many ms.
    Skew(Victim, i64),
    /// The victim's boot clock goes faster or slower, in microseconds a second.
    Drift(Victim, i64),
    /// The victim does not reach a shared thing.
    Cut(Victim, Thing),
    /// Effects go wrong, so many of a thousand.
    Misfortune(u32),
    /// Effects take so many times as long.
    Slowness(u32),
    /// Somebody nobody knows logs in to the database.
    Stranger,
    /// Proposals are said again later, so many of a thousand.
    Echo(u32),
    /// The next statement to the database's ledger arrives late. Its sender is killed meanwhile, or loses its connection
    /// and goes on.
    Late {
        /// Killed.
        dies: bool,
    },
    /// Old connections of the victim are said again, byte by byte.
    Replay(Victim),
    /// A person does something.
    Person(Order),
}

impl Kind {
    /// The word in tables.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Loss(..) => "loss",
            Kind::Delay(..) => "delay",
            Kind::Hold(_) => "hold",
            Kind::Partition(_) => "partition",
            Kind::Mute(_) => "mute (one way)",
            Kind::Deaf(_) => "deaf (one way)",
            Kind::Kill(_) => "kill",
            Kind::Power(_) => "power loss",
            Kind::Torn(..) => "power loss in a sync",
            Kind::Stop(_) => "stop (process)",
            Kind::Suspend(_) => "suspend (machine)",
            Kind::Skew(..) => "clock jump",
            Kind::Drift(..) => "clock drift",
            Kind::Cut(_, Thing::Database) => "cut from database",
            Kind::Cut(_, Thing::Balancer) => "cut from balancer",
            Kind::Misfortune(_) => "effects go wrong",
            Kind::Slowness(_) => "effects are slow",
            Kind::Stranger => "stranger logs in",
            Kind::Echo(_) => "commands duplicated",
            Kind::Late { dies: true } => "statement late, agent killed",
            Kind::Late { dies: false } => "statement late, connection lost",
            Kind::Replay(_) => "messages replayed",
            Kind::Person(Order::Pause) => "person pauses",
            Kind::Person(Order::Resume) => "person resumes",
            Kind::Person(Order::Abort) => "person aborts",
            Kind::Person(Order::Retry(_)) => "person retries",
            Kind::Person(Order::ApplyAgain) => "person applies again",
        }
    }

    /// Whether it makes a process stand still and go on later.
    pub const fn pauses(self) -> bool {
        matches!(self, Kind::Stop(_) | Kind::Suspend(_))
    }

    /// Whether it makes a machine fall silent for the others.
    pub const fn silences(self) -> bool {
        match self {
            Kind::Partition(_) | Kind::Mute(_) | Kind::Hold(_) | Kind::Stop(_) | Kind::Suspend(_) => true,
            Kind::Loss(..)
            | Kind::Delay(..)
            | Kind::Deaf(_)
            | Kind::Kill(_)
            | Kind::Power(_)
            | Kind::Torn(..)
            | Kind::Skew(..)
            | Kind::Drift(..)
            | Kind::Cut(..)
            | Kind::Misfortune(_)
            | Kind::Slowness(_)
            | Kind::Stranger
            | Kind::Echo(_)
            | Kind::Late { .. }
            | Kind::Replay(_)
            | Kind::Person(_) => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
