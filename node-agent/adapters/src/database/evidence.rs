//! Evidence: short texts for people, cut at what the log takes.

use lockkeeper_agent::host::Done;
use std::collections::BTreeMap;

/// Largest evidence the log takes, in bytes; see `Done::evidence`.
pub const EVIDENCE_MAX: usize = 4096;

/// What is put where something was left out.
const CUT: &str = " …";

/// Cuts a text at [`EVIDENCE_MAX`] bytes, and says so.
pub fn clip(mut text: String) -> String {
    if text.len() > EVIDENCE_MAX {
        let mut end = EVIDENCE_MAX - CUT.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(CUT);
    }
    text
}

/// A proof with evidence alone.
pub fn done(evidence: impl Into<String>) -> Done {
    Done { evidence: clip(evidence.into()), ..Done::default() }
}

/// A proof with outputs.
pub fn done_with<const N: usize>(evidence: impl Into<String>, outputs: [(String, String); N]) -> Done {
    Done { outputs: BTreeMap::from(outputs), ..done(evidence) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let clipped = clip("ä".repeat(5000));
        assert!(clipped.len() <= EVIDENCE_MAX);
        assert!(clipped.ends_with(CUT));
        assert_eq!(clip("short".into()), "short");
    }
}
