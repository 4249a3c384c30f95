//! What one source says: anything may be missing. Every value is checked by itself here, and every fault located.

use super::LogFormat;
use crate::{isolation::Rules, platform::Source};
use lockkeeper_core::{
    document::{Document, Item, Section},
    fault::{Fault, FaultCode, Report},
    ids::MemberName,
    plan::ActionKind,
};
use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

/// What one source says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fragment {
    /// See [`super::Settings::name`].
    pub name: Option<MemberName>,
    /// See [`super::Settings::listen`].
    pub listen: Option<SocketAddr>,
    /// See [`super::Settings::advertise`].
    pub advertise: Option<String>,
    /// See [`super::Settings::data`].
    pub data: Option<PathBuf>,
    /// See [`super::Socket::path`].
    pub socket_path: Option<PathBuf>,
    /// See [`super::Socket::group`]; empty: root only.
    pub socket_group: Option<String>,
    /// See [`super::Settings::metrics`]; `Some(None)`: off.
    pub metrics: Option<Option<SocketAddr>>,
    /// See [`super::Settings::traces`].
    pub otlp: Option<String>,
    /// See [`super::Log::filter`].
    pub log_filter: Option<String>,
    /// See [`super::Log::format`].
    pub log_format: Option<LogFormat>,
    /// See [`super::Settings::allowed`].
    pub actions: Option<Vec<ActionKind>>,
    /// See [`super::Machine::root`].
    pub machine_root: Option<PathBuf>,
    /// See [`super::Machine::sources`].
    pub machine_sources: Option<Vec<Source>>,
    /// See [`super::Settings::isolation`].
    pub isolation: Option<Rules>,
    /// Keys that were there with a value that is none; they do not count as missing.
    pub faulty: BTreeSet<&'static str>,
}

impl Fragment {
    /// What `over` says goes before what this one says.
    #[must_use]
    pub fn overlaid(self, over: Fragment) -> Fragment {
        Fragment {
            name: over.name.or(self.name),
            listen: over.listen.or(self.listen),
            advertise: over.advertise.or(self.advertise),
            data: over.data.or(self.data),
            socket_path: over.socket_path.or(self.socket_path),
            socket_group: over.socket_group.or(self.socket_group),
            metrics: over.metrics.or(self.metrics),
            otlp: over.otlp.or(self.otlp),
            log_filter: over.log_filter.or(self.log_filter),
            log_format: over.log_format.or(self.log_format),
            actions: over.actions.or(self.actions),
            machine_root: over.machine_root.or(self.machine_root),
            machine_sources: over.machine_sources.or(self.machine_sources),
            isolation: over.isolation.or(self.isolation),
            faulty: self.faulty.union(&over.faulty).copied().collect(),
        }
    }
}

/// Reads the text of an `agent.toml` and makes of it what `make` makes. With the result come the warnings; without
/// one all faults.
pub fn read<T>(
    file: &str,
    text: &str,
    make: impl FnOnce(Fragment, &Document<'_>) -> Option<T>,
) -> Result<(T, Report), Report> {
    let (document, root) = Document::parse(file, text);
    let fragment = fragment(&document.section(String::new(), &root, 0..0));
    match make(fragment, &document) {
        Some(made) if !document.failed() => Ok((made, document.finish())),
        Some(_) | None => Err(document.finish()),
    }
}

fn fragment(top: &Section<'_>) -> Fragment {
    let mut faulty = BTreeSet::new();
    let mut fragment = Fragment {
        name: value(top, "name", &mut faulty, |item| item.name()),
        listen: value(top, "listen", &mut faulty, socket_address),
        advertise: value(top, "advertise", &mut faulty, advertised),
        data: value(top, "data", &mut faulty, absolute),
        ..Fragment::default()
    };
    fragment.faulty = faulty;
    if let Some(socket) = top.get("socket").and_then(|item| item.table()) {
        fragment.socket_path = socket.get("path").and_then(|item| socket_path(&item));
        fragment.socket_group = socket.get("group").and_then(|item| item.text().map(str::to_owned));
        socket.finish();
    }
    if let Some(metrics) = top.get("metrics").and_then(|item| item.table()) {
        fragment.metrics = metrics.get("listen").and_then(|item| loopback(&item));
        metrics.finish();
    }
    if let Some(traces) = top.get("traces").and_then(|item| item.table()) {
        fragment.otlp = traces.get("otlp").and_then(|item| endpoint(&item));
        traces.finish();
    }
    if let Some(log) = top.get("log").and_then(|item| item.table()) {
        fragment.log_filter = log.get("filter").and_then(|item| item.filled().map(str::to_owned));
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        fragment.log_format = log.get("format").and_then(|item| item.word(&formats));
        log.finish();
    }
    if let Some(policy) = top.get("policy").and_then(|item| item.table()) {
        fragment.actions = policy.get("actions").and_then(|item| actions(&item));
        policy.finish();
    }
    if let Some(identity) = top.get("identity").and_then(|item| item.table()) {
        fragment.machine_root = identity.get("root").and_then(|item| absolute(&item));
        fragment.machine_sources = identity.get("sources").and_then(|item| sources(&item));
        identity.finish();
    }
    if let Some(isolation) = top.get("isolation").and_then(|item| item.table()) {
        fragment.isolation = Some(Rules {
            configured: true,
            allow: addresses(isolation.get("allow"), "IP, or IP:PORT for connections to that port only"),
            forbidden: addresses(isolation.get("forbidden"), "IP:PORT"),
        });
        isolation.finish();
    }
    top.check_keys();
    fragment
}

fn value<T>(
    section: &Section<'_>,
    key: &'static str,
    faulty: &mut BTreeSet<&'static str>,
    read: impl FnOnce(&Item<'_>) -> Option<T>,
) -> Option<T> {
    let value = read(&section.get(key)?);
    if value.is_none() {
        faulty.insert(key);
    }
    value
}

fn actions(item: &Item<'_>) -> Option<Vec<ActionKind>> {
    let words = ActionKind::ALL.map(|kind| (kind.as_str(), kind));
    let list = item.list()?;
    Some(list.iter().filter_map(|item| item.word(&words)).collect())
}

fn sources(item: &Item<'_>) -> Option<Vec<Source>> {
    let words = Source::ALL.map(|source| (source.as_str(), source));
    let list: Vec<Source> = item.list()?.iter().filter_map(|item| item.word(&words)).collect();
    if list.is_empty() {
        item.fault(
            Fault::new(FaultCode::OutOfRange, format!("{:?} names no source", item.path()))
                .allowed(Source::ALL.map(Source::as_str).join(", "))
                .help("without a source no copy of this machine can be told from it; delete the key for all"),
        );
        return None;
    }
    Some(list)
}

/// A list of addresses, each checked; names are not taken, because a copy must not ask production's resolver.
fn addresses<T: std::str::FromStr + Ord>(item: Option<Item<'_>>, allowed: &str) -> BTreeSet<T> {
    let list = item.and_then(|item| item.list()).unwrap_or_default();
    let one = |item: &Item<'_>| {
        let text = item.filled()?;
        if let Ok(address) = text.parse() {
            return Some(address);
        }
        item.fault(
            Fault::new(FaultCode::BadAddress, format!("{:?} is no address", item.path()))
                .found(format!("{text:?}"))
                .allowed(allowed)
                .help("write numbers: names are not resolved while a machine is isolated"),
        );
        None
    };
    list.iter().filter_map(one).collect()
}

fn socket_address(item: &Item<'_>) -> Option<SocketAddr> {
    let text = item.text()?;
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Some(address),
        Ok(_) | Err(_) => {
            item.fault(
                Fault::new(
                    FaultCode::BadAddress,
                    format!("{:?} is not an address to listen on", item.path()),
                )
                .found(format!("{text:?}"))
                .allowed("IP:PORT, such as \"0.0.0.0:7440\" or \"[::]:7440\"")
                .help("give an IP address of this host, or 0.0.0.0 for all of them, and a port"),
            );
            None
        }
    }
}

fn loopback(item: &Item<'_>) -> Option<Option<SocketAddr>> {
    if item.text()?.is_empty() {
        return Some(None);
    }
    let address = socket_address(item)?;
    if !address.ip().is_loopback() {
        item.fault(
            Fault::new(FaultCode::BadAddress, "metrics are served without TLS, on loopback only")
                .found(format!("\"{address}\""))
                .allowed("127.0.0.1:PORT, [::1]:PORT, or \"\" for none")
                .help("let a collector on this host fetch them"),
        );
        return None;
    }
    Some(Some(address))
}

fn advertised(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let good = match (text.parse::<SocketAddr>(), text.rsplit_once(':')) {
        (Ok(address), _) => address.port() > 0 && !address.ip().is_unspecified(),
        (Err(_), Some((host, port))) => {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            let named = host.contains(|c: char| c.is_ascii_alphabetic()) && host.chars().all(allowed);
            named && port.parse::<u16>().is_ok_and(|port| port > 0)
        }
        (Err(_), None) => false,
    };
    if good {
        return Some(text.to_owned());
    }
    item.fault(
        Fault::new(FaultCode::BadAddress, format!("{:?} is not an address others can reach", item.path()))
            .found(format!("{text:?}"))
            .allowed("HOST:PORT, such as \"10.77.0.11:7440\" or \"n1.example:7440\"")
            .help("write what stands in the cluster file as this member's address"),
    );
    None
}

fn endpoint(item: &Item<'_>) -> Option<String> {
    let text = item.filled()?;
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    if rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['@', ' '])) {
        return Some(text.to_owned());
    }
    // Perhaps there is a password in it.
    item.hide();
    item.fault(
        Fault::new(FaultCode::BadAddress, format!("{:?} is not an OTLP endpoint", item.path()))
            .allowed("http://HOST:PORT or https://HOST:PORT, without user and password")
            .help("write for example \"http://127.0.0.1:4317\", or delete the key"),
    );
    None
}

fn absolute(item: &Item<'_>) -> Option<PathBuf> {
    let text = item.filled()?;
    if text.starts_with('/') && !text.contains('\0') {
        return Some(PathBuf::from(text));
    }
    item.fault(
        Fault::new(FaultCode::BadText, format!("{:?} is not an absolute path", item.path()))
            .found(format!("{text:?}"))
            .allowed("a path that begins with /")
            .help("the agent's working directory is not defined"),
    );
    None
}

/// What the kernel takes as the path of a socket, without the end mark.
const SOCKET_PATH_MAX: usize = 107;

fn socket_path(item: &Item<'_>) -> Option<PathBuf> {
    let path = absolute(item)?;
    if path.as_os_str().len() <= SOCKET_PATH_MAX {
        return Some(path);
    }
    item.fault(
        Fault::new(FaultCode::OutOfRange, format!("{:?} is too long for a socket", item.path()))
            .found(format!("{} bytes", path.as_os_str().len()))
            .allowed(format!("up to {SOCKET_PATH_MAX} bytes"))
            .help("choose a shorter directory"),
    );
    None
}
