//! A small authority, a service that says who called, and a running port. Shared by the transport tests.
#![allow(dead_code, clippy::unwrap_used, reason = "test support; every test binary uses a part of it")]

use lockkeeper_core::identity::Role;
use lockkeeper_core::ids::{ActorName, ClusterId, Incarnation, MemberName};
use lockkeeper_proto::pb::enrol_server::{Enrol, EnrolServer};
use lockkeeper_proto::pb::{JoinRequest, JoinResponse};
use lockkeeper_proto::transport::*;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use time::OffsetDateTime;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

pub const CLUSTER: &str = "0192f0c1-cluster";
pub const WHO: &str = "/test.Who/Am";

pub fn cluster() -> ClusterId {
    ClusterId(CLUSTER.into())
}

pub fn member(name: &str) -> MemberName {
    MemberName::new(name).unwrap()
}

/// Root and issuing certificate, as the product has them.
pub struct TestCa {
    pub root: Vec<u8>,
    issuing: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// Everything about a leaf that a test may want to be wrong.
pub struct Leaf {
    pub uris: Vec<String>,
    pub dns: Vec<String>,
    pub units: Vec<String>,
    pub starts: Duration,
    pub started_ago: Duration,
    pub ends_in: Duration,
    pub ended_ago: Duration,
    pub server: bool,
    pub client: bool,
    pub is_ca: bool,
}

impl Default for Leaf {
    fn default() -> Self {
        Self {
            uris: vec![node_uri(&cluster(), &member("n1"), Incarnation(1))],
            dns: vec![],
            units: vec![],
            starts: Duration::ZERO,
            started_ago: Duration::from_secs(300),
            ends_in: Duration::from_secs(3600),
            ended_ago: Duration::ZERO,
            server: true,
            client: true,
            is_ca: false,
        }
    }
}

fn ca_params(name: &str, below: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl TestCa {
    pub fn new() -> Self {
        let (root_key, issuing_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root_params = ca_params("test root", 1);
        let root = root_params.self_signed(&root_key).unwrap().der().to_vec();
        let root_issuer = Issuer::new(root_params, root_key);
        let params = ca_params("test issuing", 0);
        let issuing = params.signed_by(&issuing_key, &root_issuer).unwrap().der().to_vec();
        Self { root, issuing, issuer: Issuer::new(params, issuing_key) }
    }

    pub fn leaf(&self, leaf: Leaf) -> Credentials {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for unit in leaf.units {
            params.distinguished_name.push(DnType::OrganizationalUnitName, unit);
        }
        let uris = leaf.uris.into_iter().map(|uri| SanType::URI(uri.try_into().unwrap()));
        let dns = leaf.dns.into_iter().map(|name| SanType::DnsName(name.try_into().unwrap()));
        params.subject_alt_names = uris.chain(dns).collect();
        params.not_before = OffsetDateTime::now_utc() - leaf.started_ago + leaf.starts;
        params.not_after = OffsetDateTime::now_utc() + leaf.ends_in - leaf.ended_ago;
        params.is_ca =
            if leaf.is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if leaf.server {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if leaf.client {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Credentials {
            cluster: cluster(),
            chain: vec![der, self.issuing.clone()],
            key: key.serialize_der(),
            roots: vec![self.root.clone()],
        }
    }

    pub fn node(&self, name: &str, incarnation: u32) -> Credentials {
        let uri = node_uri(&cluster(), &member(name), Incarnation(incarnation));
        self.leaf(Leaf { uris: vec![uri], ..Leaf::default() })
    }

    pub fn operator(&self, name: &str, role: Role) -> Credentials {
        let uri = operator_uri(&cluster(), &ActorName::new(name).unwrap());
        self.leaf(Leaf { uris: vec![uri], units: vec![role_unit(role)], server: false, ..Leaf::default() })
    }
}

pub fn tls(credentials: Credentials) -> Tls {
    Tls::new(credentials, Revocations::none()).unwrap()
}

pub fn dialer(credentials: Credentials) -> TlsDialer {
    TlsDialer::new(tls(credentials))
}

/// Answers every call with the identity of the caller.
#[derive(Clone)]
pub struct Who;

struct Am;

impl UnaryService<()> for Am {
    type Response = String;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Status>> + Send>>;
    fn call(&mut self, request: Request<()>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(peer(&request)?.to_string())) })
    }
}

impl NamedService for Who {
    const NAME: &'static str = "test.Who";
}

impl Service<http::Request<Body>> for Who {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            Ok(tonic::server::Grpc::new(ProstCodec::<String, ()>::default()).unary(Am, request).await)
        })
    }
}

/// Lets everybody in, and says so.
pub struct OpenDoor;

#[tonic::async_trait]
impl Enrol for OpenDoor {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        assert_eq!(*peer(&request)?, PeerIdentity::Joining);
        Ok(Response::new(JoinResponse { node_id: 7, ..JoinResponse::default() }))
    }
}

/// A port with [`Who`] behind the certificate and [`OpenDoor`] before it.
pub struct Port {
    pub address: String,
    pub socket: SocketAddr,
    pub tls: Tls,
    servers: [tokio::task::JoinHandle<()>; 3],
}

impl Port {
    pub async fn open(credentials: Credentials) -> Self {
        Self::with(credentials, ListenLimits::default(), peer_server()).await
    }

    pub async fn with(
        credentials: Credentials,
        limits: ListenLimits,
        mut server: tonic::transport::Server,
    ) -> Self {
        let tls = tls(credentials);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let Accepted { peers, joining, renewing, address } = listen(listener, tls.clone(), limits).unwrap();
        let peers = tokio::spawn(async move {
            server.add_service(Who).serve_with_incoming(peers).await.unwrap();
        });
        let joining = tokio::spawn(async move {
            let enrol = EnrolServer::new(OpenDoor);
            joining_server().add_service(enrol).serve_with_incoming(joining).await.unwrap();
        });
        let renewing = tokio::spawn(async move {
            renewing_server().add_service(Who).serve_with_incoming(renewing).await.unwrap();
        });
        Self { address: address.to_string(), socket: address, tls, servers: [peers, joining, renewing] }
    }

    pub fn close(&self) {
        self.servers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.close();
    }
}

/// One call on `channel`.
pub async fn who(channel: Channel) -> Result<String, Status> {
    call(channel, WHO).await
}

pub async fn call(channel: Channel, path: &'static str) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let codec = ProstCodec::<(), String>::default();
    let path = http::uri::PathAndQuery::from_static(path);
    let answer = client.unary(Request::new(()), path, codec);
    let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
    answer.expect("a call must end").map(Response::into_inner)
}

/// One call as `credentials`, to whatever node answers.
pub async fn who_as(credentials: Credentials, port: &Port) -> Result<String, Status> {
    who(dialer(credentials).channel(&port.address, ExpectedPeer::AnyNode)).await
}

/// A client of raw rustls, for what our own dialer would never do. Believes any server.
pub fn raw_client(alpn: &[&[u8]], own: Option<&Credentials>) -> Arc<rustls::ClientConfig> {
    #[derive(Debug)]
    struct Gullible(Arc<rustls::crypto::CryptoProvider>);
    use rustls::client::danger::*;
    use rustls::pki_types::*;
    impl ServerCertVerifier for Gullible {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            Ok(ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible(provider)));
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => builder
            .with_client_auth_cert(
                own.chain.iter().cloned().map(CertificateDer::from).collect(),
                PrivateKeyDer::try_from(own.key.clone()).unwrap(),
            )
            .unwrap(),
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// A channel over a raw client.
pub fn raw_channel(port: &Port, config: Arc<rustls::ClientConfig>) -> Channel {
    let socket = port.socket;
    channel(move || {
        let config = config.clone();
        async move {
            let stream = tokio::net::TcpStream::connect(socket).await?;
            let name = rustls::pki_types::ServerName::IpAddress(socket.ip().into());
            tokio_rustls::TlsConnector::from(config).connect(name, stream).await
        }
    })
}

/// Waits until `condition` holds, at most ten seconds.
pub async fn wait_for<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let started = std::time::Instant::now();
    while !condition().await {
        assert!(started.elapsed() < Duration::from_secs(10), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
