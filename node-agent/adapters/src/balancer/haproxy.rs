//! HAProxy's runtime API: one connection a command, a deadline, a bounded answer, every set read back.
//!
//! An empty answer means done and text means trouble, whatever the exit of the tool that carried it. Knows nothing about
//! the order of draining.

use super::{
    Admin, Reading,
    answer::{self, AnswerError},
};
use crate::code::HostCode;
use lockkeeper_agent::host::Failure;
use std::{path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

/// From connecting to the end of the answer. A command takes about a millisecond; a balancer that is reloading answers
/// within a second.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// The longest answer read, in bytes: a line of `show stat` has about 500, so this is some two thousand servers.
const ANSWER_MAX: u64 = 1024 * 1024;

/// Where the runtime API listens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Socket {
    Unix(PathBuf),
    Tcp(String),
}

/// One backend of one HAProxy.
#[derive(Debug, Clone)]
pub struct Haproxy {
    socket: Socket,
    backend: String,
}

impl Haproxy {
    /// `socket` is `tcp://host:port` or `unix:/path`.
    pub fn new(socket: &str, backend: &str) -> Result<Self, Failure> {
        let parsed = match socket.split_once(':') {
            Some(("unix", path)) => Socket::Unix(PathBuf::from(path.strip_prefix("//").unwrap_or(path))),
            Some(("tcp", rest)) => Socket::Tcp(rest.trim_start_matches('/').to_owned()),
            Some((_, _)) | None => {
                return Err(HostCode::BalancerUnreachable.failure(format!(
                    "{socket:?} is not a runtime socket; allowed: unix:/path, tcp://host:port"
                )));
            }
        };
        Ok(Self { socket: parsed, backend: checked(backend)?.to_owned() })
    }

    /// Asks one command.
    async fn ask(&self, command: &str) -> Result<String, Failure> {
        let exchange = async {
            match &self.socket {
                Socket::Unix(path) => talk(UnixStream::connect(path).await?, command).await,
                Socket::Tcp(address) => talk(TcpStream::connect(address).await?, command).await,
            }
        };
        let unreachable = |why: String| {
            HostCode::BalancerUnreachable.failure(format!("{command:?} to {}: {why}", self.place()))
        };
        match tokio::time::timeout(ANSWER_LIMIT, exchange).await {
            Err(_) => Err(unreachable(format!("no answer within {} s", ANSWER_LIMIT.as_secs()))),
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    fn place(&self) -> String {
        match &self.socket {
            Socket::Unix(path) => format!("unix:{}", path.display()),
            Socket::Tcp(address) => format!("tcp://{address}"),
        }
    }

    /// What the balancer says of a server now.
    pub async fn read(&self, server: &str) -> Result<Reading, Failure> {
        let (backend, server) = (&self.backend, checked(server)?);
        let state = self.ask(&format!("show servers state {backend}")).await?;
        let stat = self.ask(&format!("show stat {backend} 4 -1")).await?;
        let conn = self.ask(&format!("show servers conn {backend}")).await?;
        answer::reading(backend, server, &state, &stat, &conn).map_err(|error| {
            let code = match &error {
                AnswerError::NoServer(_) | AnswerError::Refused(_) => HostCode::BalancerNoServer,
                AnswerError::Column { .. } => HostCode::BalancerAnswer,
            };
            code.failure(format!("backend {backend} at {}: {error}", self.place()))
        })
    }

    /// Sets a server's state and reads it back.
    pub async fn set(&self, server: &str, admin: Admin) -> Result<Reading, Failure> {
        self.command(&format!("set server {}/{} state {admin}", self.backend, checked(server)?)).await?;
        let reading = self.read(server).await?;
        if reading.admin == admin {
            return Ok(reading);
        }
        Err(HostCode::BalancerReadBack
            .failure(format!("{}/{server} was set to {admin}, but reads back: {reading}", self.backend)))
    }

    /// Takes a checked server out of maintenance into drain and declares it down until its own checks say otherwise.
    /// Both stand on one line: the balancer obeys them in one go, and no client with the server's cookie comes between.
    pub async fn drain_distrusted(&self, server: &str) -> Result<(), Failure> {
        let name = format!("{}/{}", self.backend, checked(server)?);
        self.command(&format!("set server {name} state drain; set server {name} health down")).await
    }

    /// Ends the sessions that are still open on a server; their clients see an error.
    pub async fn end_sessions(&self, server: &str) -> Result<(), Failure> {
        self.command(&format!("shutdown sessions server {}/{}", self.backend, checked(server)?)).await
    }

    async fn command(&self, command: &str) -> Result<(), Failure> {
        let answer = self.ask(command).await?;
        if answer.trim().is_empty() {
            return Ok(());
        }
        let said = answer::first_line(&answer);
        Err(HostCode::BalancerRefused
            .failure(format!("{command:?} to {}: it answered {said:?}", self.place())))
    }

    /// `backend/server`, for people.
    pub fn name_of(&self, server: &str) -> String {
        format!("{}/{server}", self.backend)
    }
}

/// Names go into a command line where `;` and line ends part commands.
fn checked(name: &str) -> Result<&str, Failure> {
    let good = !name.is_empty()
        && name.len() <= 128
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'));
    if good {
        return Ok(name);
    }
    Err(HostCode::BalancerNoServer
        .failure(format!("{name:?} is not a backend's or server's name; allowed: letters, digits, - _ . :")))
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, command: &str) -> std::io::Result<String> {
    stream.write_all(format!("{command}\n").as_bytes()).await?;
    let mut answer = Vec::new();
    let mut limited = stream.take(ANSWER_MAX + 1);
    limited.read_to_end(&mut answer).await?;
    if u64::try_from(answer.len()).unwrap_or(u64::MAX) > ANSWER_MAX {
        return Err(std::io::Error::other(format!("an answer of more than {ANSWER_MAX} bytes")));
    }
    String::from_utf8(answer).map_err(|_| std::io::Error::other("an answer that is not text"))
}
