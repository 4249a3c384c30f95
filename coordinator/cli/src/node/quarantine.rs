//! An agent in quarantine: no store, no vote, no port for peers, no application. It stands and says why, on the local
//! socket only, until it is told to stop.

use super::{NodeError, isolated, run::local_socket};
use lockkeeper_agent::{quarantine::Reason, settings::Settings};
use lockkeeper_coordinator::api::serve_refusal;
use std::future::Future;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

/// How standing in quarantine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By a signal.
    Told,
    /// The suspicion is gone.
    Released,
}

/// Stands until a signal comes or `released` is done.
pub async fn stand(
    settings: &Settings,
    reason: &Reason,
    released: impl Future<Output = ()>,
) -> Result<Ended, NodeError> {
    let text = reason.text();
    error!(code = reason.code(), name = %settings.name, "quarantine: {text}");
    let _kept_isolated = isolated::around(settings, reason).await?;
    let mut terminate = signal(SignalKind::terminate()).map_err(NodeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(NodeError::Signals)?;
    let local = local_socket(settings)?;
    let (stop, mut stopping) = tokio::sync::watch::channel(false);
    let stopped = Box::pin(async move { drop(stopping.wait_for(|stop| *stop).await) });
    let serve = serve_refusal(local, reason.code(), text, stopped);
    let ended = tokio::select! {
        served = serve => {
            served.map_err(NodeError::Serve)?;
            Ended::Told
        }
        _ = terminate.recv() => Ended::Told,
        _ = interrupt.recv() => Ended::Told,
        () = released => {
            isolated::lifted(settings).await?;
            Ended::Released
        }
    };
    stop.send_replace(true);
    info!(?ended, "the quarantine ends");
    Ok(ended)
}
