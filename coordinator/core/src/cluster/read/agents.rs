//! `[members.X]`, `[witnesses.X]` and `voters`.

use super::values::{self, split_address};
use crate::{
    cluster::{MemberSpec, Voters},
    document::{Item, Section, bad_name},
    fault::{Fault, FaultCode},
    ids::MemberName,
};
use std::{collections::BTreeMap, ops::Range};

/// Agents of one kind, with places.
#[derive(Debug, Default)]
pub(super) struct Agents {
    pub(super) all: BTreeMap<MemberName, Agent>,
    /// The table was there, so that none in it is a fault of its own and not a missing key.
    pub(super) present: bool,
}

/// An agent with its places.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) spec: MemberSpec,
    pub(super) name_at: Range<usize>,
    pub(super) address_at: Range<usize>,
}

pub(super) fn read(top: &Section<'_>, key: &'static str) -> Agents {
    let Some(table) = top.get(key).and_then(|item| item.table()) else { return Agents::default() };
    let mut all = BTreeMap::new();
    for (name, span, item) in table.entries() {
        let agent = agent(&item, span.clone());
        match (MemberName::new(name.as_str()), agent) {
            (Ok(name), Some(agent)) => {
                all.insert(name, agent);
            }
            (Ok(_), None) => {}
            (Err(error), _) => table.document().at(span, bad_name(&name, &error)),
        }
    }
    Agents { all, present: true }
}

fn agent(item: &Item<'_>, name_at: Range<usize>) -> Option<Agent> {
    let table = item.table()?;
    let address = table
        .need("address", "write address = \"HOST:7440\", where its agent listens")
        .and_then(|item| Some((values::address(&item)?, item.span())));
    let host = table.get("host").and_then(|item| host(&item));
    let labels = table.get("labels").map(|item| texts(&item)).unwrap_or_default();
    let values = table.get("values").map(|item| texts(&item)).unwrap_or_default();
    table.finish();
    // An agent whose address is faulty stays in the draft, so that references to its name are no faults too.
    let (address, address_at) = address.unwrap_or((String::new(), 0..0));
    let host = host.unwrap_or_else(|| split_address(&address).map_or("", |(host, _)| host).to_owned());
    Some(Agent { spec: MemberSpec { address, host, labels, values }, name_at, address_at })
}

fn host(item: &Item<'_>) -> Option<String> {
    let text = item.filled()?;
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if values::is_host(text) || bare.parse::<core::net::IpAddr>().is_ok() {
        return Some(text.to_owned());
    }
    item.fault(
        Fault::new(FaultCode::BadAddress, format!("{:?} is not a host", item.path()))
            .found(format!("{text:?}"))
            .allowed("a host name or an IP address, without a port"),
    );
    None
}

/// A table of texts. Numbers are taken as they are written, for ports.
fn texts(item: &Item<'_>) -> BTreeMap<String, String> {
    let Some(table) = item.table() else { return BTreeMap::new() };
    let mut out = BTreeMap::new();
    for (key, _, item) in table.entries() {
        let text = match item.value().as_integer() {
            Some(_) => item.integer().map(|n| n.to_string()),
            None => item.text().map(str::to_owned),
        };
        if let Some(text) = text
            && values::no_secret(&item, &key, &text)
        {
            out.insert(key, text);
        }
    }
    out
}

/// `voters = "auto"` or a list; whether the names exist is checked later.
pub(super) fn voters(top: &Section<'_>) -> (Voters, Range<usize>) {
    let Some(item) = top.get("voters") else { return (Voters::Auto, 0..0) };
    if item.value().as_str() == Some("auto") {
        return (Voters::Auto, item.span());
    }
    if item.value().as_array().is_none() {
        item.wrong_type::<()>("\"auto\", or a list of names such as [\"n1\", \"n2\", \"n3\"]");
        return (Voters::Auto, item.span());
    }
    let names = values::references(&item).into_iter().map(|reference| reference.name).collect();
    (Voters::List(names), item.span())
}
