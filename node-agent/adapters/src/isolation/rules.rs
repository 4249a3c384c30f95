//! The ruleset as text, and what `nft -j` must show of it. Pure.
//!
//! Nothing here asks conntrack: a rule that lets established connections through would keep exactly those alive that a
//! clone brought along, and one loaded too late would not know them.

use lockkeeper_agent::isolation::Allowed;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

/// The table that is ours; nothing else is touched.
pub const TABLE: &str = "lockkeeper_isolation";

/// Before every ordinary table: a packet dropped here is dropped for good, one let through here is still judged there.
const PRIORITY: i64 = -300;

/// Default-deny, both ways, but for loopback and these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Isolation {
    /// The exceptions.
    pub allow: BTreeSet<Allowed>,
}

fn family(address: &IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "ip",
        IpAddr::V6(_) => "ip6",
    }
}

impl Isolation {
    /// Whether a connection to `target` is meant to work.
    pub fn lets_through(&self, target: &SocketAddr) -> bool {
        target.ip().is_loopback()
            || self.allow.contains(&Allowed::Port(*target))
            || self.allow.contains(&Allowed::Address(target.ip()))
    }

    /// Conditions of the rules that accept, as `(input, output)`.
    fn accepted(&self) -> Vec<(String, String)> {
        let mut rules = vec![("iif lo".to_owned(), "oif lo".to_owned())];
        rules.extend(self.allow.iter().map(|allowed| match allowed {
            Allowed::Address(a) => {
                let family = family(a);
                (format!("{family} saddr {a}"), format!("{family} daddr {a}"))
            }
            Allowed::Port(to) => {
                let (family, ip, port) = (family(&to.ip()), to.ip(), to.port());
                let conditions = |side, gate| format!("{family} {side}addr {ip} tcp {gate}port {port}");
                (conditions("s", "s"), conditions("d", "d"))
            }
        }));
        rules
    }

    /// One transaction that puts exactly this in place of whatever the table held.
    pub fn script(&self) -> String {
        let mut text =
            format!("table inet {TABLE} {{\n}}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n");
        for hook in ["input", "output", "forward"] {
            // Writing into a string cannot fail.
            let _ = write!(
                text,
                "  chain {hook} {{\n    type filter hook {hook} priority {PRIORITY}; policy drop;\n"
            );
            for (input, output) in self.accepted() {
                match hook {
                    "input" => text.push_str(&format!("    {input} accept\n")),
                    "output" => text.push_str(&format!("    {output} accept\n")),
                    _forwards_nothing => {}
                }
            }
            if hook != "forward" {
                text.push_str("    counter\n");
            }
            text.push_str("  }\n");
        }
        text.push_str("}\n");
        text
    }

    /// What must be read back: one line for each chain and rule.
    pub fn expected(&self) -> BTreeSet<String> {
        let mut lines: BTreeSet<String> = ["input", "output", "forward"]
            .map(|hook| format!("{hook}: filter {hook} {PRIORITY} drop"))
            .into();
        for (input, output) in self.accepted() {
            lines.insert(format!("input: {input} accept"));
            lines.insert(format!("output: {output} accept"));
        }
        lines.extend(["input", "output"].map(|hook| format!("{hook}: counter")));
        lines
    }
}

/// What a table holds, in the words of [`Isolation::expected`], and how many outgoing packets it has refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Chains and rules.
    pub lines: BTreeSet<String>,
    /// Packets that reached the end of the output chain.
    pub refused: u64,
}

/// Reads the answer of `nft -j list table inet lockkeeper_isolation`.
pub fn shown(json: &str) -> Result<Shown, String> {
    let value: Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let all = value["nftables"].as_array().ok_or("it holds no list \"nftables\"")?;
    let mut shown = Shown::default();
    for item in all {
        if let Some(chain) = item.get("chain") {
            shown.lines.insert(format!(
                "{}: {} {} {} {}",
                word(&chain["name"]),
                word(&chain["type"]),
                word(&chain["hook"]),
                chain["prio"],
                word(&chain["policy"])
            ));
        }
        if let Some(rule) = item.get("rule") {
            let parts: Vec<String> = rule["expr"].as_array().into_iter().flatten().map(expression).collect();
            let chain = word(&rule["chain"]);
            if chain == "output"
                && let Some(packets) = rule.pointer("/expr/0/counter/packets").and_then(Value::as_u64)
            {
                shown.refused = packets;
            }
            shown.lines.insert(format!("{chain}: {}", parts.join(" ")));
        }
    }
    Ok(shown)
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// One expression; what this module never writes is shown as it is and so matches nothing.
fn expression(value: &Value) -> String {
    if value.get("accept").is_some() {
        return "accept".to_owned();
    }
    if value.get("counter").is_some() {
        return "counter".to_owned();
    }
    let (Some(test), true) = (value.get("match"), value.pointer("/match/op").is_some_and(|op| op == "=="))
    else {
        return value.to_string();
    };
    let right = word(&test["right"]);
    if let Some(key) = test.pointer("/left/meta/key") {
        return format!("{} {right}", word(key));
    }
    match test.pointer("/left/payload") {
        Some(field) => format!("{} {} {right}", word(&field["protocol"]), word(&field["field"])),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests;
