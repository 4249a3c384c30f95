//! The demo's load balancer: an HTTP/1.1 reverse proxy that obeys a subset of HAProxy 2.6's runtime commands.
//!
//! The shipped HAProxy adapter drives it, so it copies what HAProxy does, traps included (each read on HAProxy
//! 2.6.12: persistence pierces drain, checks rest in maint, leaving maint counts as up until a check says
//! otherwise). It knows nothing about members' phases or upgrades.

mod check;
mod control;
mod health;
mod log;
mod pool;
mod proxy;
mod tables;

use crate::demo::inbound;
use crate::demo::lines::LineLog;
use crate::demo::stop::{self, Stdin};
use anyhow::Context as _;
use lockkeeper_core::ids::{BalancerName, MemberName};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};

/// Threads for requests, checks and commands together.
const THREADS: usize = 2;

/// How the balancer is started.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The address clients connect to.
    #[arg(long)]
    listen: SocketAddr,
    /// The unix socket for runtime commands; an old one is replaced.
    #[arg(long)]
    socket: PathBuf,
    /// The backend's name.
    #[arg(long, default_value = "front")]
    backend: BalancerName,
    /// A server, `NAME=ADDRESS:PORT`; repeat for each.
    #[arg(long = "server", required = true, value_parser = server)]
    servers: Vec<(MemberName, SocketAddr)>,
    /// The log to append to, JSON lines: requests, changes of state, commands.
    #[arg(long)]
    log: PathBuf,
    /// End when stdin is closed, so as not to outlive the parent.
    #[arg(long)]
    until_stdin_closes: bool,
}

fn server(text: &str) -> Result<(MemberName, SocketAddr), String> {
    let (name, addr) = text.split_once('=').ok_or("expected NAME=ADDRESS:PORT")?;
    Ok((name.parse().map_err(|e| format!("{e}"))?, addr.parse().map_err(|e| format!("{addr:?}: {e}"))?))
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let lines = LineLog::append(&args.log)?;
    let outcome = stop::run(THREADS, balance(args, lines.clone()));
    lines.finish()?;
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn balance(args: Args, lines: LineLog) -> anyhow::Result<()> {
    let stdin = if args.until_stdin_closes { Stdin::Ends } else { Stdin::Ignored };
    let stop = stop::listen(stdin)?;
    let front =
        TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let commands = control_socket(&args.socket)?;
    let balancer = Arc::new(proxy::Balancer::new(args.backend, args.servers, lines));
    for server in balancer.servers() {
        tokio::spawn(check::run(Arc::clone(&balancer), server));
    }
    tokio::spawn(control::serve(Arc::clone(&balancer), commands));
    let served =
        inbound::serve(front, stop, move |peer, request| Arc::clone(&balancer).forward(peer, request)).await;
    // A socket file without a listener would make the adapter wait for a time-out instead of a refusal.
    let _ = std::fs::remove_file(&args.socket);
    served.context("the listener broke")
}

/// Binds the socket; only this user may command.
fn control_socket(path: &PathBuf) -> anyhow::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", path.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot protect {}", path.display()))?;
    Ok(listener)
}
