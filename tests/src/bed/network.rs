//! The cables between the hosts: one switch in a namespace of its own, and a guard on the machine so that nothing
//! addressed to the bed can leave by the machine's real card. Knows addresses and links, no product.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::host::Host;
use super::process;

/// The network of every bed. Two beds may use it at once: their switches do not know each other.
const NETWORK: &str = "10.77.0.0/24";
/// A link command answers at once or never.
const LINK_WITHIN: Duration = Duration::from_secs(10);
/// Metrics to try for the guard's route, so that each run has and removes its own.
const METRICS: std::ops::Range<u32> = 17_700..17_800;

/// A blackhole route on the machine: a tool started outside the hosts that dials a bed's address fails at once
/// instead of following the default route out.
#[derive(Debug)]
pub struct Guard(u32);

impl Guard {
    /// Sets the route under a metric of this run's own.
    pub fn set() -> Result<Self> {
        for metric in METRICS {
            let number = metric.to_string();
            let ran = ip(&["route", "add", "blackhole", NETWORK, "metric", &number])?;
            if ran.code == 0 {
                return Ok(Self(metric));
            }
            if !ran.stderr.contains("File exists") {
                bail!("the guard route was refused: {}", ran.stderr);
            }
        }
        bail!(
            "no metric left for the guard route: are there old runs' routes? see `ip route show type blackhole`"
        )
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let metric = self.0.to_string();
        if let Err(error) = ip(&["route", "del", "blackhole", NETWORK, "metric", &metric]) {
            tracing::warn!(%error, "the guard route stayed");
        }
    }
}

/// The switch: a bridge on a host without an address.
#[derive(Debug)]
pub struct Switch {
    host: Host,
}

impl Switch {
    /// An empty switch.
    pub fn start(directory: &Path) -> Result<Self> {
        let host = Host::bare("switch", directory)?;
        let on = |words: &[&str]| host.run(LINK_WITHIN, words)?.ok();
        on(&["ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0", "stp_state", "0"])?;
        on(&["ip", "link", "set", "br0", "up"])?;
        Ok(Self { host })
    }

    /// A cable from the host's `eth0` to a port named after the host.
    pub fn plug(&mut self, host: &Host) -> Result<()> {
        let Some(address) = host.address() else { bail!("{} has no address", host.name()) };
        let (inside, switch) = (host.pid().to_string(), self.host.pid().to_string());
        let port = host.name();
        ip(&[
            "link", "add", "eth0", "netns", &inside, "type", "veth", "peer", "name", port, "netns", &switch,
        ])?
        .ok()?;
        self.host.run(LINK_WITHIN, &["ip", "link", "set", port, "master", "br0", "up"])?.ok()?;
        host.run(LINK_WITHIN, &["ip", "addr", "add", &format!("{address}/24"), "dev", "eth0"])?.ok()?;
        host.run(LINK_WITHIN, &["ip", "link", "set", "eth0", "up"])?.ok()?;
        Ok(())
    }

    /// Pulls a host's cable (the host sees no carrier) or puts it back.
    pub fn cable(&self, host: &str, state: Cable) -> Result<()> {
        let word = match state {
            Cable::In => "up",
            Cable::Out => "down",
        };
        self.host.run(LINK_WITHIN, &["ip", "link", "set", host, word])?.ok()?;
        Ok(())
    }
}

/// Whether a host's cable is plugged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cable {
    /// Plugged.
    In,
    /// Pulled.
    Out,
}

fn ip(words: &[&str]) -> Result<process::Ran> {
    let mut argv = vec!["ip"];
    argv.extend_from_slice(words);
    process::run(LINK_WITHIN, &argv)
}
