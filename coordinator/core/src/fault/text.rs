//! Faults as plain text: for golden files and where there is no terminal.

use super::{Fault, Report, Severity};

/// The longest source line shown, in characters; a longer one is cut around the fault.
const EXCERPT_MAX: usize = 160;

pub(super) fn report(report: &Report) -> String {
    let mut out = String::new();
    for fault in &report.faults {
        one(fault, &report.source, &mut out);
    }
    out.push_str(&counts(report.errors(), report.warnings()));
    out
}

fn counts(errors: usize, warnings: usize) -> String {
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => "nothing to complain about\n".to_owned(),
        (0, w) => format!("{}\n", count(w, "warning")),
        (e, 0) => format!("{}: nothing was changed\n", count(e, "error")),
        (e, w) => format!("{}, {}: nothing was changed\n", count(e, "error"), count(w, "warning")),
    }
}

fn one(fault: &Fault, source: &str, out: &mut String) {
    let word = match fault.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    out.push_str(&format!("{word}[{}] {}\n", fault.code, fault.message));
    let gutter = fault.at.as_ref().map_or(2, |at| at.line.to_string().len().max(2));
    let pad = " ".repeat(gutter);
    if let Some(at) = &fault.at {
        out.push_str(&format!("{pad} --> {}:{}:{}\n", at.file, at.line, at.column));
        if let Some(line) = source.lines().nth(at.line - 1) {
            let from = if at.column > EXCERPT_MAX { at.column - EXCERPT_MAX / 2 } else { 1 };
            let shown: String = line.chars().skip(from - 1).take(EXCERPT_MAX).collect();
            let width =
                source.get(at.span.clone()).map_or(1, |s| s.lines().next().unwrap_or("").chars().count());
            let room = shown.chars().count() + from - at.column.min(shown.chars().count() + from - 1);
            let marks = "^".repeat(width.clamp(1, room.max(1)));
            out.push_str(&format!("{:>gutter$} | {shown}\n", at.line));
            let label = format!("{pad} | {}{marks} {}", " ".repeat(at.column - from), fault.found);
            out.push_str(label.trim_end());
            out.push('\n');
        }
    } else if !fault.found.is_empty() {
        out.push_str(&format!("{pad} = found: {}\n", fault.found));
    }
    if !fault.allowed.is_empty() {
        out.push_str(&format!("{pad} = allowed: {}\n", fault.allowed));
    }
    if !fault.help.is_empty() {
        out.push_str(&format!("{pad} = help: {}\n", fault.help));
    }
}
