//! Taking a server out so that no request is lost: drain, zero, maintenance, zero.
//!
//! Drain alone does not keep clients with the server's cookie away, so maintenance follows; it re-dispatches them. Zero is
//! what the balancer counts, never a time that has passed.

use super::{Admin, Haproxy, Reading};
use crate::{clock, code::HostCode};
use lockkeeper_agent::host::Failure;
use lockkeeper_core::time::Millis;
use std::time::Duration;

/// How often the balancer is asked while waiting; three short commands each time.
const POLL: Duration = Duration::from_millis(50);

/// What requests that came with a cookie in the last moment of draining get at least.
const LAST_WAIT: Millis = Millis::from_secs(1);

/// After sessions were ended by force they are gone at once or something is wrong.
const FORCED_LIMIT: Millis = Millis::from_secs(10);

/// A gap between two readings longer than this means that this process was paused (stopped, or its machine asleep).
/// Another executor may act by now, so it does nothing more. Above the deadlines of one reading (three answers).
const PAUSE_MAX: Millis = Millis::from_secs(15);

/// How often a lost drain (by a reload, or by somebody) is set again before that is called a fight.
const SET_AGAIN_MAX: u32 = 5;

/// How a server was taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drained {
    /// Sessions ended by force at the named deadline.
    pub forced: u64,
    /// How often the balancer had lost the setting meanwhile.
    pub set_again: u32,
}

/// Refuses to act on after a pause.
#[derive(Debug)]
pub(super) struct Watch {
    last: lockkeeper_core::time::BootTime,
}

impl Watch {
    pub(super) fn begin() -> Self {
        Self { last: clock::boot() }
    }

    /// Called between two readings.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        let now = clock::boot();
        let gap = now.since(self.last);
        self.last = now;
        if gap > PAUSE_MAX {
            return Err(HostCode::ActingLate.failure(format!(
                "this host was paused for {gap} (more than {PAUSE_MAX}) while working on the balancer; nothing more is done"
            )));
        }
        Ok(())
    }
}

/// Takes `server` out: after `wait` what is left is ended by force, and told so. Comes back when the balancer itself
/// reports maintenance and zero. May be repeated.
pub async fn drain(balancer: &Haproxy, server: &str, wait: Millis) -> Result<Drained, Failure> {
    let mut drained = Drained::default();
    let mut watch = Watch::begin();
    let begin = clock::boot();
    let mut reading = balancer.read(server).await?;
    if reading.admin != Admin::Maint {
        if reading.admin != Admin::Drain {
            balancer.set(server, Admin::Drain).await?;
        }
        // What is left after the wait is ended below, in maintenance: while it only drains, clients with a cookie come
        // back as fast as they are sent away.
        let _left = reached(balancer, server, Admin::Drain, wait, &mut drained, &mut watch).await?;
        reading = balancer.set(server, Admin::Maint).await?;
    }
    if reading.sessions > 0 {
        let rest = Millis(wait.0.saturating_sub(clock::boot().since(begin).0)).max(LAST_WAIT);
        if let Some(last) = reached(balancer, server, Admin::Maint, rest, &mut drained, &mut watch).await? {
            force(balancer, server, last.sessions, &mut drained, &mut watch).await?;
        }
    }
    Ok(drained)
}

async fn force(
    balancer: &Haproxy,
    server: &str,
    left: u64,
    drained: &mut Drained,
    watch: &mut Watch,
) -> Result<(), Failure> {
    watch.check()?;
    balancer.end_sessions(server).await?;
    drained.forced += left;
    match reached(balancer, server, Admin::Maint, FORCED_LIMIT, drained, watch).await? {
        None => Ok(()),
        Some(last) => Err(HostCode::BalancerReadBack.failure(format!(
            "{}: sessions were ended by force, but {FORCED_LIMIT} later it reads: {last}",
            balancer.name_of(server)
        ))),
    }
}

/// Waits until the balancer counts zero, and keeps the setting meanwhile. `Some(last)` if `wait` passed before.
async fn reached(
    balancer: &Haproxy,
    server: &str,
    admin: Admin,
    wait: Millis,
    drained: &mut Drained,
    watch: &mut Watch,
) -> Result<Option<Reading>, Failure> {
    let begin = clock::boot();
    loop {
        watch.check()?;
        match balancer.read(server).await {
            Ok(reading) if reading.admin != admin => {
                drained.set_again += 1;
                if drained.set_again > SET_AGAIN_MAX {
                    return Err(HostCode::BalancerReadBack.failure(format!(
                        "{}: somebody else sets it; it was set to {admin} {SET_AGAIN_MAX} times and reads: {reading}",
                        balancer.name_of(server)
                    )));
                }
                balancer.set(server, admin).await?;
            }
            Ok(reading) if reading.sessions == 0 => return Ok(None),
            Ok(reading) if clock::boot().since(begin) >= wait => return Ok(Some(reading)),
            Ok(_) => {}
            // A reload closes the socket for a moment; the wait's own limit stands.
            Err(failure) if clock::boot().since(begin) >= wait => return Err(failure),
            Err(_) => {}
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockkeeper_core::time::BootTime;

    #[test]
    fn after_a_pause_nothing_more_is_done() {
        let mut watch = Watch::begin();
        assert_eq!(watch.check(), Ok(()));
        let before = clock::boot().0 - PAUSE_MAX.0 - 1;
        let mut frozen = Watch { last: BootTime(before) };
        assert_eq!(frozen.check().unwrap_err().code, HostCode::ActingLate.as_str());
    }
}
