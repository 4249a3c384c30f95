//! Free TCP ports for two demos at once. Knows that a port which is free now can be taken as somebody's source port.

use anyhow::Context as _;
use rand::Rng as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::process::ExitCode;

/// Below the range Linux takes source ports from (32768 and up): a member's port that is free while its
/// application is stopped must not be taken by one of the demo's thousands of short connections.
const RANGE: Range<u16> = 20_000..32_000;

/// Attempts for each port; with a tenth of the range in use a hundred misses in a row do not happen.
const ATTEMPTS_MAX: usize = 100;

/// Picks `count` different free loopback addresses. Nothing holds them until they are bound.
pub fn free(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let mut rng = rand::rng();
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let listener = (0..ATTEMPTS_MAX)
            .find_map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, rng.random_range(RANGE))).ok())
            .context("found no free port on 127.0.0.1")?;
        held.push(listener);
    }
    held.iter().map(|listener| listener.local_addr().context("cannot read a port back")).collect()
}

/// Prints what [`free`] picks.
pub fn print(count: usize) -> anyhow::Result<ExitCode> {
    serde_json::to_writer(std::io::stdout(), &free(count)?).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ports_differ_and_can_be_bound() {
        // Somebody else may take a free port first, seldom twelve times in a row.
        let bound = (0..12).any(|_| {
            let ports = free(12).unwrap();
            assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 12);
            ports.into_iter().all(|port| TcpListener::bind(port).is_ok())
        });
        assert!(bound, "what is free cannot be bound");
    }
}
