//! Ways to an agent: which context or socket, which addresses in which order, and what it means when one fails.

use crate::{
    error::CliError,
    out,
    render::{
        failure::without_code,
        moment::{Moment, span},
    },
};
use lockkeeper_coordinator::{
    limits::MESSAGE_MAX,
    pki::{OperatorContext, keeper::WARN_BELOW},
};
use lockkeeper_proto::{
    client::operator::{OperatorClient, ViewKind},
    transport::{
        Dialer as _, ExpectedPeer, Revocations, Tls, TlsDialer, TransportError, code_of, unix_channel,
    },
};
use std::{
    error::Error as _,
    path::{Path, PathBuf},
};
use tonic::{Code, Status};

/// Where an agent listens for people on its own machine, unless its settings say otherwise.
pub const DEFAULT_SOCKET: &str = "/run/lockkeeper/agent.sock";

/// How a person said where the cluster is.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Where {
    /// Which cluster, and as whom: the name of a context, or a context file.
    ///
    /// A context is what `lockkeeper init` and `lockkeeper operator create` write: the cluster's addresses and an
    /// operator's certificate. A value with a `/` or ending in `.toml` is a file; anything else is looked for in the
    /// directory of contexts.
    #[arg(long, global = true, value_name = "NAME|FILE", env = "LOCKKEEPER_CONTEXT", hide_env_values = true)]
    #[arg(help_heading = "Connection")]
    pub context: Option<String>,
    /// The agent's socket on this machine (default: /run/lockkeeper/agent.sock, if it is there).
    #[arg(long, global = true, value_name = "PATH", env = "LOCKKEEPER_SOCKET", hide_env_values = true)]
    #[arg(help_heading = "Connection", conflicts_with = "context")]
    pub socket: Option<PathBuf>,
    /// The directory of contexts (default: ~/.config/lockkeeper).
    #[arg(long, global = true, value_name = "DIR", env = "LOCKKEEPER_CONTEXTS", hide_env_values = true)]
    #[arg(help_heading = "Connection")]
    pub contexts: Option<PathBuf>,
}

/// One way to one agent.
#[derive(Debug, Clone)]
pub struct Way {
    /// Its address or socket, for people.
    pub name: String,
    /// The client over it. Nothing is connected before the first call.
    pub client: OperatorClient,
}

/// The ways that were found. Changes go only where the person meant; reading may fall back, which is said.
#[derive(Debug, Clone)]
pub struct Session {
    /// For changes, in order.
    change: Vec<Way>,
    /// For reading, in order; begins with those for changes.
    read: Vec<Way>,
    /// For addresses that views tell of; none without an operator's certificate.
    dialer: Option<TlsDialer>,
}

impl Where {
    /// The directory of contexts.
    pub fn directory(&self) -> Result<PathBuf, CliError> {
        match &self.contexts {
            Some(directory) => Ok(directory.clone()),
            None => Ok(std::env::home_dir().ok_or(CliError::NoHome)?.join(".config/lockkeeper")),
        }
    }

    /// Finds the ways: the named context, else the named socket, else the default socket if it is there, else the
    /// only context. Must be called inside a runtime.
    pub fn session(&self) -> Result<Session, CliError> {
        if let Some(name) = &self.context {
            return Session::of_context(&self.named(name)?);
        }
        let default = Path::new(DEFAULT_SOCKET);
        let socket = match &self.socket {
            Some(path) => Some(path.as_path()),
            None => Some(default).filter(|path| path.exists()),
        };
        match socket {
            Some(path) => {
                let client = OperatorClient::new(unix_channel(path.to_owned()), MESSAGE_MAX);
                let change = vec![Way { name: path.display().to_string(), client }];
                // Another identity may have other rights, so only reading falls back on the context.
                let others = self.only().ok().and_then(|path| Session::of_context(&path).ok());
                let (others, dialer) = others.map_or((Vec::new(), None), |s| (s.read, s.dialer));
                let read = change.iter().cloned().chain(others).collect();
                Ok(Session { change, read, dialer })
            }
            None => Session::of_context(&self.only()?),
        }
    }

    /// Writes addresses into the context this place leads to, behind those it has; a socket has none. True if the
    /// context knows more than before.
    pub fn remember(&self, addresses: impl Iterator<Item = String>) -> Result<bool, CliError> {
        let path = match (&self.context, &self.socket) {
            (Some(name), _) => self.named(name)?,
            (None, Some(_)) => return Ok(false),
            (None, None) if Path::new(DEFAULT_SOCKET).exists() => return Ok(false),
            (None, None) => self.only()?,
        };
        let mut context = OperatorContext::read(&path)?;
        let known = context.addresses.len();
        let directory = path.parent().unwrap_or(Path::new(".")).to_owned();
        for address in addresses {
            if !context.addresses.contains(&address) {
                context.addresses.push(address);
            }
        }
        // One that was put together by hand, under another name, is its owner's business.
        if context.addresses.len() == known || OperatorContext::path(&directory, &context.name) != path {
            return Ok(false);
        }
        context.write(&directory)?;
        Ok(true)
    }

    /// The context that was named; none if none was.
    pub fn named_context(&self) -> Result<Option<OperatorContext>, CliError> {
        self.context.as_ref().map(|name| Ok(OperatorContext::read(&self.named(name)?)?)).transpose()
    }

    /// Takes a new root into the context this place leads to, so that it goes on to trust agents after a roll-over; a
    /// socket needs none.
    pub fn trust(&self, root: &[u8]) -> Result<(), CliError> {
        let path = match (&self.context, &self.socket) {
            (Some(name), _) => self.named(name)?,
            (None, Some(_)) => return Ok(()),
            (None, None) if Path::new(DEFAULT_SOCKET).exists() => return Ok(()),
            (None, None) => self.only()?,
        };
        let mut context = OperatorContext::read(&path)?;
        let directory = path.parent().unwrap_or(Path::new(".")).to_owned();
        let known = context.credentials.roots.iter().any(|known| known == root);
        // As for addresses: one that was put together by hand is its owner's business.
        if known || OperatorContext::path(&directory, &context.name) != path {
            return Ok(());
        }
        context.credentials.roots.push(root.to_vec());
        context.write(&directory)?;
        Ok(())
    }

    fn named(&self, name: &str) -> Result<PathBuf, CliError> {
        let path = if name.contains('/') || name.ends_with(".toml") {
            PathBuf::from(name)
        } else {
            self.directory()?.join(format!("{name}.toml"))
        };
        if path.exists() { Ok(path) } else { Err(CliError::NoContext { name: name.to_owned(), path }) }
    }

    /// The only context there is.
    fn only(&self) -> Result<PathBuf, CliError> {
        let contexts = self.directory()?;
        let mut found: Vec<PathBuf> = match std::fs::read_dir(&contexts) {
            Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
            Err(_) => Vec::new(),
        };
        found.retain(|path| path.extension().is_some_and(|end| end == "toml"));
        found.sort();
        match found.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(CliError::NoWay { socket: DEFAULT_SOCKET.into(), contexts }),
            several => {
                let names = several.iter().filter_map(|p| p.file_stem()).map(|n| n.display().to_string());
                Err(CliError::Ambiguous { contexts, names: names.collect::<Vec<_>>().join(", ") })
            }
        }
    }
}

impl Way {
    fn to(dialer: &TlsDialer, address: &str) -> Self {
        let channel = dialer.channel(address, ExpectedPeer::AnyNode);
        Self { name: address.to_owned(), client: OperatorClient::new(channel, MESSAGE_MAX) }
    }
}

impl Session {
    fn of_context(path: &Path) -> Result<Self, CliError> {
        let context = OperatorContext::read(path)?;
        let tls = Tls::new(context.credentials, Revocations::none())?;
        warn_of_end(&tls);
        let dialer = TlsDialer::new(tls);
        let ways: Vec<Way> = context.addresses.iter().map(|address| Way::to(&dialer, address)).collect();
        Ok(Self { change: ways.clone(), read: ways, dialer: Some(dialer) })
    }

    /// Ways for reading.
    pub fn ways(&self) -> &[Way] {
        &self.read
    }

    /// A way to an address that a view told of.
    pub fn way_to(&self, address: &str) -> Option<Way> {
        self.dialer.as_ref().map(|dialer| Way::to(dialer, address))
    }

    /// One view as JSON.
    pub async fn view(&self, kind: ViewKind, linearizable: bool) -> Result<String, CliError> {
        let what = match kind {
            ViewKind::Status => "read the status",
            ViewKind::History => "read the history",
            ViewKind::Members => "read the members",
            ViewKind::Owed => "read what is owed",
            ViewKind::Locks => "read the locks",
            ViewKind::Doctor => "look for what is wrong",
            ViewKind::Cluster => "read the cluster file",
            ViewKind::Trust => "read operators and authorities",
            ViewKind::Audit => "read the audit",
        };
        self.read(what, async |client: OperatorClient| client.view(kind, linearizable).await).await
    }

    /// Asks each way in turn until one answers, also with a refusal.
    pub async fn read<T>(
        &self,
        what: &'static str,
        call: impl AsyncFn(OperatorClient) -> Result<T, Status>,
    ) -> Result<T, CliError> {
        ask(&self.read, what, call).await
    }

    /// Like [`Session::read`] for a change. The same request may reach two agents; its id makes that harmless.
    pub async fn change<T>(
        &self,
        what: &'static str,
        call: impl AsyncFn(OperatorClient) -> Result<T, Status>,
    ) -> Result<T, CliError> {
        ask(&self.change, what, call).await
    }
}

/// Says on stderr that the own certificate ends soon: nobody renews an operator's by itself.
fn warn_of_end(tls: &Tls) {
    let left = tls.lifetime().not_after_ms.saturating_sub(Moment::system().now);
    if left < WARN_BELOW.0 {
        let who = tls.subject().identity;
        let text = format!(
            "warning: the certificate of {who} ends in {}; an admin makes the next one with: lockkeeper operator create",
            span(left)
        );
        out::say(&text);
    }
}

async fn ask<T>(
    ways: &[Way],
    what: &'static str,
    call: impl AsyncFn(OperatorClient) -> Result<T, Status>,
) -> Result<T, CliError> {
    let (mut tried, mut last) = (Vec::new(), None);
    for way in ways {
        match call(way.client.clone()).await {
            Ok(answer) => {
                if !tried.is_empty() {
                    out::say(&format!("note: {}; {} answered", tried.join("; "), way.name));
                }
                return Ok(answer);
            }
            Err(status) if another_may_answer(&status) => {
                last = code_of(&status).map(ToOwned::to_owned).or(last);
                tried.push(format!("{}: {}", way.name, reason(&status)));
            }
            Err(status) => {
                let code = code_of(&status).map(ToOwned::to_owned);
                let text = without_code(&reason(&status)).to_owned();
                return Err(CliError::Answered { what, code, text });
            }
        }
    }
    Err(CliError::NoAnswer { what, tried, last })
}

/// Whether the failure lies with the agent or the way to it, not with what was asked.
pub fn another_may_answer(status: &Status) -> bool {
    if TransportError::behind(status).is_some() {
        return true;
    }
    match code_of(status) {
        // No leader here, no answer in time, this node is stopping, this node holds no issuing key.
        Some(code) => matches!(code, "LK3101" | "LK3102" | "LK3103" | "LK3107"),
        None => matches!(
            status.code(),
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal
        ),
    }
}

/// What went wrong, with code and cause, on one line.
pub fn reason(status: &Status) -> String {
    match TransportError::behind(status) {
        Some(error) => match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
        None if status.message().is_empty() => format!("{:?}", status.code()),
        None => status.message().to_owned(),
    }
}
