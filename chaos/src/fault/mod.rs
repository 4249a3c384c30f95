//! Faults: what can go wrong, when it does, and how it is done to the bed.

pub mod kind;
pub mod nemesis;
pub mod scene;
pub mod schedule;

pub use kind::{Kind, Victim};
pub use nemesis::Nemesis;
pub use scene::Scene;
pub use schedule::{Fault, Schedule, Trigger};
