//! Faults: what is wrong with something a person wrote, where, what is allowed and what to do.
//!
//! Knows nothing about what is being read. Rendering with colours is the command line's; here is plain text.

pub mod code;
mod text;

pub use code::FaultCode;

use serde::Serialize;
use std::{fmt, ops::Range};

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is done while one of these stands.
    Error,
    /// Recorded and shown; does not stop anything.
    Warning,
}

/// Where in a file a fault is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The file's name as it was given.
    pub file: String,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// One fault. Texts never hold the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which rule was broken; has a page in `deploy/errors/`.
    pub code: FaultCode,
    /// How bad.
    pub severity: Severity,
    /// One sentence without a full stop.
    pub message: String,
    /// Where, unless it concerns no text.
    pub at: Option<Location>,
    /// What was found; empty if the excerpt says it all.
    pub found: String,
    /// What would be accepted; empty if that has no list.
    pub allowed: String,
    /// What to do.
    pub help: String,
}

impl Fault {
    /// A fault without a place; severity as the code says.
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            at: None,
            found: String::new(),
            allowed: String::new(),
            help: String::new(),
        }
    }

    /// Says what was found.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = found.into();
        self
    }

    /// Says what would be accepted.
    #[must_use]
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = allowed.into();
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

/// All faults of one reading, with the text they point into.
#[must_use = "faults that nobody reads help nobody"]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order of the text, those without a place last.
    pub faults: Vec<Fault>,
    /// The text that was read, with secrets masked; empty if there was none. Spans and columns are those of the original.
    #[serde(skip)]
    pub source: String,
}

impl Report {
    /// Sorts and wraps.
    pub fn new(mut faults: Vec<Fault>, source: String) -> Self {
        faults.sort_by_key(|f| (f.at.as_ref().map_or(usize::MAX, |at| at.span.start), f.code));
        Self { faults, source }
    }

    /// A report of one fault that points into no text.
    pub fn one(fault: Fault) -> Self {
        Self::new(vec![fault], String::new())
    }

    /// How many errors.
    pub fn errors(&self) -> usize {
        self.faults.iter().filter(|f| f.severity == Severity::Error).count()
    }

    /// How many warnings.
    pub fn warnings(&self) -> usize {
        self.faults.len() - self.errors()
    }

    /// Whether this rule was broken.
    pub fn has(&self, code: FaultCode) -> bool {
        self.faults.iter().any(|f| f.code == code)
    }

    /// Plain text for people, ending with a count.
    pub fn text(&self) -> String {
        text::report(self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl std::error::Error for Report {}
