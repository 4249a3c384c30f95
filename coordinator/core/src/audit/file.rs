//! An audit file: a first line that says whose chain it is and where it begins, one entry a line, and a last line with
//! the head. Every line has exactly one right spelling and a digest, so that no byte can change unnoticed.

use super::{AuditEntry, AuditHead, Break, Chain, Trail};
use crate::ids::{ClusterId, Digest};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Format of the file.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    audit: u32,
    cluster: ClusterId,
    source: String,
    after: AuditHead,
    digest: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    head: AuditHead,
    digest: String,
}

/// What an audit file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The group.
    pub cluster: ClusterId,
    /// The agent that wrote it.
    pub source: String,
    /// Where it begins: behind this entry.
    pub after: AuditHead,
    /// Where it ends.
    pub head: AuditHead,
    /// Entries in it.
    pub entries: u64,
}

/// Where and how an audit file is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct FileFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// See [`FileFault`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The chain breaks here.
    #[error(transparent)]
    Break(#[from] Break),
    /// Not a line of an audit file, or not spelled as it is written.
    #[error("LK3604: this is not, to the byte, a line of an audit file: {0}")]
    Spelling(String),
    /// First or last line do not have their digest.
    #[error("LK3605: this line does not have the digest that stands in it")]
    Digest,
    /// A line is missing.
    #[error("LK3606: the file is cut off: {0}")]
    CutOff(&'static str),
}

impl Fault {
    /// The page under `deploy/errors/`.
    pub const fn code(&self) -> &'static str {
        match self {
            Fault::Break(found) => found.code(),
            Fault::Spelling(_) => "LK3604",
            Fault::Digest => "LK3605",
            Fault::CutOff(_) => "LK3606",
        }
    }
}

fn line(value: &impl Serialize) -> String {
    // Plain data with text keys always serialises; an empty line is refused by every reader.
    serde_json::to_string(value).unwrap_or_default()
}

impl First {
    fn sealed(mut self) -> Self {
        self.digest = String::new();
        self.digest = Digest::of(line(&self).as_bytes()).0;
        self
    }
}

impl Last {
    fn sealed(head: AuditHead) -> Self {
        let mut last = Self { head, digest: String::new() };
        last.digest = Digest::of(line(&last).as_bytes()).0;
        last
    }
}

/// The file for a trail.
pub fn render(cluster: &ClusterId, source: &str, trail: &Trail) -> String {
    let first = First {
        audit: FORMAT,
        cluster: cluster.clone(),
        source: source.to_owned(),
        after: trail.after().clone(),
        digest: String::new(),
    };
    let mut text = line(&first.sealed()) + "\n";
    for entry in trail.entries() {
        text.push_str(&entry.line());
        text.push('\n');
    }
    text + &line(&Last::sealed(trail.head())) + "\n"
}

/// Reads one line that must be spelled as it is written.
fn spelled<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let value: T = serde_json::from_slice(bytes).map_err(|e| Fault::Spelling(e.to_string()))?;
    if line(&value).as_bytes() == bytes { Ok(value) } else { Err(Fault::Spelling("other spelling".into())) }
}

/// An entry from its line.
pub(super) fn entry(bytes: &[u8]) -> Result<AuditEntry, Fault> {
    spelled(bytes)
}

/// Follows the chain of a file from its first to its last line.
///
/// # Errors
/// The first line that is not what was written.
pub fn verify(bytes: &[u8]) -> Result<Verified, FileFault> {
    let mut lines = bytes.split_inclusive(|b| *b == b'\n').enumerate().map(|(at, l)| (at + 1, l)).peekable();
    let at = |line| move |fault| FileFault { line, fault };
    let whole = |bytes: &[u8]| match bytes.strip_suffix(b"\n") {
        Some(rest) => Ok(rest.to_vec()),
        None => Err(Fault::CutOff("the last line has no end")),
    };
    let Some((_, first)) = lines.next() else { return Err(at(1)(Fault::CutOff("it is empty"))) };
    let first: First = whole(first).and_then(|l| spelled(&l)).map_err(at(1))?;
    if first.audit != FORMAT {
        return Err(at(1)(Fault::Spelling(format!("format {}, this build knows {FORMAT}", first.audit))));
    }
    let (digest, first) = (first.digest.clone(), first.sealed());
    if first.digest != digest {
        return Err(at(1)(Fault::Digest));
    }
    let mut chain = Chain::after(first.after.clone());
    let mut entries = 0;
    while let Some((number, bytes)) = lines.next() {
        let bytes = whole(bytes).map_err(at(number))?;
        if lines.peek().is_some() {
            let entry = entry(&bytes).map_err(at(number))?;
            chain.push(&entry).map_err(|e| at(number)(e.into()))?;
            entries += 1;
            continue;
        }
        let last: Last = spelled(&bytes).map_err(|fault| match entry(&bytes) {
            Ok(_) => at(number + 1)(Fault::CutOff("the line with the head is missing")),
            Err(_) => at(number)(fault),
        })?;
        if Last::sealed(last.head.clone()).digest != last.digest {
            return Err(at(number)(Fault::Digest));
        }
        chain.ends_at(&last.head).map_err(|e| at(number)(e.into()))?;
        let head = chain.head().clone();
        return Ok(Verified {
            cluster: first.cluster,
            source: first.source,
            after: first.after,
            head,
            entries,
        });
    }
    Err(at(2)(Fault::CutOff("only the first line is there")))
}
