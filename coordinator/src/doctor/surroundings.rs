//! What stands around the members: balancers that keep one out while nothing is going on, and sessions nobody knows.

use super::{Seen, finding};
use crate::preflight::{Finding, FindingVerdict};
use lockkeeper_core::{
    cluster::{BalancerKind, BalancerSpec, ClusterSpec},
    ids::{BalancerName, DatabaseName, MemberName},
    observe::{ForeignLocks, Writer},
    rollout::Word,
};
use std::{collections::BTreeMap, net::IpAddr};

/// Strangers named of one database.
const NAMED: usize = 3;

pub(super) fn look(
    seen: &Seen<'_>,
    spec: &ClusterSpec,
    findings: &mut Vec<Finding>,
    unseen: &mut Vec<String>,
) {
    for (name, balancer) in &spec.balancers {
        match balancer_states(seen, name) {
            // While a rollout goes on, being out is its business.
            Ok(states) if seen.state.rollout.is_none() => left_out(name, balancer, states, findings),
            Ok(_) => {}
            Err(why) => unseen.push(format!("balancer {name}: {why}")),
        }
    }
    for name in spec.databases.keys() {
        match crate::preflight::foreign_locks(seen.looks, name) {
            Some(Ok(locks)) => strangers(seen, spec, name, locks, findings, unseen),
            Some(Err(why)) => unseen.push(format!("database {name}: locks and sessions: {why}")),
            None => unseen
                .push(format!("database {name}: locks and sessions; no agent that answered looks at it")),
        }
    }
}

fn balancer_states<'a>(
    seen: &'a Seen<'_>,
    name: &BalancerName,
) -> Result<&'a BTreeMap<MemberName, String>, String> {
    let mut told: Result<_, String> = Err("no agent that answered looks at it".to_owned());
    for states in seen.looks.values().filter_map(|look| look.as_ref().ok()?.balancers.get(name)) {
        match states {
            Ok(states) => return Ok(states),
            Err(why) => told = Err(why.clone()),
        }
    }
    told
}

fn left_out(
    name: &BalancerName,
    balancer: &BalancerSpec,
    states: &BTreeMap<MemberName, String>,
    findings: &mut Vec<Finding>,
) {
    for (member, state) in states.iter().filter(|(_, state)| *state != "ready") {
        let text = format!("it is {state} in {name}, and no rollout is under way");
        let server = balancer.servers.get(member).map_or(member.as_str(), String::as_str);
        let remedy = match balancer.kind {
            BalancerKind::Haproxy => format!(
                "if nobody wants it out: echo 'set server {}/{server} state ready' | socat -t5 - {}",
                balancer.backend,
                place(&balancer.socket)
            ),
        };
        findings.push(finding(member.as_str(), FindingVerdict::Warning, Word::LeftOut, text, remedy));
    }
}

/// As `socat` wants it.
fn place(socket: &str) -> String {
    match (socket.strip_prefix("tcp://"), socket.strip_prefix("unix:")) {
        (Some(address), _) => format!("TCP:{address}"),
        (None, Some(path)) => format!("UNIX-CONNECT:{path}"),
        (None, None) => socket.to_owned(),
    }
}

/// Sessions that can write and come from no host of the cluster. Hosts that are written as names cannot be compared.
fn strangers(
    seen: &Seen<'_>,
    spec: &ClusterSpec,
    name: &DatabaseName,
    locks: &ForeignLocks,
    findings: &mut Vec<Finding>,
    unseen: &mut Vec<String>,
) {
    let members = spec.members.iter().chain(&spec.witnesses).map(|(_, node)| node.address.as_str());
    let enrolled = seen.state.nodes.values().map(|node| node.address.as_str());
    let mut known = Vec::new();
    for address in members.chain(enrolled) {
        match host(address) {
            Some(host) => known.push(host),
            None => {
                unseen.push(format!(
                    "database {name}: strangers; {address} is a name, and sessions show addresses"
                ));
                return;
            }
        }
    }
    let foreign = |writer: &&Writer| match writer.address.parse::<IpAddr>() {
        Ok(address) => !known.contains(&address.to_canonical()),
        // From the database's own host, which is often a member's or a witness's.
        Err(_) => false,
    };
    let strangers: Vec<String> = locks.writers.iter().filter(foreign).map(ToString::to_string).collect();
    if strangers.is_empty() {
        return;
    }
    let more = strangers.len().saturating_sub(NAMED);
    let mut text = format!(
        "sessions that can write come from no host of the cluster: {}",
        strangers[..strangers.len() - more].join("; ")
    );
    if more > 0 {
        text += &format!("; and {more} more");
    }
    let remedy = "stop it where it runs; a tool that may stay: infrastructure = [{ login, host, program }] of the database, then \
                  lockkeeper cluster apply";
    findings.push(finding(name.as_str(), FindingVerdict::Warning, "LK5202", text, remedy));
}

/// The host of `host:port`, if it is an address.
fn host(address: &str) -> Option<IpAddr> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}
