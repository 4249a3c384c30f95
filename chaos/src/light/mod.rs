//! The light tier: the same machines, hosts, faults, people and oracles, but no Raft, no HTTP/2 and no TCP. A log that
//! is there for everybody stands for Raft, messages in memory for the network.
//!
//! What is real here: the agent with its journal, the leader loop, `next` and `apply` on a replica of each member, the
//! state's encodings, `why`. A seed costs some tens of milliseconds, so thousands can be run.

mod consensus;
mod ether;
mod group;
mod medium;
mod messages;
mod office;
mod process;
mod replica;
mod ways;

pub use ether::{Ether, MakeEther};
pub use office::LightOffice;
pub use process::run;
