//! Isolation around an agent's life: put in force again after a boot, put in force by a copy in quarantine, kept proven.

use super::NodeError;
use lockkeeper_adapters::isolation::{Guarded, Isolation, lower};
use lockkeeper_agent::{
    clock::SystemClock,
    data::{ISOLATION, PEERS},
    isolation::{Allowed, Note},
    quarantine::Reason,
    settings::Settings,
};
use lockkeeper_core::ids::MemberName;
use lockkeeper_proto::port::Clock as _;
use std::net::SocketAddr;
use tracing::{error, info, warn};

/// What `agent.toml` wants kept away and let through, with everything a proof tries.
pub fn guarded(settings: &Settings) -> Guarded {
    let isolation = Isolation { allow: settings.isolation.allow.clone() };
    let mut forbidden: Vec<SocketAddr> = settings.isolation.forbidden.iter().copied().collect();
    forbidden.extend(peers(settings).into_iter().filter(|peer| !isolation.lets_through(peer)));
    forbidden.sort();
    forbidden.dedup();
    let ports = settings.isolation.allow.iter().filter_map(|allowed| match allowed {
        Allowed::Port(port) => Some(*port),
        Allowed::Address(_) => None,
    });
    Guarded { allowed: ports.collect(), isolation, forbidden, scratch: settings.data.clone() }
}

/// The other nodes that are known by number; a name would have to be asked of a resolver.
fn peers(settings: &Settings) -> Vec<SocketAddr> {
    let peers = std::fs::read(settings.data.join(PEERS)).unwrap_or_default();
    let peers: Vec<(MemberName, String)> = serde_json::from_slice(&peers).unwrap_or_default();
    peers.iter().filter_map(|(_, address)| address.parse().ok()).collect()
}

/// After a boot: what the note says is put in force before anything else. Kept proven by the returned task.
pub async fn restored(settings: &Settings) -> Result<Option<tokio::task::JoinSet<()>>, NodeError> {
    let note = settings.data.join(ISOLATION);
    match Note::load(&note).map_err(|source| NodeError::Isolation { path: note, source })? {
        None => Ok(None),
        Some(_) => kept(settings).await.map(Some),
    }
}

/// A copy cuts its own network where `agent.toml` has a section for it. A weak one may still ask its peers.
pub async fn around(
    settings: &Settings,
    reason: &Reason,
) -> Result<Option<tokio::task::JoinSet<()>>, NodeError> {
    if !settings.isolation.configured {
        warn!(
            "this machine's network is not cut: agent.toml has no [isolation]; lockkeeper isolate does it by hand"
        );
        return Ok(None);
    }
    match reason {
        Reason::Weak(_) => {
            let mut asking = guarded(settings);
            asking.isolation.allow.extend(peers(settings).into_iter().map(Allowed::Port));
            asking.raise().await.map_err(NodeError::Host)?;
            Ok(None)
        }
        Reason::Machine(_) | Reason::Rival(_) => {
            let path = settings.data.join(ISOLATION);
            let why = format!("quarantine {}", reason.code());
            Note::new(why, SystemClock.wall_ms())
                .save(&path)
                .map_err(|source| NodeError::Isolation { path, source })?;
            kept(settings).await.map(Some)
        }
    }
}

/// The suspicion is gone.
pub async fn lifted(settings: &Settings) -> Result<(), NodeError> {
    if settings.isolation.configured {
        lower().await.map_err(NodeError::Host)?;
    }
    Ok(())
}

async fn kept(settings: &Settings) -> Result<tokio::task::JoinSet<()>, NodeError> {
    let guarded = guarded(settings);
    guarded.raise().await.map_err(NodeError::Host)?;
    let path = settings.data.join(ISOLATION);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        guarded
            // Lifted by the command line: the note is gone. One that cannot be read still counts.
            .watch(
                || !matches!(Note::load(&path), Ok(None)),
                |proof| {
                    match proof {
                        Ok(proof) => {
                            info!(
                                refused = proof.refused.len(),
                                reached = proof.reached.len(),
                                "isolation is proven"
                            )
                        }
                        Err(failure) => {
                            error!(code = failure.code.as_str(), "isolation is not proven: {}", failure.text)
                        }
                    }
                    let noted = Note::load(&path).and_then(|note| match note {
                        Some(note) => {
                            Note { proven_ms: proof.is_ok().then(|| SystemClock.wall_ms()), ..note }
                                .save(&path)
                        }
                        None => Ok(()),
                    });
                    if let Err(error) = noted {
                        warn!(code = "LK7118", %error, "the proof was not noted");
                    }
                },
            )
            .await;
    });
    Ok(tasks)
}
