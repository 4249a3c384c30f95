//! Keeping a machine away from everything but a short list of addresses, and proving it.
//!
//! Knows nftables' words, `ss`, and what an attempt that fails proves. Does not know why a machine is isolated, nor
//! what the addresses are for.

pub mod firewall;
pub mod prove;
pub mod rules;
pub mod watch;

pub use firewall::{Standing, lower, raise, standing};
pub use prove::{Attempt, Proof, prove};
pub use rules::{Isolation, TABLE};
pub use watch::Guarded;
