//! Every limit of the transport, each with its reason.

use std::time::Duration;

/// TCP connect and TLS handshake together, on the dialling side. A handshake costs a few milliseconds of CPU, so a
/// second covers a busy two-core machine; a frozen peer still accepts TCP connections (its kernel does), so without
/// this a call to it would hang for ever.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Whole handshake on the accepting side. Generous, because a peer that has just been thawed may be slow, and a
/// handshake that hangs costs one slot of [`HANDSHAKES_PER_SOURCE_MAX`] only.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the accepting side reads on after it refused a handshake. Closing a socket with unread bytes makes the
/// kernel send a reset, which can overtake the alert that tells the caller why it was refused.
pub const LINGER_TIMEOUT: Duration = Duration::from_millis(500);

/// How many bytes are read and thrown away while lingering: more than any HTTP/2 preface with its first request.
pub const LINGER_BYTES_MAX: usize = 64 * 1024;

/// Handshakes in progress at once. Each holds a socket and some 20 KiB; a cluster of 50 that starts together needs 49.
pub const HANDSHAKES_MAX: usize = 256;

/// Handshakes in progress at once from one address, so that one stranger cannot use up [`HANDSHAKES_MAX`] by doing
/// nothing. A whole cluster on one host (the demo, the tests) starts with fewer than that.
pub const HANDSHAKES_PER_SOURCE_MAX: usize = 64;

/// Open authenticated connections: 50 members with a few channels each, plus people and consoles.
pub const CONNECTIONS_MAX: usize = 1024;

/// Open connections without identity. Enrolment is one call, made by a person, one machine at a time.
pub const JOINING_MAX: usize = 8;

/// How long a connection without identity may live, whatever it does. Enough for a join that waits for a commit.
pub const JOINING_LIFETIME: Duration = Duration::from_secs(30);

/// Open connections of nodes that renew. Each makes one call; a cluster of 50 that was off for a month needs 49.
pub const RENEWING_MAX: usize = 64;

/// Accepted connections that wait for the server to take them. The server takes them at once; this only evens out.
pub const BACKLOG: usize = 64;

/// Pause after `accept` failed. The usual reason is a lack of file descriptors, which does not go away by trying
/// again at once.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// HTTP/2 ping after this much silence. Together with [`KEEP_ALIVE_TIMEOUT`] a peer whose machine vanished is noticed
/// within 2 s; a ping is 17 bytes, so an idle pair costs nothing worth measuring.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_millis(500);

/// How long a ping may stay unanswered. Below a second an fsync stall on a busy disk would look like a dead peer.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_millis(1500);

/// A connection is asked to end at this age, so that renewed certificates take effect everywhere. Far shorter than
/// the 20 days between a renewal and the expiry of the old certificate, far longer than a call.
pub const CONNECTION_AGE_MAX: Duration = Duration::from_secs(3600);

/// How long calls in progress may go on after [`CONNECTION_AGE_MAX`]. Streams reconnect, so they need not be waited for.
pub const CONNECTION_AGE_GRACE: Duration = Duration::from_secs(30);

/// Streams (calls) at once on one connection. A subscriber holds a handful, a voter pipelines a few hundred.
pub const STREAMS_MAX: u32 = 1024;

/// Calls at once on one connection without identity.
pub const JOINING_STREAMS_MAX: u32 = 4;

/// Bytes of request and response headers. Ours stay below one KiB; HTTP/2's default has no limit.
pub const HEADERS_BYTES_MAX: u32 = 16 * 1024;

/// Largest enrolment message: a chain, two roots, fifty peers.
pub const ENROL_BYTES_MAX: usize = 64 * 1024;

/// Certificates in a presented chain: leaf, issuer, root, and one to spare while roots are being replaced.
pub const CHAIN_MAX: usize = 4;

/// Roots trusted at once: old and new while the root is being replaced, and two to spare.
pub const ROOTS_MAX: usize = 4;
