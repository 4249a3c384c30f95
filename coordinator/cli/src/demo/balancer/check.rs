//! Health checks: `GET /health` on a fresh connection, every 200 ms, except in maint.

use super::health::Checked;
use super::pool::Place;
use super::proxy::Balancer;
use crate::demo::outbound::{self, CallError};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONNECTION, HOST};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Between the beginnings of two checks (HAProxy's `inter`).
const INTERVAL: Duration = Duration::from_millis(200);

/// For one check (HAProxy's `timeout check`). More than the interval, so that an application which shares two
/// busy cores with a migration is not taken out for being slow; a frozen one is out after two of them.
const LIMIT: Duration = Duration::from_secs(1);

/// Checks one server for ever.
pub async fn run(balancer: Arc<Balancer>, place: Place) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // In maint the clock goes on and nothing is asked.
        let Some((addr, round)) = balancer.pool().check_begins(place) else { continue };
        balancer.pool().connected(place);
        let outcome = timeout(LIMIT, check(addr)).await.unwrap_or(Checked::TimedOut);
        let mut pool = balancer.pool();
        pool.disconnected(place);
        pool.checked(place, round, outcome);
    }
}

async fn check(addr: SocketAddr) -> Checked {
    let request = Request::get("/health").header(HOST, addr.to_string()).header(CONNECTION, "close");
    let Ok(request) = request.body(Full::new(Bytes::new())) else { return Checked::Invalid };
    let mut sender = match outbound::connect(addr).await {
        Ok(sender) => sender,
        Err(CallError::Connect(_)) => return Checked::Refused,
        Err(CallError::Broken(_)) => return Checked::Invalid,
    };
    match outbound::call(&mut sender, request).await {
        Ok(answer) => {
            let status = answer.status();
            if status.is_success() || status.is_redirection() {
                Checked::Passed { status: status.as_u16() }
            } else {
                Checked::Status { status: status.as_u16() }
            }
        }
        Err(CallError::Connect(_) | CallError::Broken(_)) => Checked::Invalid,
    }
}
