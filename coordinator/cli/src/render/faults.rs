//! Faults of files: drawn with the source on a terminal, plain otherwise. The words are the same.

use crate::out::Style;
use lockkeeper_core::fault::{Fault, Report, Severity};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use std::fmt;

/// A report for whoever reads.
pub fn text(report: &Report, style: Style) -> String {
    if !style.errors_terminal {
        return report.text();
    }
    let theme = if style.colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    drawn(report, theme)
}

fn drawn(report: &Report, theme: GraphicalTheme) -> String {
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_context_lines(1);
    let mut text = String::new();
    for fault in &report.faults {
        let shown = Shown::new(fault, &report.source);
        // Only a source that refuses to be read makes this fail; the plain words say the same.
        if handler.render_report(&mut text, &shown).is_err() {
            text.push_str(&format!("{}: {}\n", fault.code, fault.message));
        }
    }
    let plain = report.text();
    text.push_str(plain.lines().last().unwrap_or_default());
    text.push('\n');
    text
}

/// One fault as miette wants to see it.
#[derive(Debug)]
struct Shown<'a> {
    fault: &'a Fault,
    source: Option<NamedSource<String>>,
    label: Option<LabeledSpan>,
}

impl<'a> Shown<'a> {
    fn new(fault: &'a Fault, text: &str) -> Self {
        let at = fault.at.as_ref().filter(|_| !text.is_empty());
        let source = at.map(|at| NamedSource::new(&at.file, text.to_owned()));
        let label = at.map(|at| {
            let found = (!fault.found.is_empty()).then(|| fault.found.clone());
            // Lines and columns hold in the masked text, byte offsets need not: a masked letter is one byte.
            let start = offset(text, at.line, at.column);
            let rest = text.get(start..).and_then(|rest| rest.lines().next()).map_or(0, str::len);
            LabeledSpan::new(found, start, at.span.len().clamp(1, rest.max(1)))
        });
        Self { fault, source, label }
    }
}

/// Bytes before a place, both from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let inside = text.get(before..).unwrap_or_default();
    let shift = inside.char_indices().nth(column.saturating_sub(1)).map_or(inside.len(), |(at, _)| at);
    before + shift
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.fault.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.fault.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let mut lines = Vec::new();
        if !self.fault.allowed.is_empty() {
            lines.push(format!("allowed: {}", self.fault.allowed));
        }
        if self.source.is_none() && !self.fault.found.is_empty() {
            lines.push(format!("found: {}", self.fault.found));
        }
        if !self.fault.help.is_empty() {
            lines.push(self.fault.help.clone());
        }
        lines.push(format!("more: lockkeeper explain {}", self.fault.code));
        Some(Box::new(lines.join("\n")))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|s| s as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = self.label.clone()?;
        Some(Box::new(std::iter::once(label)))
    }
}
