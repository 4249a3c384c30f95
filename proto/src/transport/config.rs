//! The rustls configurations that follow from one identity and one trust: for peers, for joiners, for those who
//! renew, for dialling.

use lockkeeper_core::ids::ClusterId;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;

use super::digest::CaDigest;
use super::error::TransportError;
use super::peer::ExpectedPeer;
use super::tls::unusable;
use super::verify::{ClientVerifier, ServerVerifier, Trust, Wanted};

/// Protocol of everything but enrolment.
pub(super) const ALPN_H2: &[u8] = b"h2";

/// Protocol of enrolment: HTTP/2 inside, but the server asks for no certificate and offers one service.
pub(super) const ALPN_JOIN: &[u8] = b"lockkeeper-join/1";

/// Protocol of renewal: the server asks for a certificate that may have expired, and offers one service.
pub(super) const ALPN_RENEW: &[u8] = b"lockkeeper-renew/1";

/// What we show of ourselves.
#[derive(Clone)]
pub(super) struct Own {
    /// Chain without root, for those who have the root.
    peers: Arc<SingleCertAndKey>,
    /// Chain with every root: a joiner knows only a root's digest, so the root itself must be shown to it.
    joining: Arc<SingleCertAndKey>,
}

/// The configurations of one state.
pub(super) struct Configs {
    pub own: Own,
    /// Demands a certificate.
    pub peers: Arc<ServerConfig>,
    /// Demands none.
    pub joining: Arc<ServerConfig>,
    /// Demands one that was good once.
    pub renewing: Arc<ServerConfig>,
    client: ClientConfig,
}

impl Own {
    pub fn new(
        provider: &CryptoProvider,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        roots: Vec<CertificateDer<'static>>,
    ) -> Result<Self, TransportError> {
        let shown = chain.iter().cloned().chain(roots).collect();
        let pair = |chain, key| {
            CertifiedKey::from_der(chain, key, provider)
                .map(|certified| Arc::new(SingleCertAndKey::from(certified)))
                .map_err(|error| unusable(error.to_string()))
        };
        Ok(Self { peers: pair(chain, key.clone_key())?, joining: pair(shown, key)? })
    }
}

impl Configs {
    pub fn new(trust: &Trust, own: Own) -> Result<Self, TransportError> {
        let provider = &trust.provider;
        let verifier = Arc::new(ClientVerifier::new(trust.clone())?);
        let mut peers = demanding(&own, provider, verifier)?;
        finish_server(&mut peers, ALPN_H2);
        let mut renewing = demanding(&own, provider, Arc::new(ClientVerifier::also_expired(trust.clone())?))?;
        finish_server(&mut renewing, ALPN_RENEW);
        let mut joining = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(TLS)
            .map_err(|error| unusable(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(own.joining.clone());
        finish_server(&mut joining, ALPN_JOIN);
        let any = Wanted::Node { trust: trust.clone(), expect: ExpectedPeer::AnyNode };
        let mut client = client_builder(any, provider)?.with_client_cert_resolver(own.peers.clone());
        finish_client(&mut client, ALPN_H2);
        let (peers, joining, renewing) = (Arc::new(peers), Arc::new(joining), Arc::new(renewing));
        Ok(Self { own, peers, joining, renewing, client })
    }

    /// A client configuration that accepts `expect` only, and speaks `protocol`.
    pub fn client(&self, trust: &Trust, expect: ExpectedPeer, protocol: &[u8]) -> Arc<ClientConfig> {
        let mut config = self.client.clone();
        let wanted = Wanted::Node { trust: trust.clone(), expect };
        let verifier = ServerVerifier { wanted, provider: trust.provider.clone() };
        config.dangerous().set_certificate_verifier(Arc::new(verifier));
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config)
    }
}

/// A configuration for a joiner: no certificate of its own, any node under the named authority.
pub(super) fn joiner(cluster: ClusterId, authority: CaDigest) -> Result<Arc<ClientConfig>, TransportError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let wanted = Wanted::Authority { cluster, authority };
    let mut config = client_builder(wanted, &provider)?.with_no_client_auth();
    finish_client(&mut config, ALPN_JOIN);
    Ok(Arc::new(config))
}

/// TLS 1.3 only: both ends are ours, and in TLS 1.2 a client's certificate travels in clear.
const TLS: &[&rustls::SupportedProtocolVersion] = &[&TLS13];

fn demanding(
    own: &Own,
    provider: &Arc<CryptoProvider>,
    verifier: Arc<ClientVerifier>,
) -> Result<ServerConfig, TransportError> {
    Ok(ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(TLS)
        .map_err(|error| unusable(error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(own.peers.clone()))
}

type ClientBuilder = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn client_builder(wanted: Wanted, provider: &Arc<CryptoProvider>) -> Result<ClientBuilder, TransportError> {
    let verifier = Arc::new(ServerVerifier { wanted, provider: provider.clone() });
    Ok(ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(TLS)
        .map_err(|error| unusable(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

/// Every connection proves itself anew, on both sides: connections are long-lived, so resumption saves nothing, and
/// a resumed session skips the certificate check, and with it expected name, expiry and revocations.
fn finish_server(config: &mut ServerConfig, protocol: &[u8]) {
    config.alpn_protocols = vec![protocol.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
}

fn finish_client(config: &mut ClientConfig, protocol: &[u8]) {
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    // Members are addressed by IP and named by URI, so there is no host name worth telling.
    config.enable_sni = false;
}
