//! A TOML text as a tree that knows where everything stands and collects *every* fault instead of stopping at one.
//!
//! Knows nothing about clusters or profiles: they ask for keys, types and words here, and faults gather in the
//! [`Document`]. A key nobody asked for is a fault too.

mod item;
mod mask;
mod section;
mod suggest;

pub use item::{Item, bad_name};
pub use mask::looks_secret;
pub(crate) use mask::nearly_secret;
pub use section::Section;
pub use suggest::closest;

use crate::fault::{Fault, FaultCode, Location, Report, Severity};
use std::{cell::RefCell, ops::Range};
use toml::de::DeTable;

/// The largest file read, in bytes. A thousand members with labels and values take about 200 KiB.
pub const FILE_MAX: usize = 1 << 20;

/// The most faults kept of one file: nobody reads further, and a file of another kind could make one a byte.
const FAULTS_MAX: usize = 200;

/// A text being read.
pub struct Document<'t> {
    file: &'t str,
    text: &'t str,
    faults: RefCell<Vec<Fault>>,
    secrets: RefCell<Vec<Range<usize>>>,
}

impl<'t> Document<'t> {
    /// Parses as much of `text` as can be parsed; syntax faults are already in the document.
    pub fn parse(file: &'t str, text: &'t str) -> (Self, DeTable<'t>) {
        let document =
            Self { file, text, faults: RefCell::new(Vec::new()), secrets: RefCell::new(Vec::new()) };
        if text.len() > FILE_MAX {
            document.push(
                Fault::new(FaultCode::FileTooLarge, "the file is too large")
                    .found(format!("{} bytes", text.len()))
                    .allowed(format!("up to {FILE_MAX} bytes"))
                    .help("check that this is the right file"),
            );
            return (document, DeTable::new());
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut twice: Vec<Header<'_>> = Vec::new();
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let header = document.enclosing_header(span.start);
            if error.message().contains("duplicate key") {
                // What stands in a table that is there twice is there twice as well; that is not told again.
                if header
                    .as_ref()
                    .is_some_and(|h| twice.iter().any(|t| t.start == h.start && t.end <= span.start))
                {
                    continue;
                }
                twice.extend(header.clone().filter(|h| h.end > span.start));
            }
            document.at(span.clone(), document.syntax(error.message(), span.start, header.as_ref()));
        }
        (document, root.into_inner())
    }

    fn syntax(&self, message: &str, start: usize, header: Option<&Header<'_>>) -> Fault {
        if !message.contains("duplicate key") {
            return Fault::new(FaultCode::Syntax, format!("this is not TOML: {message}"))
                .help("see toml.io for the notation");
        }
        let name = self.word_at(start);
        if header.is_some_and(|header| header.names_agent(start)) {
            return Fault::new(FaultCode::DuplicateMember, format!("{name:?} is there twice"))
                .found("a second one")
                .help("give every member and witness a name of its own, or delete one of the two");
        }
        Fault::new(FaultCode::DuplicateKey, format!("the key {name:?} is there twice"))
            .found("a second one")
            .help("keep one of the two")
    }

    /// The key that begins at `start`, as written.
    fn word_at(&self, start: usize) -> String {
        let rest = self.text.get(start..).unwrap_or("").trim_start_matches(['"', '\'']);
        let end = rest.find(['.', '=', ']', ' ', '"', '\'', '\n']).unwrap_or(rest.len());
        rest.get(..end).unwrap_or("").to_owned()
    }

    /// The table header in the line of `at` or the nearest one above it.
    fn enclosing_header(&self, at: usize) -> Option<Header<'t>> {
        let line_end = self.text.get(at..)?.find('\n').map_or(self.text.len(), |n| at + n);
        let mut start = 0;
        let mut header = None;
        for line in self.text.get(..line_end)?.split_inclusive('\n') {
            if line.trim_start().starts_with('[') {
                header = Some(Header { start, end: start + line.len(), line: line.trim() });
            }
            start += line.len();
        }
        header
    }

    /// The table as a section to ask keys of.
    pub fn section<'d>(&'d self, path: String, table: &'d DeTable<'t>, span: Range<usize>) -> Section<'d>
    where
        't: 'd,
    {
        Section::new(self, path, table, span)
    }

    /// Records a fault without a place.
    pub fn push(&self, fault: Fault) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < FAULTS_MAX {
            faults.push(fault);
        }
    }

    /// Records a fault at a place.
    pub fn at(&self, span: Range<usize>, mut fault: Fault) {
        fault.at = Some(self.locate(span));
        self.push(fault);
    }

    /// Whether errors were recorded so far.
    pub fn failed(&self) -> bool {
        self.faults.borrow().iter().any(|f| f.severity == Severity::Error)
    }

    /// Hides these bytes from every excerpt.
    pub fn hide(&self, span: Range<usize>) {
        self.secrets.borrow_mut().push(span);
    }

    /// Everything found.
    pub fn finish(self) -> Report {
        let mut faults = self.faults.into_inner();
        // What is missing from a text that could not be read whole may well stand in the part that was not read.
        let broken = faults.iter().any(|f| f.code == FaultCode::Syntax);
        if broken {
            faults.retain(|f| !matches!(f.code, FaultCode::MissingKey | FaultCode::MissingParameter));
        }
        let masked = mask::mask(self.text, &self.secrets.into_inner(), broken);
        for secret in mask::hidden(self.text, &masked, broken) {
            for fault in &mut faults {
                for text in [&mut fault.message, &mut fault.found, &mut fault.allowed, &mut fault.help] {
                    if text.contains(secret) {
                        *text = text.replace(secret, "***");
                    }
                }
            }
        }
        // Of a broken text a value may have been taken for a key, and told in quotes of another kind.
        for fault in faults.iter_mut().filter(|_| broken) {
            let start = fault.at.as_ref().map_or(0..0, |at| at.span.clone());
            if fault.code != FaultCode::Syntax
                && self.text.get(start.clone()) != masked_at(self.text, &masked, &start)
            {
                fault.message =
                    "what stands here has no place here; it may be a secret and is not shown".to_owned();
                fault.found = String::new();
            }
        }
        Report::new(faults, masked)
    }

    fn locate(&self, span: Range<usize>) -> Location {
        let start =
            (0..=span.start.min(self.text.len())).rev().find(|i| self.text.is_char_boundary(*i)).unwrap_or(0);
        let before = self.text.get(..start).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        Location {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or("").chars().count() + 1,
            span: start..span.end.max(start),
        }
    }
}

/// The characters of the masked text that stand where `span` stands in the original.
fn masked_at<'m>(text: &str, masked: &'m str, span: &Range<usize>) -> Option<&'m str> {
    let skip = text.get(..span.start)?.chars().count();
    let take = text.get(span.clone())?.chars().count();
    let bytes: usize = masked.chars().take(skip).map(char::len_utf8).sum();
    let length: usize = masked.get(bytes..)?.chars().take(take).map(char::len_utf8).sum();
    masked.get(bytes..bytes + length)
}

/// A line such as `[members.n1]`.
#[derive(Clone)]
struct Header<'t> {
    start: usize,
    end: usize,
    line: &'t str,
}

impl Header<'_> {
    /// Whether a key at `at` is the name of a member or witness: `[members.n1]`, or `n1 = …` under `[members]`.
    fn names_agent(&self, at: usize) -> bool {
        let inner = self.line.trim_start_matches('[');
        ["members", "witnesses"].iter().filter_map(|table| inner.strip_prefix(table)).any(|rest| {
            let rest = rest.trim_start();
            if at < self.end {
                rest.strip_prefix('.').is_some_and(|name| !name.contains('.'))
            } else {
                rest.starts_with(']')
            }
        })
    }
}
