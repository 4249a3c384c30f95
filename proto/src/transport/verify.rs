//! The questions a handshake asks about the other side's certificate. Chains are verified by webpki; who is
//! named by them is verified here. DNS names and addresses do not matter: members are addressed by IP and named by
//! SPIFFE URI.

use lockkeeper_core::ids::ClusterId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerIncompatible,
    RootCertStore, SignatureScheme,
};
use std::sync::Arc;
use std::time::Duration;

use super::certificate::{Subject, lifetime};
use super::digest::CaDigest;
use super::error::TransportError;
use super::limits::CHAIN_MAX;
use super::peer::{ExpectedPeer, PeerIdentity};
use super::reason::reason_in;
use super::revocation::Revocations;
use super::tls::unusable;

/// What every verifier of one configuration shares.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    pub cluster: ClusterId,
    pub roots: Arc<RootCertStore>,
    pub revocations: Arc<Revocations>,
    pub provider: Arc<CryptoProvider>,
}

/// Server side: is this one of our nodes or operators?
#[derive(Debug)]
pub(super) struct ClientVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    trust: Trust,
    /// Whether a certificate that has ended counts as of its last moment. For renewal only.
    also_expired: bool,
}

/// Client side: is this the server we want?
#[derive(Debug)]
pub(super) struct ServerVerifier {
    pub wanted: Wanted,
    pub provider: Arc<CryptoProvider>,
}

/// Which server a client wants.
#[derive(Debug)]
pub(super) enum Wanted {
    /// A node of our cluster.
    Node { trust: Trust, expect: ExpectedPeer },
    /// A joiner's: any node under the authority that the token names. Nothing else is known yet.
    Authority { cluster: ClusterId, authority: CaDigest },
}

impl Trust {
    /// Checks identity, cluster and revocation of a certificate whose chain is already verified.
    pub fn subject(&self, leaf: &[u8]) -> Result<Subject, TransportError> {
        let subject = subject_in(leaf, &self.cluster)?;
        if self.revocations.revoked(&subject) {
            return Err(TransportError::Revoked { who: subject.identity.to_string() });
        }
        Ok(subject)
    }

    /// Checks our own chain the way peers will. A certificate that is out of date is only a warning: the agent
    /// still serves its socket and its boot guard with it.
    pub fn check_own(&self, chain: &[CertificateDer<'static>]) -> Result<Subject, TransportError> {
        let (leaf, issuers) = chain.split_first().ok_or_else(|| unusable("the chain is empty"))?;
        let verifier = ClientVerifier::new(self.clone())?;
        match verifier.chain.verify_client_cert(leaf, issuers, UnixTime::now()).map_err(|e| reason_in(&e)) {
            Ok(_) => {}
            Err(Some(reason @ (TransportError::Expired | TransportError::NotYetValid))) => {
                tracing::warn!(%reason, "our own certificate is out of date; peers will refuse it");
            }
            Err(reason) => return Err(unusable(own_fault(reason))),
        }
        let subject = subject_in(leaf, &self.cluster)?;
        if self.revocations.revoked(&subject) {
            tracing::warn!(identity = %subject.identity, "our own certificate is revoked; peers will refuse it");
        }
        Ok(subject)
    }
}

fn own_fault(reason: Option<TransportError>) -> String {
    reason.map_or_else(|| "the chain".to_owned(), |reason| reason.to_string())
}

impl ClientVerifier {
    pub fn new(trust: Trust) -> Result<Self, TransportError> {
        let chain = WebPkiClientVerifier::builder_with_provider(trust.roots.clone(), trust.provider.clone())
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self { chain, trust, also_expired: false })
    }

    /// For renewal: an expired certificate proves who it was issued to, and nothing else about it may be wrong.
    pub fn also_expired(trust: Trust) -> Result<Self, TransportError> {
        Ok(Self { also_expired: true, ..Self::new(trust)? })
    }

    /// The moment to judge a certificate by.
    fn moment(&self, leaf: &[u8], now: UnixTime) -> UnixTime {
        match lifetime(leaf) {
            Some(lifetime) if self.also_expired => {
                let end = Duration::from_secs(lifetime.not_after_ms / 1000);
                if now.as_secs() > end.as_secs() { UnixTime::since_unix_epoch(end) } else { now }
            }
            Some(_) | None => now,
        }
    }
}

fn subject_in(leaf: &[u8], ours: &ClusterId) -> Result<Subject, TransportError> {
    let subject = Subject::of(leaf).map_err(|fault| TransportError::BadIdentity { fault })?;
    match &subject.identity {
        PeerIdentity::Node { cluster, .. } | PeerIdentity::Operator { cluster, .. } if cluster != ours => {
            Err(TransportError::WrongCluster { expected: ours.to_string(), found: cluster.to_string() })
        }
        PeerIdentity::Node { .. }
        | PeerIdentity::Operator { .. }
        | PeerIdentity::Unix { .. }
        | PeerIdentity::Joining => Ok(subject),
    }
}

/// Our reason inside the library's error. The variants of the library decide which alert the peer gets.
fn refuse(reason: TransportError) -> Error {
    match reason {
        TransportError::Revoked { .. } => CertificateError::Revoked.into(),
        other => CertificateError::Other(OtherError(Arc::new(other))).into(),
    }
}

fn check_length(intermediates: &[CertificateDer<'_>]) -> Result<(), Error> {
    if intermediates.len() < CHAIN_MAX { Ok(()) } else { Err(CertificateError::UnknownIssuer.into()) }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check_length(intermediates)?;
        let verified = self.chain.verify_client_cert(leaf, intermediates, self.moment(leaf, now))?;
        self.trust.subject(leaf).map(|_| verified).map_err(|reason| {
            // The alert can only say "revoked"; who it was is told here or nowhere.
            tracing::debug!(%reason, "client certificate refused");
            refuse(reason)
        })
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.chain(leaf, intermediates, now)?;
        // Our own reason matters more than the alert: the caller reads it.
        self.identity(leaf)
            .map(|()| ServerCertVerified::assertion())
            .map_err(|reason| CertificateError::Other(OtherError(Arc::new(reason))).into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerVerifier {
    fn chain(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        check_length(intermediates)?;
        let roots = match &self.wanted {
            Wanted::Node { trust, .. } => trust.roots.clone(),
            Wanted::Authority { authority, .. } => only_root(intermediates, *authority)?,
        };
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, intermediates, now, algorithms)
    }

    fn identity(&self, leaf: &[u8]) -> Result<(), TransportError> {
        let (subject, expect) = match &self.wanted {
            Wanted::Node { trust, expect } => (trust.subject(leaf)?, expect),
            Wanted::Authority { cluster, .. } => (subject_in(leaf, cluster)?, &ExpectedPeer::AnyNode),
        };
        if expect.accepts(&subject.identity) {
            return Ok(());
        }
        Err(TransportError::WrongPeer { expected: expect.to_string(), found: subject.identity.to_string() })
    }
}

/// The presented certificate that the token names, as the only root to trust.
fn only_root(presented: &[CertificateDer<'_>], authority: CaDigest) -> Result<Arc<RootCertStore>, Error> {
    let named =
        presented.iter().find(|certificate| CaDigest::of(certificate) == authority).ok_or_else(|| {
            let reason = TransportError::WrongAuthority { expected: authority.to_string() };
            Error::from(CertificateError::Other(OtherError(Arc::new(reason))))
        })?;
    let mut roots = RootCertStore::empty();
    roots.add(named.clone().into_owned())?;
    Ok(Arc::new(roots))
}
