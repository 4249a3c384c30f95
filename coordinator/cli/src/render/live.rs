//! The redrawn part of a terminal: some lines that are replaced, notices that stay above them.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redraws a second; the clocks on it show tenths at most.
const RATE: u8 = 8;

/// A block of lines at the end of the terminal. Drawn in one piece, so that it does not flicker; a line longer than
/// the terminal is wide goes on in the next one, because what it ends with may be the remedy.
pub struct Live {
    block: ProgressBar,
}

impl Live {
    /// Draws on stdout's terminal.
    pub fn start() -> Self {
        let block = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout_with_hz(RATE));
        // The library's own bar is not wanted; ours is part of the text. The template is a constant and fits.
        block.set_style(
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self { block }
    }

    /// Replaces the block.
    pub fn show(&self, lines: &[String]) {
        self.block.set_message(lines.join("\n"));
    }

    /// Writes a line that stays.
    pub fn note(&self, text: &str) {
        self.block.println(text);
    }

    /// Takes the block away.
    pub fn clear(&self) {
        self.block.finish_and_clear();
    }
}
