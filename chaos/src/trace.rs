//! The trace of a run: everything that happened outside and everything processes and people showed, as text lines, and
//! one hash over them. The same seed gives the same hash in every process.

use crate::{
    people::Deed,
    watch::{Observation, Seen},
    world::Line,
};
use std::fmt::Write as _;

/// A growing trace.
#[derive(Default)]
pub struct Trace {
    hash: blake3::Hasher,
    lines: u64,
    /// Kept for people who look at a failure.
    kept: Option<Vec<String>>,
}

impl Trace {
    /// One that keeps its lines.
    pub fn keeping() -> Self {
        Self { kept: Some(Vec::new()), ..Self::default() }
    }

    /// A line of the outside's books.
    pub fn line(&mut self, line: &Line) {
        self.add(&line.to_string());
    }

    /// What a process showed. Digests of states are left out: they cover request ids, which are random.
    pub fn seen(&mut self, seen: &Observation) {
        let Observation { at, who, seen } = seen;
        match seen {
            Seen::State { index, .. } => self.add(&format!("{at:>8} {who:<4} state {index}")),
            other => self.add(&format!("{at:>8} {who:<4} {other:?}")),
        }
    }

    /// What a person did.
    pub fn deed(&mut self, deed: &Deed) {
        self.add(&format!("{:>8} {} -> {}", deed.at, deed.what, deed.answer));
    }

    /// Any other line.
    pub fn add(&mut self, text: &str) {
        self.hash.update(text.as_bytes());
        self.hash.update(b"\n");
        self.lines += 1;
        if let Some(kept) = &mut self.kept {
            kept.push(text.to_owned());
        }
    }

    /// The hash so far.
    pub fn hash(&self) -> String {
        let mut text = String::new();
        // Writing to a string never fails.
        let _written = write!(text, "{}", self.hash.finalize().to_hex());
        text.truncate(32);
        text
    }

    /// How many lines so far.
    pub const fn count(&self) -> u64 {
        self.lines
    }

    /// The lines, if they were kept.
    pub fn kept(&self) -> &[String] {
        self.kept.as_deref().unwrap_or_default()
    }
}
