//! What is recorded.

use super::file::FORMAT;
use crate::{
    audit::{AuditHead, Trail},
    ids::{ClusterId, Digest, LogIndex},
    rollout::{Command, Envelope, Facts, State},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A script: where it begins, and what happened then.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// Where it comes from.
    pub head: Head,
    /// The state it begins with; the empty one, or that of a snapshot.
    pub base: State,
    /// Log entries with commands, in order.
    pub entries: Vec<Entry>,
    /// Decisions of the leader, in the order they were made.
    pub decisions: Vec<Decision>,
}

/// Where a script comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Format of the file; 1.
    pub record: u32,
    /// The build that wrote it.
    pub build: String,
    /// The group; empty before `init`.
    pub cluster_id: ClusterId,
    /// The agent or directory it was read from.
    pub source: String,
    /// Log index of the state it begins with; 0: the log's beginning.
    pub from: LogIndex,
    /// Log index up to which it goes.
    pub to: LogIndex,
    /// Digest of the state there, as the node held it; none if nobody held one.
    pub live: Option<Digest>,
}

/// The node a script is assembled from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its build.
    pub build: String,
    /// Agent or directory.
    pub name: String,
    /// Log index of the state it holds.
    pub to: LogIndex,
    /// Digest of that state, if it holds one.
    pub live: Option<Digest>,
}

/// Puts a script together from a log. The digests of states are left empty: [`super::seal`] fills them in.
pub fn assemble(
    source: Source,
    from: LogIndex,
    base: State,
    log: Vec<(LogIndex, Envelope)>,
    trail: &Trail,
    mut decisions: Vec<Decision>,
) -> Script {
    let audits: BTreeMap<LogIndex, AuditHead> = trail.entries().map(|e| (e.index, e.head())).collect();
    let entries: Vec<Entry> = log
        .into_iter()
        .map(|(index, envelope)| Entry {
            index,
            envelope,
            state: Digest(String::new()),
            audit: audits.get(&index).cloned(),
        })
        .collect();
    decisions.retain(|d| d.after >= from && d.after <= source.to);
    let cluster_id = group_of(&base, &entries);
    let head = Head {
        record: FORMAT,
        build: source.build,
        cluster_id,
        source: source.name,
        from,
        to: source.to,
        live: source.live,
    };
    Script { head, base, entries, decisions }
}

/// The group: of the state it begins with, or of its first entry.
fn group_of(base: &State, entries: &[Entry]) -> ClusterId {
    let founded = entries.iter().find_map(|e| match &e.envelope.command {
        Command::Init { cluster, .. } => Some(cluster.clone()),
        _ => None,
    });
    base.group.as_ref().map(|g| g.cluster.clone()).or(founded).unwrap_or_else(|| ClusterId(String::new()))
}

/// One command of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its log index.
    pub index: LogIndex,
    /// The command.
    pub envelope: Envelope,
    /// Digest of the state after it; for plans' steps their hash stands.
    pub state: Digest,
    /// Head of the audit after it, as a node wrote it when it applied the command; none where that is not kept any more.
    pub audit: Option<AuditHead>,
}

/// What a leader decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The state it looked at: all entries up to this index.
    pub after: LogIndex,
    /// What it saw beside the state.
    pub facts: Facts,
    /// What it proposed.
    pub commands: Vec<Command>,
}
