//! Putting a server back so that no client meets an application that is not there.
//!
//! `ready` straight after `maint` makes a server up without a single check, and so does `drain` straight after it: the
//! number for "up" is then a guess, and clients that hold the server's cookie pierce a drain. So: out of maintenance into
//! drain and down at once, where the checks run and nobody comes; wait for checks that really passed; only then `ready`.

use super::{Admin, Haproxy, Reading, drain::Watch};
use crate::code::HostCode;
use lockkeeper_agent::host::Failure;
use std::time::Duration;

/// How often the balancer is asked; its own check interval is seldom shorter.
const POLL: Duration = Duration::from_millis(50);

/// Gives a server back in the state that was captured. For `ready` it waits for the balancer's own check, without a limit
/// of its own: the caller drops the future at the step's deadline, and the server stays in drain. May be repeated.
pub async fn admit(balancer: &Haproxy, server: &str, captured: Admin) -> Result<Reading, Failure> {
    let mut watch = Watch::begin();
    let reading = balancer.read(server).await?;
    match (captured, reading.admin) {
        (Admin::Maint, Admin::Maint) | (Admin::Drain, Admin::Drain) => Ok(reading),
        (Admin::Maint | Admin::Drain, _) => balancer.set(server, captured).await,
        (Admin::Ready, Admin::Ready) => Ok(reading),
        (Admin::Ready, Admin::Maint) => {
            if reading.checked {
                balancer.drain_distrusted(server).await?;
            } else {
                // Nothing would ever bring it up again.
                balancer.set(server, Admin::Drain).await?;
            }
            ready(balancer, server, &mut watch).await
        }
        (Admin::Ready, Admin::Drain) => ready(balancer, server, &mut watch).await,
    }
}

async fn ready(balancer: &Haproxy, server: &str, watch: &mut Watch) -> Result<Reading, Failure> {
    loop {
        watch.check()?;
        match balancer.read(server).await {
            // A reload put it back, or somebody did.
            Ok(reading) if reading.admin == Admin::Ready => return Ok(reading),
            Ok(reading) if reading.admin == Admin::Maint => {
                return Err(HostCode::BalancerReadBack.failure(format!(
                    "{}: somebody put it into maintenance while its checks were awaited: {reading}",
                    balancer.name_of(server)
                )));
            }
            Ok(reading) if reading.check_passed() => return balancer.set(server, Admin::Ready).await,
            // Down, or not to be asked for a moment: until the caller's deadline.
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep(POLL).await;
    }
}
