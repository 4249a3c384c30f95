//! The flight recorder: a script of commands and decisions, and the player that repeats it.
//!
//! A script comes from a group's log (`record export`) or from the simulation of a plan (`plan simulate`); the player
//! is the same and compares every state and every decision with what the script says. Secrets are references in
//! everything a command holds, so none is in a record. This module knows nothing about files, logs on disk or agents.

mod dice;
mod digest;
mod fault;
mod file;
mod night;
mod player;
mod script;
mod simulate;

pub use fault::FaultKind;
pub use file::{RecordFault, parse, render};
pub use night::{Ending, Halt, Night, Outcome};
pub use player::{Difference, Played, Player, play, seal};
pub use script::{Decision, Entry, Head, Script, Source, assemble};
pub use simulate::{Row, Simulated, simulate};
