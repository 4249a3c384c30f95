//! `[balancers.X]`.

use super::values::{self, Reference};
use crate::{
    cluster::{BalancerKind, BalancerSpec},
    document::{Item, Section, bad_name},
    fault::{Fault, FaultCode},
    ids::{BalancerName, MemberName},
    time::Millis,
};
use std::{collections::BTreeMap, ops::Range};

/// A balancer with its places.
#[derive(Debug)]
pub(super) struct ReadBalancer {
    pub(super) spec: BalancerSpec,
    pub(super) name_at: Range<usize>,
    /// Member, place of its name, server, place of the server.
    pub(super) servers: Vec<(Reference, String, Range<usize>)>,
    pub(super) executors: Vec<Reference>,
}

pub(super) fn read(top: &Section<'_>) -> BTreeMap<BalancerName, ReadBalancer> {
    let Some(table) = top.get("balancers").and_then(|item| item.table()) else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for (name, span, item) in table.entries() {
        let balancer = balancer(&item, span.clone());
        match (BalancerName::new(name.as_str()), balancer) {
            (Ok(name), Some(balancer)) => {
                all.insert(name, balancer);
            }
            (Ok(_), None) => {}
            (Err(error), _) => table.document().at(span, bad_name(&name, &error)),
        }
    }
    all
}

fn balancer(item: &Item<'_>, name_at: Range<usize>) -> Option<ReadBalancer> {
    let table = item.table()?;
    let kind = table
        .need("kind", "write kind = \"haproxy\"")
        .and_then(|item| item.word(&[("haproxy", BalancerKind::Haproxy)]));
    let socket = table
        .need("socket", "write socket = \"unix:/run/haproxy/admin.sock\" or \"tcp://HOST:PORT\"")
        .and_then(|item| socket(&item));
    let backend =
        table.need("backend", "name the backend the members' servers are in").and_then(|item| word(&item));
    let servers = table.need("servers", "write servers = { MEMBER = \"SERVER\" }").map(|item| servers(&item));
    let drain_wait = table.get("drain").and_then(|item| drain(&item)).unwrap_or(Millis::from_secs(60));
    let executors = table.get("executors").map(|item| values::references(&item)).unwrap_or_default();
    table.finish();
    let servers = servers.unwrap_or_default();
    let spec = BalancerSpec {
        kind: kind.unwrap_or(BalancerKind::Haproxy),
        socket: socket.unwrap_or_default(),
        backend: backend.unwrap_or_default(),
        servers: servers.iter().map(|(m, server, _)| (m.name.clone(), server.clone())).collect(),
        drain_wait,
        executors: executors.iter().map(|r| r.name.clone()).collect(),
    };
    Some(ReadBalancer { spec, name_at, servers, executors })
}

/// A name of HAProxy's; anything else could smuggle a second command into its socket.
fn word(item: &Item<'_>) -> Option<String> {
    let text = item.filled()?;
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if text.len() <= 128 && text.chars().all(good) {
        return Some(text.to_owned());
    }
    item.fault(
        Fault::new(FaultCode::BadName, format!("{:?} is not a name of the balancer", item.path()))
            .found(format!("{text:?}"))
            .allowed("up to 128 of a-z, A-Z, 0-9, '-', '_', '.', ':'"),
    );
    None
}

fn socket(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let good = match (text.strip_prefix("tcp://"), text.strip_prefix("unix:")) {
        (Some(address), _) => values::split_address(address).is_some(),
        (None, Some(path)) => path.starts_with('/'),
        (None, None) => false,
    };
    if good {
        return Some(text.to_owned());
    }
    item.fault(
        Fault::new(FaultCode::BadAddress, format!("{:?} is not a runtime socket", item.path()))
            .found(format!("{text:?}"))
            .allowed("tcp://HOST:PORT, unix:/PATH"),
    );
    None
}

fn servers(item: &Item<'_>) -> Vec<(Reference, String, Range<usize>)> {
    let Some(table) = item.table() else { return Vec::new() };
    let mut out = Vec::new();
    for (name, span, item) in table.entries() {
        let server = word(&item);
        match (MemberName::new(name.as_str()), server) {
            (Ok(name), Some(server)) => out.push((Reference { name, span }, server, item.span())),
            (Ok(_), None) => {}
            (Err(error), _) => table.document().at(span, bad_name(&name, &error)),
        }
    }
    out
}

fn drain(item: &Item<'_>) -> Option<Millis> {
    let table = item.table()?;
    let wait = table.need("wait", "write wait = \"60s\"").and_then(|item| item.duration());
    // The only way out that loses no persistent client; the key is there so that the file says it.
    table.get("then").and_then(|item| item.word(&[("maint", ())]));
    table.finish();
    wait
}
