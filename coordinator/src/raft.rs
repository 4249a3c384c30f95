//! The Raft shell: the only code that names openraft.
//!
//! Knows how one node keeps its log, votes, replicates opaque commands and takes part in changes of membership. Does
//! not know what a command means ([`Machine`] does), how bytes travel (`transport::Dialer` does), nor who may join
//! the group.

mod convert;
mod error;
mod fatal;
mod handle;
pub mod limits;
mod local;
mod machine;
mod marker;
mod network;
mod node;
mod peer_check;
mod peers;
mod refusal;
mod scope;
mod service;
mod state_machine;
mod status;
mod store;
mod stored;
mod tuning;
mod types;

pub use error::RaftError;
pub use fatal::Fatal;
pub use handle::{RaftHandle, Setup, StartError, start};
pub use local::Local;
pub use machine::{Machine, MachineError, SnapshotJob};
pub use marker::{Marker, MarkerMismatch, StoreMarker};
pub use openraft::AsyncRuntime;
pub use peer_check::{CertificateCheck, OneOfEach, PeerCheck};
pub use refusal::Refusal;
pub use scope::{Scope, ScopeLayer};
pub use service::RaftService;
pub use status::{Progress, RaftStatus, Standing};
pub use store::{Blocking, FORMAT, Founding, Offline, Recorded, Store, StoreError, Upto};
pub use stored::RecordError;
pub use tuning::{BadTuning, Tuning};
pub use types::{Production, Simulation};
