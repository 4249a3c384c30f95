//! Servers with our limits set. Callers add services and hand in one [`super::Incoming`].

use tonic::transport::Server;

use super::limits;

/// For authenticated peers and for the local socket.
pub fn peer_server() -> Server {
    Server::builder()
        // Without tonic's grace: with it, tonic 0.14 never asks for the end and cuts every connection, idle or not,
        // in the middle of whatever it does. The accept loop cuts those that stay, see `CONNECTION_AGE_GRACE`.
        .max_connection_age(limits::CONNECTION_AGE_MAX)
        .max_concurrent_streams(limits::STREAMS_MAX)
        .http2_max_header_list_size(limits::HEADERS_BYTES_MAX)
        .http2_keepalive_interval(Some(limits::KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(limits::KEEP_ALIVE_TIMEOUT))
}

/// For connections without identity: enrolment only, few calls at once, none longer than the connection may live.
pub fn joining_server() -> Server {
    Server::builder()
        .timeout(limits::JOINING_LIFETIME)
        .max_concurrent_streams(limits::JOINING_STREAMS_MAX)
        .http2_max_header_list_size(limits::HEADERS_BYTES_MAX)
        .http2_keepalive_interval(Some(limits::KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(limits::KEEP_ALIVE_TIMEOUT))
}

/// For nodes that renew: one service, few calls at once, none longer than the connection may live.
pub fn renewing_server() -> Server {
    joining_server()
}

/// Why a server ended.
pub type ServeError = tonic::transport::Error;
