//! The Raft shell: the only code that names openraft.
//!
//! Knows how one node keeps its log, votes, replicates opaque commands and takes part in changes of membership. Does
//! not know what a command means ([`Machine`] does), how bytes travel ([`Dial`] does), nor who may join the group.

mod convert;
mod fatal;
pub mod limits;
mod machine;
mod marker;
mod state_machine;
mod store;
mod stored;
mod types;

pub use fatal::Fatal;
pub use machine::{Machine, MachineError, SnapshotJob};
pub use marker::{Marker, MarkerMismatch, StoreMarker};
pub use openraft::AsyncRuntime;
pub use store::{Blocking, FORMAT, Store, StoreError};
pub use stored::RecordError;
pub use types::{Production, Simulation, Types};
