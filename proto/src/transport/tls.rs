//! The TLS configuration of one process, replaceable while it runs. Certificate, roots and revocations change
//! together, and each handshake takes whatever is current.

use arc_swap::ArcSwap;
use lockkeeper_core::ids::ClusterId;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

use super::certificate::{Lifetime, Subject, lifetime};
use super::config::{Configs, Own};
use super::error::TransportError;
use super::limits::{CHAIN_MAX, ROOTS_MAX};
use super::revocation::Revocations;
use super::verify::Trust;

/// What a process proves itself with and whom it believes. Holds a private key, which `Debug` does not
/// show.
#[derive(Clone)]
pub struct Credentials {
    /// Our cluster.
    pub cluster: ClusterId,
    /// Our certificate, then its issuers without the root; DER.
    pub chain: Vec<Vec<u8>>,
    /// The private key of the first of them; PKCS#8 DER.
    pub key: Vec<u8>,
    /// Every root we trust; DER. More than one only while the root is being replaced.
    pub roots: Vec<Vec<u8>>,
}

/// The current TLS configuration. Cheap to clone; all clones see a reload.
#[derive(Clone)]
pub struct Tls {
    current: Arc<ArcSwap<State>>,
    changed: watch::Sender<()>,
}

/// One consistent configuration.
pub(super) struct State {
    pub trust: Trust,
    pub subject: Subject,
    pub lifetime: Lifetime,
    pub configs: Configs,
}

/// Installs ring as the process's TLS provider. Idempotent. Other TLS users in the tree (database clients) take the
/// process's default, and with two providers compiled in rustls panics unless one is installed by name.
pub fn install_crypto() {
    // An error means that somebody installed one before; ours is passed explicitly everywhere in this module.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Tls {
    /// Checks the credentials, that the chain leads to one of the roots now, and makes a configuration of them.
    pub fn new(credentials: Credentials, revocations: Revocations) -> Result<Self, TransportError> {
        let state = State::new(credentials, revocations)?;
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(state)), changed: watch::Sender::new(()) })
    }

    /// Replaces certificate, key and roots; keeps the revocations. On an error the old configuration stays.
    pub fn reload(&self, credentials: Credentials) -> Result<(), TransportError> {
        let state = State::new(credentials, (*self.current.load().trust.revocations).clone())?;
        self.current.store(Arc::new(state));
        self.changed.send_replace(());
        Ok(())
    }

    /// Replaces the revocation list. Open connections of whoever is on it now are ended.
    pub fn revoke(&self, revocations: Revocations) -> Result<(), TransportError> {
        let state = self.current.load().with_revocations(Arc::new(revocations))?;
        self.current.store(Arc::new(state));
        self.changed.send_replace(());
        Ok(())
    }

    /// Who we are.
    pub fn subject(&self) -> Subject {
        self.current.load().subject.clone()
    }

    /// From when to when our own certificate counts.
    pub fn lifetime(&self) -> Lifetime {
        self.current.load().lifetime
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.current.load_full()
    }

    /// Resolves with the reason when a connection of `subject` must end.
    pub(super) async fn ended(self, subject: Subject) -> &'static str {
        let mut changes = self.changed.subscribe();
        loop {
            if self.current.load().trust.revocations.revoked(&subject) {
                return "the peer's certificate was revoked";
            }
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

impl State {
    fn new(credentials: Credentials, revocations: Revocations) -> Result<Self, TransportError> {
        let Credentials { cluster, chain, key, roots } = credentials;
        if chain.is_empty() || chain.len() >= CHAIN_MAX || roots.is_empty() || roots.len() > ROOTS_MAX {
            return Err(unusable("the number of certificates in the chain, or of roots"));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots: Vec<CertificateDer<'static>> = roots.into_iter().map(CertificateDer::from).collect();
        let mut store = RootCertStore::empty();
        for root in &roots {
            store.add(root.clone()).map_err(|error| unusable(format!("a root: {error}")))?;
        }
        let chain: Vec<CertificateDer<'static>> = chain.into_iter().map(CertificateDer::from).collect();
        let key = PrivateKeyDer::try_from(key).map_err(|_| unusable("the private key"))?;
        let trust = Trust { cluster, roots: Arc::new(store), revocations: Arc::new(revocations), provider };
        // Caught here, the mistake is ours and has a name; caught in a handshake, it is an alert at the other side.
        let subject = trust.check_own(&chain)?;
        let lifetime =
            chain.first().and_then(|leaf| lifetime(leaf)).ok_or_else(|| unusable("its lifetime"))?;
        let own = Own::new(&trust.provider, chain, key, roots)?;
        let configs = Configs::new(&trust, own)?;
        Ok(Self { trust, subject, lifetime, configs })
    }

    fn with_revocations(&self, revocations: Arc<Revocations>) -> Result<Self, TransportError> {
        let trust = Trust { revocations, ..self.trust.clone() };
        let configs = Configs::new(&trust, self.configs.own.clone())?;
        Ok(Self { trust, subject: self.subject.clone(), lifetime: self.lifetime, configs })
    }
}

pub(super) fn unusable(reason: impl Into<String>) -> TransportError {
    TransportError::Credentials { reason: reason.into() }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("subject", &self.current.load().subject).finish_non_exhaustive()
    }
}
