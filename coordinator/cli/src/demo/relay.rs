//! Relays that the demo puts between its agents, so that one of them can be cut off from all others and still reach the
//! database. They pass bytes on and know nothing of what the bytes mean: the agents talk mutual TLS through them.
//!
//! They have a thread of their own: what the demo does while it ends processes must not stop the agents' talk.

use super::cluster_file::Seat;
use anyhow::Context as _;
use lockkeeper_core::ids::MemberName;
use std::{
    net::SocketAddr,
    thread::{Builder, JoinHandle},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
};

/// Who is cut off: nobody comes to its agent, and its agent comes to nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cut {
    member: MemberName,
    /// The agent's process: a relay knows by it who calls.
    pid: u32,
}

/// One relay in front of every agent. Dropped, they close.
#[derive(Debug)]
pub struct Relays {
    cut: watch::Sender<Option<Cut>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relays {
    /// Listens at every seat's address and passes on to its agent.
    pub fn start(seats: &[Seat]) -> anyhow::Result<Self> {
        let (cut, cuts) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        let mut listeners = Vec::with_capacity(seats.len());
        for seat in seats {
            let listener = std::net::TcpListener::bind(seat.address)
                .with_context(|| format!("cannot listen at {} for {}", seat.address, seat.member))?;
            listener.set_nonblocking(true)?;
            listeners.push((seat.clone(), listener));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = Builder::new().name("relays".to_owned()).spawn(move || {
            runtime.block_on(async move {
                for (seat, listener) in listeners {
                    tokio::spawn(serve(seat, listener, cuts.clone()));
                }
                // Either word means the end.
                let _ended = stopped.await;
            });
        })?;
        Ok(Self { cut, stop: Some(stop), thread: Some(thread) })
    }

    /// Cuts a member's agent off from all others, also what is connected already.
    pub fn cut(&self, member: &MemberName, pid: u32) {
        self.cut.send_replace(Some(Cut { member: member.clone(), pid }));
    }

    /// Lets everybody talk to everybody again.
    pub fn heal(&self) {
        self.cut.send_replace(None);
    }
}

impl Drop for Relays {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

async fn serve(seat: Seat, listener: std::net::TcpListener, cuts: watch::Receiver<Option<Cut>>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        match listener.accept().await {
            Ok((caller, from)) => drop(tokio::spawn(carry(seat.clone(), caller, from, cuts.clone()))),
            // The caller went away, or too many files are open; the next one may fare better.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn carry(seat: Seat, mut caller: TcpStream, from: SocketAddr, mut cuts: watch::Receiver<Option<Cut>>) {
    if concerns(cuts.borrow_and_update().as_ref(), &seat.member, from) {
        return;
    }
    let Ok(mut agent) = TcpStream::connect(seat.agent).await else { return };
    for stream in [&caller, &agent] {
        // A relay that waited for more bytes would cost every answer its time.
        let _unsupported = stream.set_nodelay(true);
    }
    tokio::select! {
        _closed = copy_bidirectional(&mut caller, &mut agent) => {}
        () = until_cut(&mut cuts, &seat.member, from) => {}
    }
}

async fn until_cut(cuts: &mut watch::Receiver<Option<Cut>>, member: &MemberName, from: SocketAddr) {
    while cuts.changed().await.is_ok() {
        if concerns(cuts.borrow_and_update().as_ref(), member, from) {
            return;
        }
    }
    std::future::pending().await
}

fn concerns(cut: Option<&Cut>, member: &MemberName, from: SocketAddr) -> bool {
    cut.is_some_and(|cut| cut.member == *member || is_end_of(cut.pid, from))
}

/// Whether a process holds the socket with this local address.
fn is_end_of(pid: u32, local: SocketAddr) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let Some(inode) = inode(&table, local) else { return false };
    let held = format!("socket:[{inode}]");
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|to| to.as_os_str() == held.as_str())
}

/// The socket's number in the kernel's table, whose addresses are hexadecimal in the machine's order of bytes.
fn inode(table: &str, local: SocketAddr) -> Option<u64> {
    let SocketAddr::V4(local) = local else { return None };
    let wanted = format!("{:08X}:{:04X}", u32::from_ne_bytes(local.ip().octets()), local.port());
    let of = |line: &str| {
        let mut fields = line.split_whitespace();
        // A socket that only waits for its time to run out has no number.
        let is = fields.nth(1)? == wanted;
        fields.nth(7)?.parse::<u64>().ok().filter(|inode| is && *inode > 0)
    };
    table.lines().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read as _, Write as _},
        net::Ipv4Addr,
        time::Duration,
    };

    #[test]
    fn whoever_is_cut_off_neither_calls_nor_is_called() {
        let reserved = crate::demo::ports::Ports::reserve(2).unwrap();
        let ports = reserved.addresses().unwrap();
        let echo = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let member = MemberName::new("n1").unwrap();
        let seat = Seat { member: member.clone(), agent: echo.local_addr().unwrap(), address: ports[0], app: ports[1] };
        std::thread::spawn(move || {
            for stream in echo.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
                });
            }
        });
        let relays = Relays::start(&[seat]).unwrap();
        let call = || {
            let stream = std::net::TcpStream::connect(ports[0]).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream
        };
        let answers = |stream: &mut std::net::TcpStream| {
            let mut byte = [0];
            stream.write_all(b"x").is_ok() && stream.read_exact(&mut byte).is_ok()
        };
        let mut connected = call();
        assert!(answers(&mut connected));
        // This process is the caller: it is cut off although the relay is another member's.
        relays.cut(&MemberName::new("n2").unwrap(), std::process::id());
        assert!(!answers(&mut connected));
        assert!(!answers(&mut call()));
        relays.heal();
        assert!(answers(&mut call()));
        relays.cut(&member, 0);
        assert!(!answers(&mut call()));
    }

    #[test]
    fn the_kernels_table_is_read_by_local_address() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:4E20 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n\
            1: 0100007F:4E21 0100007F:4E20 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0\n";
        assert_eq!(inode(table, "127.0.0.1:20000".parse().unwrap()), Some(4711));
        assert_eq!(inode(table, "127.0.0.1:20001".parse().unwrap()), None);
    }
}
