//! From what was said to what follows: defaults, and rules that look at more than one value.

use super::{Fragment, Log, LogFormat, Machine, Metrics, Settings, Socket, SocketGroup, Traces};
use lockkeeper_core::{
    document::Document,
    fault::{Fault, FaultCode},
    plan::ActionKind,
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// One port for peers, API and console.
pub const PORT: u16 = 7440;
/// Metrics, on loopback.
pub const METRICS_PORT: u16 = 7441;
/// Where an installed agent keeps its data.
pub const DATA: &str = "/var/lib/lockkeeper";
/// Where operators on this host find it.
pub const SOCKET: &str = "/run/lockkeeper/agent.sock";
/// Whose members are operators.
pub const GROUP: &str = "lockkeeper";

/// What follows from the whole input; none after a fault was recorded.
pub fn settings(input: &Fragment, document: &Document<'_>) -> Option<Settings> {
    let listen = input.listen.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)));
    let advertise = match (&input.advertise, listen.ip().is_unspecified()) {
        (Some(advertise), _) => Some(advertise.clone()),
        (None, _) if ["advertise", "listen"].iter().any(|key| input.faulty.contains(key)) => None,
        (None, false) => Some(listen.to_string()),
        (None, true) => {
            document.push(
                Fault::new(FaultCode::MissingKey, "the file lacks the key \"advertise\"")
                    .found(format!("listen on {listen}, which is every address of this host"))
                    .help("write advertise = \"HOST:PORT\", as it stands in the cluster file"),
            );
            None
        }
    };
    let metrics = match input.metrics {
        None => Metrics::On(SocketAddr::from((Ipv4Addr::LOCALHOST, METRICS_PORT))),
        Some(None) => Metrics::Off,
        Some(Some(address)) => Metrics::On(address),
    };
    if let Metrics::On(address) = metrics
        && address.port() == listen.port()
        && (address.ip() == listen.ip() || listen.ip().is_unspecified())
    {
        document.push(
            Fault::new(FaultCode::DuplicateAddress, "metrics and peers would share one port")
                .found(format!("{address} and {listen}"))
                .help("give metrics another port"),
        );
    }
    if input.name.is_none() && !input.faulty.contains("name") {
        document.push(
            Fault::new(FaultCode::MissingKey, "the file lacks the key \"name\"")
                .help("write name = \"NAME\", this node's name in the cluster file"),
        );
    }
    let group = match input.socket_group.as_deref() {
        None => SocketGroup::Named(GROUP.to_owned()),
        Some("") => SocketGroup::RootOnly,
        Some(group) => SocketGroup::Named(group.to_owned()),
    };
    Some(Settings {
        name: input.name.clone()?,
        listen,
        advertise: advertise?,
        data: input.data.clone().unwrap_or_else(|| PathBuf::from(DATA)),
        socket: Socket { path: input.socket_path.clone().unwrap_or_else(|| PathBuf::from(SOCKET)), group },
        metrics,
        traces: input.otlp.clone().map_or(Traces::Off, Traces::Otlp),
        log: Log {
            filter: input.log_filter.clone().unwrap_or_else(|| "info".to_owned()),
            format: input.log_format.unwrap_or(LogFormat::Text),
        },
        allowed: input.actions.as_ref().map_or_else(
            || ActionKind::ALL.into_iter().collect(),
            |actions| actions.iter().copied().collect(),
        ),
        machine: Machine {
            root: input.machine_root.clone().unwrap_or(Machine::default().root),
            sources: input
                .machine_sources
                .as_ref()
                .map_or(Machine::default().sources, |s| s.iter().copied().collect()),
            named: input.machine_sources.is_some(),
        },
        isolation: input.isolation.clone().unwrap_or_default(),
    })
}
