//! The raw client: TLS that believes every server and shows what it is told to, and gRPC calls of any name with any
//! bytes in them.

use super::caller::Shown;
use anyhow::{Context, Result, anyhow};
use lockkeeper_proto::transport::code_of;
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
};
use std::{io, sync::Arc, time::Duration};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};

/// Every protocol our servers offer.
pub const H2: &[u8] = b"h2";
/// See [`H2`].
pub const JOIN: &[u8] = b"lockkeeper-join/1";
/// See [`H2`].
pub const RENEW: &[u8] = b"lockkeeper-renew/1";

/// One call with its handshake; a debug build on a busy machine needs a second, `Check` looks at every host.
const CALL_WITHIN: Duration = Duration::from_secs(30);

/// What came back first.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(Vec<u8>),
    /// The end of the answer, without a message and without an error.
    End,
    /// An error.
    Status {
        /// As gRPC has it.
        code: Code,
        /// As `deploy/errors` has it.
        page: Option<String>,
        /// For people.
        text: String,
    },
}

/// A connection whose server has let us in, or its alert.
pub enum Door {
    /// Open: the server's first bytes were seen.
    Open(Box<Wire>),
    /// Shut, with this alert.
    Alert(&'static str),
}

/// A TLS connection from which some bytes were read already.
pub type Wire = tokio::io::Join<
    tokio::io::Chain<io::Cursor<Vec<u8>>, tokio::io::ReadHalf<TlsStream<TcpStream>>>,
    tokio::io::WriteHalf<TlsStream<TcpStream>>,
>;

/// A configuration that believes any server.
pub fn config(shown: Option<&Shown>, protocol: &[u8]) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let believe = Arc::new(Credulous(provider.clone()));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(believe);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let chain = shown.chain.iter().cloned().map(CertificateDer::from).collect();
            let key = PrivateKeyDer::try_from(shown.key.clone()).map_err(|e| anyhow!(e))?;
            builder.with_client_auth_cert(chain, key)?
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

/// Knocks: in TLS 1.3 a client is done before the server has looked at it, but an HTTP/2 server speaks first, so one
/// read tells.
pub async fn knock(address: &str, config: Arc<ClientConfig>) -> Result<Door> {
    let knocked = async {
        let mut stream = connect(address, config).await?;
        let mut first = vec![0; 256];
        let read = stream.read(&mut first).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        first.truncate(read);
        let (reader, writer) = tokio::io::split(stream);
        Ok(tokio::io::join(io::Cursor::new(first).chain(reader), writer))
    };
    match timeout(CALL_WITHIN, knocked).await.context("the handshake did not end")? {
        Ok(wire) => Ok(Door::Open(Box::new(wire))),
        Err(error) => match alert(&error) {
            Some(alert) => Ok(Door::Alert(alert)),
            None => Err(error).context("neither let in nor an alert"),
        },
    }
}

/// A connection that nobody waits for: the call goes out behind the handshake whatever the server thinks of us.
pub async fn connect(address: &str, config: Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("127.0.0.1").map_err(io::Error::other)?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    TlsConnector::from(config).connect(name, stream).await
}

fn alert(error: &io::Error) -> Option<&'static str> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => Some("certificate required"),
            // A chain that ends in another root of the same name may fail by its signature.
            AlertDescription::UnknownCA | AlertDescription::DecryptError => Some("unknown authority"),
            AlertDescription::CertificateExpired => Some("expired"),
            AlertDescription::CertificateRevoked => Some("revoked"),
            _ => None,
        },
        _ => None,
    }
}

/// Calls `path` with one message of these bytes and tells what came back first.
pub async fn call(channel: Channel, path: &str, body: Vec<u8>) -> Result<Heard> {
    let path = PathAndQuery::try_from(path.to_owned())?;
    let mut grpc = Grpc::new(channel);
    let asked = async {
        grpc.ready().await.map_err(|e| Status::from_error(Box::new(e)))?;
        // A stream of one message is, on the wire, the same as a single one.
        let messages = Request::new(futures::stream::iter([body]));
        let mut answers = grpc.streaming(messages, path, Bytes).await?.into_inner();
        answers.message().await
    };
    Ok(match timeout(CALL_WITHIN, asked).await.context("no answer in time")? {
        Ok(Some(message)) => Heard::Message(message),
        Ok(None) => Heard::End,
        Err(status) => Heard::Status {
            code: status.code(),
            page: code_of(&status).map(str::to_owned),
            text: status.message().to_owned(),
        },
    })
}

/// Messages as they are.
#[derive(Debug, Clone, Copy, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Bytes;
    type Decoder = Bytes;

    fn encoder(&mut self) -> Bytes {
        Bytes
    }

    fn decoder(&mut self) -> Bytes {
        Bytes
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        use prost::bytes::BufMut as _;
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        use prost::bytes::Buf as _;
        let mut item = vec![0; from.remaining()];
        from.copy_to_slice(&mut item);
        Ok(Some(item))
    }
}

/// Believes every server: what is tried here is the server's doubt, not ours.
#[derive(Debug)]
struct Credulous(Arc<CryptoProvider>);

impl ServerCertVerifier for Credulous {
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
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
