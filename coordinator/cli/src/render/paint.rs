//! Colours, which only underline what the words say already.

/// Paints, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint(pub bool);

impl Paint {
    /// Something a person must act on.
    pub fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// Something to know.
    pub fn warn(self, text: &str) -> String {
        self.with("33", text)
    }

    /// As it should be.
    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// A heading.
    pub fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    /// A rollout's state in the colour that fits it.
    pub fn state(self, word: &str, text: &str) -> String {
        match word {
            "halted" => self.bad(text),
            "paused" | "aborting" | "aborted" | "restoring" | "restored" => self.warn(text),
            "completed" => self.good(text),
            _ => self.strong(text),
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
