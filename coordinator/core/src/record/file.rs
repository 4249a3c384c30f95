//! The record's file: JSON lines. The head, the state it begins with, then entries and decisions in order, and a last
//! line with their numbers and a digest over everything before it. Commands are in the bytes of the log (hexadecimal),
//! because that format is frozen.

use super::{Decision, Entry, Head, Script};
use crate::{
    audit::AuditHead,
    ids::{Digest, LogIndex},
    rollout::State,
    stored::{decode_envelope, encode_envelope},
};
use serde::{Deserialize, Serialize};

/// Format of the file.
pub(super) const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Head(Head),
    Base(Box<State>),
    Entry(Stored),
    Decision(Box<Decision>),
    End { entries: u64, decisions: u64, digest: Digest },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    index: LogIndex,
    what: String,
    command: String,
    state: Digest,
    audit: Option<AuditHead>,
}

/// Why a file is not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("LK3616: line {line}: {reason}")]
pub struct RecordFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl RecordFault {
    /// The page under `deploy/errors/`.
    pub const fn code(&self) -> &'static str {
        "LK3616"
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS.get(usize::from(n)).copied().unwrap_or(b'0'));
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| Some((digit(pair.first()?)? << 4) | digit(pair.get(1)?)?)).collect()
}

/// The file's text.
///
/// # Errors
/// When a command cannot be encoded.
pub fn render(script: &Script) -> Result<String, RecordFault> {
    let mut text = String::new();
    let mut lines = 0;
    let mut push = |line: &Line| {
        lines += 1;
        let json =
            serde_json::to_string(line).map_err(|e| RecordFault { line: lines, reason: e.to_string() })?;
        text.push_str(&json);
        text.push('\n');
        Ok(text.len())
    };
    push(&Line::Head(script.head.clone()))?;
    push(&Line::Base(Box::new(script.base.clone())))?;
    let mut decisions = script.decisions.iter().peekable();
    for entry in &script.entries {
        while let Some(decision) = decisions.next_if(|d| d.after < entry.index) {
            push(&Line::Decision(Box::new(decision.clone())))?;
        }
        let bytes =
            encode_envelope(&entry.envelope).map_err(|e| RecordFault { line: 0, reason: e.to_string() })?;
        push(&Line::Entry(Stored {
            index: entry.index,
            what: format!("{:?}", entry.envelope.command.kind()),
            command: hex(&bytes),
            state: entry.state.clone(),
            audit: entry.audit.clone(),
        }))?;
    }
    for decision in decisions {
        push(&Line::Decision(Box::new(decision.clone())))?;
    }
    let (entries, decisions) = (script.entries.len() as u64, script.decisions.len() as u64);
    let digest = Digest::of(text.as_bytes());
    let end = serde_json::to_string(&Line::End { entries, decisions, digest });
    text.push_str(&end.map_err(|e| RecordFault { line: 0, reason: e.to_string() })?);
    text.push('\n');
    Ok(text)
}

/// Reads a file.
///
/// # Errors
/// When it is not a record, was changed, or is cut off.
pub fn parse(text: &str) -> Result<Script, RecordFault> {
    let fault = |line: usize, reason: &str| RecordFault { line, reason: reason.to_owned() };
    let mut script: Option<(Head, Option<State>)> = None;
    let (mut entries, mut decisions, mut end) = (Vec::new(), Vec::new(), None);
    let mut begin = 0;
    for (at, raw) in text.split_inclusive('\n').enumerate() {
        let line = at + 1;
        if end.is_some() {
            return Err(fault(line, "something stands behind the last line"));
        }
        let parsed: Line = serde_json::from_str(raw.trim_end()).map_err(|e| fault(line, &e.to_string()))?;
        match parsed {
            Line::Head(head) if at == 0 => {
                if head.record != FORMAT {
                    let reason = format!("format {}, this build knows {FORMAT}", head.record);
                    return Err(fault(line, &reason));
                }
                script = Some((head, None));
            }
            Line::Base(state) if at == 1 => {
                if let Some((_, base)) = &mut script {
                    *base = Some(*state);
                }
            }
            Line::Entry(stored) if at > 1 => {
                let bytes =
                    unhex(&stored.command).ok_or_else(|| fault(line, "the command is not hexadecimal"))?;
                let envelope = decode_envelope(&bytes).map_err(|e| fault(line, &e.to_string()))?;
                entries.push(Entry {
                    index: stored.index,
                    envelope,
                    state: stored.state,
                    audit: stored.audit,
                });
            }
            Line::Decision(decision) if at > 1 => decisions.push(*decision),
            Line::End { entries: e, decisions: d, digest } if at > 1 => {
                if Digest::of(text.as_bytes().get(..begin).unwrap_or_default()) != digest {
                    return Err(fault(
                        line,
                        "the digest over the lines before does not match: the file was changed",
                    ));
                }
                if (e, d) != (entries.len() as u64, decisions.len() as u64) {
                    return Err(fault(
                        line,
                        "it counts other numbers of entries and decisions than there are",
                    ));
                }
                end = Some(());
            }
            Line::Head(_) | Line::Base(_) | Line::Entry(_) | Line::Decision(_) | Line::End { .. } => {
                return Err(fault(line, "this line does not belong here"));
            }
        }
        begin += raw.len();
    }
    match (script, end) {
        (Some((head, Some(base))), Some(())) => Ok(Script { head, base, entries, decisions }),
        _ => Err(fault(text.lines().count(), "the file is cut off")),
    }
}
