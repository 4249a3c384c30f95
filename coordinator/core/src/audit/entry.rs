//! One entry and its digest.

use super::{AuditHead, words};
use crate::{
    identity::Actor,
    ids::{Digest, LogIndex},
    rollout::{Envelope, Reply},
    time::LogTime,
};
use serde::{Deserialize, Serialize};

/// Longest text of an entry, in bytes. A longer reason is cut here; the command's digest covers all of it.
const TEXT_MAX: usize = 512;

/// What was asked of the group, by whom, and what it answered. The order of the fields is part of the format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// Its place in the chain, from 1.
    pub number: u64,
    /// Log index.
    pub index: LogIndex,
    /// Log time, unix milliseconds.
    pub time: LogTime,
    /// The request's id; repetitions have the same one and only the first has an entry.
    pub request: String,
    /// The person and the agent the call came in through; none for what agents and the leader do by themselves.
    pub who: Option<Actor>,
    /// Kind of command, such as `assign`.
    pub what: String,
    /// On what: step, member, database, plan.
    pub about: String,
    /// The reason that was given, if the command has one.
    pub why: String,
    /// `applied`, or the code of the rejection.
    pub answer: String,
    /// The rejection's words; empty when applied.
    pub text: String,
    /// BLAKE3 of the whole command.
    pub command: Digest,
    /// BLAKE3 of this entry with the digest of the one before it in this place.
    pub digest: String,
}

impl AuditEntry {
    /// The entry of the command at `index` behind `head`.
    pub fn new(head: &AuditHead, index: LogIndex, time: LogTime, envelope: &Envelope, reply: &Reply) -> Self {
        let (answer, text) = match reply {
            Reply::Applied { .. } => ("applied".to_owned(), String::new()),
            Reply::Rejected(rejection) => (rejection.code().to_owned(), bounded(&rejection.to_string())),
        };
        let mut entry = Self {
            number: head.count + 1,
            index,
            time,
            request: bounded(&envelope.id.0),
            who: envelope.actor.clone(),
            what: words::kind(envelope.command.kind()),
            about: bounded(&words::about(&envelope.command)),
            why: bounded(&words::why(&envelope.command)),
            answer,
            text,
            // Plain data with text keys always serialises; an empty text would only change the digest.
            command: Digest::of(&serde_json::to_vec(envelope).unwrap_or_default()),
            digest: String::new(),
        };
        entry.digest = entry.digest_after(&head.digest);
        entry
    }

    /// The digest this entry must have behind an entry with the digest `before`.
    pub fn digest_after(&self, before: &str) -> String {
        let linked = Self { digest: before.to_owned(), ..self.clone() };
        Digest::of(linked.line().as_bytes()).0
    }

    /// The chain's head once this is its last entry.
    pub fn head(&self) -> AuditHead {
        AuditHead { count: self.number, digest: self.digest.clone() }
    }

    /// The entry as one line of JSON, without a line end. An entry has exactly one such line.
    pub fn line(&self) -> String {
        // Plain data with text keys always serialises; an empty line is refused by every reader.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}
