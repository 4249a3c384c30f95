//! The unix socket: one command a connection, answered as HAProxy 2.6 does. An empty answer means done.

use super::health::{Admin, Op};
use super::log::Line;
use super::pool::{Place, Pool};
use super::proxy::Balancer;
use super::tables;
use crate::demo::clock::unix_ms;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The longest command, in bytes; the longest sensible one has a hundred.
const COMMAND_MAX: u64 = 1_024;

/// From connecting to the whole command, and from there to the whole answer.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(5);

/// Commands answered at a time; every agent asks a few times a second.
const CONNECTIONS_MAX: usize = 64;

/// Why a command was not obeyed, in HAProxy's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("No such server.")]
    NoServer,
    #[error("No such backend.")]
    NoBackend,
    #[error("Can't find backend.")]
    CannotFindBackend,
    #[error("Require 'backend/server'.")]
    NoSlash,
    #[error("'set server <srv> state' expects 'ready', 'drain' and 'maint'.")]
    NoState,
    #[error("'set server <srv> health' expects 'up' or 'down' here.")]
    NoHealth,
    #[error("No such proxy.")]
    NoProxy,
    #[error(
        "Unknown command, the demo's balancer knows: show servers state|conn, show stat, show info, show version, set server, shutdown sessions server"
    )]
    Unknown,
}

/// Serves commands for ever.
pub async fn serve(balancer: Arc<Balancer>, listener: UnixListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let balancer = Arc::clone(&balancer);
                tokio::spawn(async move {
                    // A commander that goes away or dawdles has only itself to tell.
                    let _ = timeout(EXCHANGE_LIMIT, exchange(&balancer, stream)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed on the command socket");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn exchange(balancer: &Balancer, stream: UnixStream) -> std::io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut line = String::new();
    BufReader::new(input.take(COMMAND_MAX)).read_line(&mut line).await?;
    for command in line.split(';').map(str::trim).filter(|command| !command.is_empty()) {
        let answer = obey(balancer, command);
        balancer.log().write(&Line::Command {
            at: unix_ms(),
            command,
            answer: if command.starts_with("show") { "" } else { answer.trim_end() },
        });
        output.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    output.shutdown().await
}

/// Obeys one command; the answer ends with a line end unless it is empty.
fn obey(balancer: &Balancer, command: &str) -> String {
    answer(balancer, command).unwrap_or_else(|refusal| format!("{refusal}\n"))
}

fn answer(balancer: &Balancer, command: &str) -> Result<String, Refusal> {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words.as_slice() {
        ["show", "servers", "state", rest @ ..] => {
            shown(balancer, rest)?;
            Ok(tables::servers_state(balancer))
        }
        ["show", "servers", "conn", rest @ ..] => {
            shown(balancer, rest)?;
            Ok(tables::servers_conn(balancer))
        }
        ["show", "stat"] => Ok(tables::stat(balancer, tables::Shown::ALL)),
        ["show", "stat", proxy, kinds, server, ..] => {
            let all = [balancer.backend().as_str(), "-1"].contains(proxy);
            let number = |word: &str| word.parse().map_err(|_| Refusal::Unknown);
            let shown = tables::Shown { kinds: number(kinds)?, server: number(server)? };
            if all { Ok(tables::stat(balancer, shown)) } else { Err(Refusal::NoProxy) }
        }
        ["show", "info", ..] => Ok(tables::info(balancer)),
        ["show", "version"] => Ok(format!("{}\n", tables::VERSION)),
        ["set", "server", target, "state", wanted @ ..] => {
            let mut pool = balancer.pool();
            let place = find(balancer, &pool, target)?;
            let admin = match wanted {
                ["ready"] => Admin::Ready,
                ["drain"] => Admin::Drain,
                ["maint"] => Admin::Maint,
                _ => return Err(Refusal::NoState),
            };
            pool.set(place, admin, command);
            Ok(String::new())
        }
        ["set", "server", target, "health", wanted @ ..] => {
            let mut pool = balancer.pool();
            let place = find(balancer, &pool, target)?;
            let op = match wanted {
                ["up"] => Op::Up,
                ["down"] => Op::Down,
                _ => return Err(Refusal::NoHealth),
            };
            pool.force(place, op, command);
            Ok(String::new())
        }
        ["shutdown", "sessions", "server", target] => {
            let place = find(balancer, &balancer.pool(), target)?;
            balancer.shut_down_sessions(place);
            Ok(String::new())
        }
        _ => Err(Refusal::Unknown),
    }
}

fn shown(balancer: &Balancer, rest: &[&str]) -> Result<(), Refusal> {
    match rest {
        [] => Ok(()),
        [backend, ..] if *backend == balancer.backend().as_str() => Ok(()),
        [..] => Err(Refusal::CannotFindBackend),
    }
}

fn find(balancer: &Balancer, pool: &Pool, target: &str) -> Result<Place, Refusal> {
    let (backend, server) = target.split_once('/').ok_or(Refusal::NoSlash)?;
    if backend != balancer.backend().as_str() {
        return Err(Refusal::NoBackend);
    }
    pool.find(server).ok_or(Refusal::NoServer)
}
