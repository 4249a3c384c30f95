//! Keeps this node's certificate good while it runs: takes roots in and drops them, fetches the next issuing key, renews
//! in time, and tells the group what it shows. One path for the first boot, an expired certificate and a roll-over.

use lockkeeper_core::ids::{Digest, Incarnation, MemberName, RequestId};
use lockkeeper_core::rollout::trust::{CertificateReport, RollOverStage, TrustCommand};
use lockkeeper_core::rollout::{Command, Reply, State};
use lockkeeper_core::time::{LogTime, Millis};
use lockkeeper_proto::client::group::GroupClient;
use lockkeeper_proto::port::{Clock, Group, Instance, Proposal};
use lockkeeper_proto::transport::{Credentials, Dialer, ExpectedPeer, Tls};
use std::sync::Arc;

use super::authority::{IssuingCa, Validity};
use super::keys::Keys;
use super::renew::{self, RenewAsk, RenewError};
use super::request::PrivateKey;
use super::roll_over::{cross_of, roots_of};
use super::store::PkiStore;
use crate::limits::MESSAGE_MAX;

/// How often the certificate is looked at when nothing else happens: renewal is due once in ten days.
const LOOK_EVERY: Millis = Millis::from_secs(60);

/// Pause after a failure. A node whose certificate has expired takes no part until it is renewed, and its peers may only
/// just be starting.
const RETRY: Millis = Millis::from_secs(2);

/// From when on people are warned: renewal has been due for two weeks then, so it does not happen by itself.
pub const WARN_BELOW: Millis = Millis::from_secs(7 * 24 * 3600);

/// One key of a peer.
const FETCH_DEADLINE: std::time::Duration = std::time::Duration::from_secs(3);

/// What the keeper works with.
pub struct Keeper {
    /// This node.
    pub me: MemberName,
    /// Its identity's incarnation.
    pub incarnation: Incarnation,
    /// The group.
    pub group: Arc<dyn Group>,
    /// What peers see of this node; replaced when a new certificate is there.
    pub tls: Tls,
    /// What this node issues with.
    pub keys: Arc<Keys>,
    /// Where everything is filed.
    pub store: PkiStore,
    /// Ways to other agents.
    pub dialer: Arc<dyn Dialer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Which running of this agent.
    pub instance: Instance,
    /// What is shown now.
    pub credentials: Credentials,
}

impl Keeper {
    /// Runs until the group stops.
    pub async fn run(mut self) {
        let mut views = self.group.follow();
        let mut warned = 0;
        loop {
            let state = views.borrow_and_update().state.clone();
            let pause = match self.turn(&state).await {
                Ok(()) => LOOK_EVERY,
                Err(error) => {
                    tracing::warn!(code = error.code(), %error, "this node's certificate could not be kept");
                    RETRY
                }
            };
            self.warn(&mut warned);
            tokio::select! {
                () = self.clock.sleep(pause) => {}
                changed = views.changed() => if changed.is_err() { return },
            }
            if pause == RETRY {
                // Also when the state changes all the time: a rollout must not turn a failure into a storm.
                self.clock.sleep(RETRY).await;
            }
        }
    }

    async fn turn(&mut self, state: &State) -> Result<(), RenewError> {
        self.take_roots(state)?;
        self.take_issuing(state).await?;
        self.keys.set_cross(cross_of(state).filter(|_| self.issues_newest(state)));
        if self.due(state) {
            self.renew(state).await?;
        }
        self.tell(state).await
    }

    /// Once a day.
    fn warn(&self, warned: &mut u64) {
        const DAY: u64 = 24 * 3_600_000;
        let now = self.clock.wall_ms();
        let left = self.tls.lifetime().not_after_ms.saturating_sub(now);
        if left < WARN_BELOW.0 && now.saturating_sub(*warned) >= DAY {
            *warned = now;
            let hours = left / 3_600_000;
            tracing::warn!(code = "LK4357", hours, "this node's certificate ends soon and was not renewed");
        }
    }

    fn take_roots(&mut self, state: &State) -> Result<(), RenewError> {
        let Some(roots) = roots_of(state) else { return Ok(()) };
        if roots == self.credentials.roots {
            return Ok(());
        }
        let credentials = Credentials { roots, ..self.credentials.clone() };
        let taken = self.tls.reload(credentials.clone());
        taken.map_err(|error| RenewError::BadAnswer(format!("roots: {error}")))?;
        self.store.save_roots(&credentials.roots).map_err(RenewError::Pki)?;
        self.keys.set_roots(credentials.roots.clone());
        tracing::info!(roots = credentials.roots.len(), "trusted roots changed");
        self.credentials = credentials;
        Ok(())
    }

    /// Fetches the next issuing key as soon as it is known of, and issues with it from its stage on. A node that holds
    /// none needs none.
    async fn take_issuing(&self, state: &State) -> Result<(), RenewError> {
        let Some(present) = self.keys.issuing() else { return Ok(()) };
        let (wanted, issues) = match (&state.trust.roll_over, state.trust.authorities.last()) {
            (Some(roll), _) => (roll.issuing.clone(), roll.stage != RollOverStage::Trust),
            (None, Some(only)) => match &only.issuing {
                Some(digest) => (digest.clone(), true),
                None => return Ok(()),
            },
            (None, None) => return Ok(()),
        };
        if present.digest() == wanted {
            return Ok(());
        }
        if self.keys.find(&wanted).is_none() {
            let fetched = self.fetch(state, &wanted).await?;
            self.keys.hold_next(fetched).map_err(RenewError::Pki)?;
            tracing::info!(issuing = %wanted.0, "next issuing key fetched");
        }
        if issues && self.keys.issue_with(&wanted).map_err(RenewError::Pki)? {
            tracing::info!(issuing = %wanted.0, "issuing under the new authority");
        }
        Ok(())
    }

    fn issues_newest(&self, state: &State) -> bool {
        let newest = state.trust.roll_over.as_ref().map(|roll| &roll.issuing);
        newest.is_some() && newest == self.keys.issuing().map(|i| i.digest()).as_ref()
    }

    async fn fetch(&self, state: &State, wanted: &Digest) -> Result<IssuingCa, RenewError> {
        let mut tried = Vec::new();
        for (name, address) in self.others(state) {
            let channel = self.dialer.channel(&address, ExpectedPeer::Member(name.clone()));
            let client = GroupClient::new(channel, MESSAGE_MAX).speaking_as(&self.instance);
            match tokio::time::timeout(FETCH_DEADLINE, client.issuing(wanted)).await {
                Ok(Ok((certificate, key))) => {
                    if Digest::of(&certificate) != *wanted {
                        return Err(RenewError::BadAnswer(format!(
                            "{name} gave another issuing certificate"
                        )));
                    }
                    return IssuingCa::from_parts(&self.credentials.cluster, certificate, &key)
                        .map_err(RenewError::Pki);
                }
                Ok(Err(status)) => tried.push(format!("{name} ({})", status.message())),
                Err(_) => tried.push(format!("{name} (no answer in time)")),
            }
        }
        Err(RenewError::Unavailable(format!("the next issuing key: {}", tried.join(", "))))
    }

    fn due(&self, state: &State) -> bool {
        let lifetime = self.tls.lifetime();
        let validity = Validity {
            not_before: LogTime(lifetime.not_before_ms),
            not_after: LogTime(lifetime.not_after_ms),
        };
        let old_issuer = state
            .trust
            .roll_over
            .as_ref()
            .is_some_and(|roll| roll.stage != RollOverStage::Trust && roll.issuing != self.issuer());
        old_issuer || self.clock.wall_ms() >= validity.renew_at().0
    }

    /// Others first: one of them may know of a revocation that this node missed. Itself only if nobody answers, so that
    /// a single node, and a group that was off for a month, come up again.
    async fn renew(&mut self, state: &State) -> Result<(), RenewError> {
        let key = PrivateKey::generate().map_err(RenewError::Pki)?;
        let request = key.request().map_err(RenewError::Pki)?;
        let chain = match renew::renew(&self.tls, &self.others(state), &request).await {
            Ok(chain) => chain,
            Err(RenewError::Unavailable(tried)) if self.keys.issuing().is_some() => {
                tracing::debug!(tried, "renewing by itself");
                let ask = RenewAsk { member: self.me.clone(), incarnation: self.incarnation, request };
                renew::issue(state, &self.keys, &ask, LogTime(self.clock.wall_ms()))?
            }
            Err(RenewError::Unavailable(tried)) => return Err(RenewError::Nobody { tried }),
            Err(error) => return Err(error),
        };
        // Another one may be a moment behind in a roll-over; what it issues then would have to be renewed at once.
        let newest = state.trust.roll_over.as_ref().filter(|roll| roll.stage != RollOverStage::Trust);
        if newest.is_some_and(|roll| chain.get(1).map(|der| Digest::of(der)).as_ref() != Some(&roll.issuing))
        {
            return Err(RenewError::Unavailable("it does not issue under the new authority yet".to_owned()));
        }
        let credentials = renew::accept(&self.tls, chain, &key, self.credentials.roots.clone())?;
        self.store.save_node(&credentials).map_err(RenewError::Pki)?;
        self.tls.reload(credentials.clone()).map_err(|error| RenewError::BadAnswer(error.to_string()))?;
        self.credentials = credentials;
        tracing::info!(
            not_after_ms = self.tls.lifetime().not_after_ms,
            "this node's certificate was renewed"
        );
        Ok(())
    }

    /// Tells the group what is shown, if it knows something else. Without a leader the next turn tells it.
    async fn tell(&self, state: &State) -> Result<(), RenewError> {
        let known = state.nodes.get(&self.me).is_some_and(|node| node.incarnation == self.incarnation);
        let report = self.report();
        if !known || state.trust.certificates.get(&self.me) == Some(&report) {
            return Ok(());
        }
        let command =
            TrustCommand::Certificate { member: self.me.clone(), incarnation: self.incarnation, report };
        let id = RequestId(format!("{}/certificate/{}", self.me, self.clock.wall_ms()));
        let proposal = Proposal { id, actor: None, trace: String::new(), command: Command::Trust(command) };
        match self.group.propose(proposal).await {
            Ok(Reply::Applied { .. }) => Ok(()),
            // An entry too, and the next occasion: so it counts as a failure, after which there is a pause.
            Ok(Reply::Rejected(rejection)) => {
                Err(RenewError::Unavailable(format!("telling the group: {rejection}")))
            }
            Err(error) => {
                tracing::debug!(%error, "the certificate was not told");
                Ok(())
            }
        }
    }

    fn report(&self) -> CertificateReport {
        CertificateReport {
            expires: LogTime(self.tls.lifetime().not_after_ms),
            issuer: self.issuer(),
            trusted: self.credentials.roots.iter().map(|der| Digest::of(der)).collect(),
            holds: self.keys.holds(),
        }
    }

    fn issuer(&self) -> Digest {
        self.credentials.chain.get(1).map_or_else(|| Digest(String::new()), |der| Digest::of(der))
    }

    /// Every other node's address.
    fn others(&self, state: &State) -> Vec<(MemberName, String)> {
        let others = state.nodes.iter().filter(|(name, _)| **name != self.me);
        others.map(|(name, node)| (name.clone(), node.address.clone())).collect()
    }
}
