//! `lockkeeper agent run`: puts settings, identity, certificates, store, coordinator and agent together, and ends
//! them in good order. Wiring only: it decides nothing about rollouts.

mod error;
mod found;
pub mod guard;
pub mod isolated;
mod memory;
mod quarantine;
mod recover;
mod run;
mod trust;

pub use error::NodeError;
pub use found::{Founding, enrolled, fingerprint, found};
pub use recover::{Recovery, recover, reseal};
pub use run::run;
