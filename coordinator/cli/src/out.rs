//! Where text goes: data to stdout, everything else to stderr. Knows whether a person looks, and whether colours are
//! wanted; knows nothing of what is said.

use crate::error::CliError;
use std::io::{self, IsTerminal as _, Write as _};

/// How to write for whoever reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Stdout is a terminal: a person looks.
    pub terminal: bool,
    /// Stderr is one.
    pub errors_terminal: bool,
    /// Colours may be used; they never say anything alone.
    pub colour: bool,
}

impl Style {
    /// As this process finds it. `no_color` is the variable `NO_COLOR`, see no-color.org.
    pub fn detect(no_color: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let errors_terminal = io::stderr().is_terminal();
        Self { terminal, errors_terminal, colour: !no_color && terminal && errors_terminal }
    }
}

/// Writes data, with a line end if it has none. A reader that went away (`| head`) wanted no more; that is no error.
pub fn data(text: &str) -> Result<(), CliError> {
    let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    exactly(&format!("{text}{end}"))
}

/// Writes data to the byte.
pub fn exactly(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(CliError::Output),
    }
}

/// Says something that is not data.
pub fn say(text: &str) {
    // Nothing is left to do when stderr itself is gone.
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end_matches('\n'));
}

/// Asks a question that only `y` or `yes` answers with yes; the default is no. `LK7011` without a person to ask.
pub fn confirm(question: &str) -> Result<(), CliError> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(CliError::NeedsYes);
    }
    let _ = write!(io::stderr().lock(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|source| CliError::Start { action: "read the answer", source })?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::Declined),
    }
}
