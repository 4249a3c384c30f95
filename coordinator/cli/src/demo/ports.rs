//! TCP ports that no other demo takes, although two run at once and most of the ports are bound only later. Knows that a
//! port which is free now can be taken as somebody's source port.

use anyhow::Context as _;
use rand::Rng as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::process::ExitCode;
use tokio::net::TcpSocket;

/// Below the range Linux takes source ports from (32768 and up): a member's port that is free while its
/// application is stopped must not be taken by one of the demo's thousands of short connections.
const RANGE: Range<u16> = 20_000..32_000;

/// Attempts for each port; with a tenth of the range in use a hundred misses in a row do not happen.
const ATTEMPTS_MAX: usize = 100;

/// Loopback addresses that are ours until this is dropped.
///
/// Each is held by a socket that is bound and never listens. A server that allows its address to be reused, as all
/// those of the standard library do, can bind and listen beside it; [`Ports::reserve`] binds without, and so finds
/// every port taken that somebody listens at or has reserved.
#[derive(Debug)]
pub struct Ports(Vec<TcpSocket>);

impl Ports {
    /// Reserves `count` different addresses.
    pub fn reserve(count: usize) -> anyhow::Result<Self> {
        let mut rng = rand::rng();
        let mut held = Vec::with_capacity(count);
        for _ in 0..count {
            let socket = (0..ATTEMPTS_MAX)
                .find_map(|_| hold((Ipv4Addr::LOCALHOST, rng.random_range(RANGE)).into()).ok())
                .context("found no free port on 127.0.0.1")?;
            held.push(socket);
        }
        Ok(Self(held))
    }

    /// Where they are.
    pub fn addresses(&self) -> anyhow::Result<Vec<SocketAddr>> {
        self.0.iter().map(|socket| socket.local_addr().context("cannot read a port back")).collect()
    }
}

fn hold(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(address)?;
    socket.set_reuseaddr(true)?;
    Ok(socket)
}

/// Prints free addresses, which nobody holds from then on.
pub fn print(count: usize) -> anyhow::Result<ExitCode> {
    serde_json::to_writer(std::io::stdout(), &Ports::reserve(count)?.addresses()?)
        .context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::BTreeSet,
        net::TcpListener,
        time::{Duration, Instant},
    };

    /// A process that another test starts has, between fork and exec, what was closed here still open.
    const CLOSED_WITHIN: Duration = Duration::from_secs(10);

    fn listen(address: SocketAddr) -> TcpListener {
        let begun = Instant::now();
        loop {
            match TcpListener::bind(address) {
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && begun.elapsed() < CLOSED_WITHIN => {
                    std::thread::yield_now();
                }
                bound => return bound.unwrap(),
            }
        }
    }

    #[test]
    fn reserved_ports_differ_and_can_be_listened_at() {
        let ports = Ports::reserve(12).unwrap();
        let addresses = ports.addresses().unwrap();
        assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), 12);
        for address in addresses {
            // A server that ends and starts again finds its port as before.
            for _ in 0..2 {
                let listener = listen(address);
                std::net::TcpStream::connect(address).unwrap();
                assert!(hold(address).is_err(), "somebody listens there");
                drop(listener);
            }
            assert!(hold(address).is_err(), "somebody else reserved what is reserved");
        }
    }
}
