//! Proof is of a moment: it is repeated on a timer and whenever addresses, routes or our rules changed.

use super::{
    firewall::{Standing, raise, standing},
    prove::{Proof, prove},
    rules::Isolation,
};
use lockkeeper_agent::host::Failure;
use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long a proof holds where nothing changes.
pub const EVERY: Duration = Duration::from_secs(60);

/// Between two looks at addresses and routes: four small files of the kernel.
const LOOK: Duration = Duration::from_secs(1);

/// Every so many looks the rules are read back too, which starts a process.
const RULES_EVERY: u32 = 5;

/// What shows addresses and routes of both families.
const NETWORK: [&str; 4] =
    ["/proc/net/fib_trie", "/proc/net/route", "/proc/net/if_inet6", "/proc/net/ipv6_route"];

/// What is kept in force and proven.
#[derive(Debug, Clone)]
pub struct Guarded {
    /// The rules.
    pub isolation: Isolation,
    /// Must give no answer.
    pub forbidden: Vec<SocketAddr>,
    /// Must answer.
    pub allowed: Vec<SocketAddr>,
    /// Where the ruleset is written before it is loaded.
    pub scratch: PathBuf,
}

impl Guarded {
    /// Puts the rules in force; again, if they are whole already, so that connections are cut.
    pub async fn raise(&self) -> Result<(), Failure> {
        raise(&self.isolation, &self.scratch).await
    }

    /// Puts back what somebody changed, then proves.
    async fn proven(&self, wanted: &impl Fn() -> bool) -> Result<Proof, Failure> {
        if !matches!(standing(&self.isolation).await?, Standing::Whole(_)) && wanted() {
            tracing::error!(
                code = "LK5602",
                "the isolation was changed from outside; it is put in force again"
            );
            self.raise().await?;
        }
        prove(&self.isolation, &self.forbidden, &self.allowed).await
    }

    /// Proves at once and then again and again, and tells every result, until it is not wanted any more.
    pub async fn watch(&self, wanted: impl Fn() -> bool, mut tell: impl FnMut(&Result<Proof, Failure>)) {
        while wanted() {
            let seen = network();
            let proof = self.proven(&wanted).await;
            if wanted() {
                tell(&proof);
            }
            self.changed(&seen).await;
        }
    }

    /// Returns when something changed or the proof is old.
    async fn changed(&self, seen: &[u8]) {
        let begun = Instant::now();
        for look in 1u32.. {
            tokio::time::sleep(LOOK).await;
            let rules_due = look.is_multiple_of(RULES_EVERY);
            let rules_changed =
                rules_due && !matches!(standing(&self.isolation).await, Ok(Standing::Whole(_)));
            if rules_changed || network() != seen || begun.elapsed() >= EVERY {
                return;
            }
        }
    }
}

/// Addresses and routes as the kernel shows them. A file that is not there (no IPv6) shows nothing, always.
fn network() -> Vec<u8> {
    NETWORK.iter().flat_map(|path| std::fs::read(path).unwrap_or_default()).collect()
}
