//! What the demo tells while it runs: the commands an operator would type, and what happens beside them. Knows whether
//! anybody reads along, not what is told.

use crate::{out, render::live::Live};
use std::sync::{Arc, Mutex, PoisonError};

/// The teller. Clones write to the same place.
#[derive(Clone)]
pub struct Say {
    shown: Option<Arc<Mutex<Shown>>>,
}

struct Shown {
    terminal: bool,
    live: Option<Live>,
}

impl Say {
    /// Tells on stdout; `terminal` redraws the live lines.
    pub fn aloud(terminal: bool) -> Self {
        Self { shown: Some(Arc::new(Mutex::new(Shown { terminal, live: None }))) }
    }

    /// Tells nothing: with `--json` stdout holds one object.
    pub fn silent() -> Self {
        Self { shown: None }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        self.with(|shown| match &shown.live {
            Some(live) => live.note(text),
            // A reader that went away does not end the demo.
            None => drop(out::data(text)),
        });
    }

    /// A command, as it would be typed.
    pub fn command(&self, words: &str) {
        self.line(&format!("$ lockkeeper {words}"));
    }

    /// Replaces the live lines, where there is a terminal.
    pub fn live(&self, lines: &[String]) {
        self.with(|shown| {
            if shown.terminal {
                shown.live.get_or_insert_with(Live::start).show(lines);
            }
        });
    }

    /// Whether lines of changes are wanted instead of live ones.
    pub fn wants_lines(&self) -> bool {
        let mut lines = false;
        self.with(|shown| lines = !shown.terminal);
        lines
    }

    /// Takes the live lines away.
    pub fn still(&self) {
        self.with(|shown| {
            if let Some(live) = &mut shown.live {
                live.clear();
            }
            shown.live = None;
        });
    }

    fn with(&self, tell: impl FnOnce(&mut Shown)) {
        if let Some(shown) = &self.shown {
            tell(&mut shown.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}
