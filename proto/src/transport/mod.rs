//! Connections between agents, operators and the local socket: TLS, accept loop, channels, peer identity, trace
//! context. rustls types stop here. Knows nothing of the services that run above it, and issues no certificates.

mod certificate;
mod config;
mod dial;
mod digest;
mod error;
mod io;
pub mod limits;
mod listen;
mod peer;
mod reason;
mod redacted;
mod revocation;
mod serve;
mod speaking;
mod tls;
mod trace;
mod unix;
mod verify;

pub use certificate::{
    IdentityFault, Lifetime, Serial, Subject, lifetime, node_uri, operator_uri, role_unit,
};
pub use dial::{Dialer, TlsDialer, channel, join_channel, renew_channel, unix_channel};
pub use digest::CaDigest;
pub use error::{Refusal, TransportError, code_of, coded_status};
pub use io::{Incoming, PeerIo, Wire};
pub use listen::{Accepted, ListenLimits, listen};
pub use peer::{ExpectedPeer, NodePeer, PeerIdentity, PeerInfo, node, peer, peer_info};
pub use revocation::Revocations;
pub use serve::{ServeError, joining_server, peer_server, renewing_server};
pub use speaking::{Speaking, speaker};
pub use tls::{Credentials, Tls, install_crypto};
pub use trace::{InjectTrace, TraceParent, adopt_trace};
pub use unix::listen_unix;
