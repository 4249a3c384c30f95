//! Whether a connection belongs to the node that a call says it comes from.

use super::refusal::Refusal;
use crate::incumbents::{Incumbents, Speaker};
use lockkeeper_proto::port::Clock;
use lockkeeper_proto::transport::{PeerIdentity, PeerInfo};
use lockkeeper_proto::wire::raft::Header;
use std::sync::Arc;
use tonic::Extensions;

/// Compares what a call claims with what the transport proved. Called once for each call or stream, after the header
/// itself was found in order.
pub trait PeerCheck: Send + Sync + 'static {
    /// # Errors
    /// When the connection belongs to somebody else.
    fn check(&self, header: &Header, connection: &Extensions) -> Result<(), Refusal>;
}

impl<F> PeerCheck for F
where
    F: Fn(&Header, &Extensions) -> Result<(), Refusal> + Send + Sync + 'static,
{
    fn check(&self, header: &Header, connection: &Extensions) -> Result<(), Refusal> {
        self(header, connection)
    }
}

/// The check of every real process: the certificate must be that of the member the header names.
#[derive(Debug, Clone, Copy, Default)]
pub struct CertificateCheck;

impl PeerCheck for CertificateCheck {
    fn check(&self, header: &Header, connection: &Extensions) -> Result<(), Refusal> {
        let proven = connection.get::<PeerInfo>().map(|info| &info.identity);
        if let Some(PeerIdentity::Node { cluster, name, incarnation }) = proven
            && *cluster == header.cluster
            && *name == header.from.name
            && *incarnation == header.from.incarnation
        {
            return Ok(());
        }
        Err(Refusal::Impostor {
            claimed: format!("node {} (incarnation {})", header.from.name, header.from.incarnation),
            proven: proven.map_or_else(|| "nobody".to_owned(), ToString::to_string),
        })
    }
}

/// The check of a running agent: the certificate, and that no other living agent has the sender's name.
pub struct OneOfEach {
    /// Who is heard.
    pub incumbents: Arc<Incumbents>,
    /// When.
    pub clock: Arc<dyn Clock>,
}

impl PeerCheck for OneOfEach {
    fn check(&self, header: &Header, connection: &Extensions) -> Result<(), Refusal> {
        CertificateCheck.check(header, connection)?;
        let speaker = Speaker {
            incarnation: header.from.incarnation,
            instance: header.instance.clone(),
            from: connection.get::<PeerInfo>().and_then(|info| info.address).map(|address| address.ip()),
        };
        Ok(self.incumbents.hear(&header.from.name, &speaker, self.clock.boot())?)
    }
}
