//! The redrawn part of a terminal: some lines that are replaced, notices that stay above them.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redraws a second; the clocks on it show tenths at most.
const RATE: u8 = 8;

/// A block of lines at the end of the terminal.
pub struct Live {
    block: MultiProgress,
    lines: Vec<ProgressBar>,
    style: ProgressStyle,
}

impl Live {
    /// Draws on stdout's terminal.
    pub fn start() -> Self {
        let block = MultiProgress::with_draw_target(ProgressDrawTarget::stdout_with_hz(RATE));
        // A template without progress in it: the bar is part of the text. `wide_msg` cuts at the terminal's width.
        let style =
            ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { block, lines: Vec::new(), style }
    }

    /// Replaces the block.
    pub fn show(&mut self, lines: &[String]) {
        while self.lines.len() > lines.len() {
            if let Some(bar) = self.lines.pop() {
                self.block.remove(&bar);
            }
        }
        while self.lines.len() < lines.len() {
            let bar = self.block.add(ProgressBar::new(1));
            bar.set_style(self.style.clone());
            self.lines.push(bar);
        }
        for (bar, text) in self.lines.iter().zip(lines) {
            bar.set_message(text.clone());
            bar.tick();
        }
    }

    /// Writes a line that stays.
    pub fn note(&self, text: &str) {
        // A terminal that cannot be written to shows nothing more; the rollout does not depend on it.
        let _ = self.block.println(text);
    }

    /// Takes the block away.
    pub fn clear(&mut self) {
        let _ = self.block.clear();
        self.lines.clear();
    }
}
