//! The work done on each row: splitting, slug and digest. Pure; `calibrate` alone looks at the clock.

use sha2::{Digest as _, Sha256};
use std::time::{Duration, Instant};

/// How often a row is hashed. Stored in the database, so that every process computes the same digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounds(pub u32);

/// A note as schema 2 keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split<'a> {
    /// The first line.
    pub title: &'a str,
    /// The second line, without `by `.
    pub author: &'a str,
    /// Everything after.
    pub body: &'a str,
}

/// Splits the text of a schema 1 note: title, `by AUTHOR`, body.
pub fn split(text: &str) -> Option<Split<'_>> {
    let (title, rest) = text.split_once('\n')?;
    let (author, body) = rest.split_once('\n').unwrap_or((rest, ""));
    Some(Split { title, author: author.strip_prefix("by ")?, body })
}

/// The opposite of [`split`].
pub fn join(split: &Split<'_>) -> String {
    format!("{}\nby {}\n{}", split.title, split.author, split.body)
}

/// A name for addresses: lower-case letters and digits of the title, joined by `-`, and the id.
pub fn slug(title: &str, id: i64) -> String {
    let mut slug = String::with_capacity(title.len() + 8);
    for word in title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        slug.push_str(&word.to_ascii_lowercase());
        slug.push('-');
    }
    slug + &id.to_string()
}

/// SHA-256 of the text, then `rounds` times SHA-256 of the last result and the text; lower-case hex.
pub fn digest(text: &str, Rounds(rounds): Rounds) -> String {
    let mut last = Sha256::digest(text);
    for _ in 0..rounds {
        last = Sha256::new().chain_update(last).chain_update(text).finalize();
    }
    last.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many rounds make `rows` digests of texts like `samples` take `time` on this machine and build. The best of
/// some short measurements counts, so that a busy moment does not make the work too small.
pub fn calibrate(samples: &[String], rows: u32, time: Duration) -> Rounds {
    const PROBES: usize = 6;
    const PROBE_ROUNDS: u32 = 500;
    let best = (0..PROBES)
        .map(|_| {
            let begun = Instant::now();
            for sample in samples {
                std::hint::black_box(digest(std::hint::black_box(sample), Rounds(PROBE_ROUNDS)));
            }
            begun.elapsed()
        })
        .min()
        .unwrap_or(Duration::from_millis(1));
    let probed = f64::from(PROBE_ROUNDS) * samples.len().max(1) as f64;
    let per_round = best.as_secs_f64().max(1e-6) / probed;
    let rounds = time.as_secs_f64() / f64::from(rows.max(1)) / per_round;
    // Casting saturates; the limit keeps a mistaken target from making a database nobody can migrate.
    Rounds((rounds as u32).clamp(1, 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_digest_is_the_one_other_programs_compute() {
        // python3: d=sha256(b'abc').digest(); d=sha256(d+b'abc').digest(); d=sha256(d+b'abc').hexdigest()
        assert_eq!(
            digest("abc", Rounds(0)),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            digest("abc", Rounds(2)),
            "abf3acfc2645afdac63a087ae070f82c5c6658a8ff4353a5749d396ad6ecb56c"
        );
    }

    #[test]
    fn slugs_are_plain_and_carry_the_id() {
        assert_eq!(slug("The  Lock: a (short) story!", 17), "the-lock-a-short-story-17");
        assert_eq!(slug("…", 3), "3");
    }

    #[test]
    fn a_text_without_an_author_does_not_split() {
        assert_eq!(split("only a title"), None);
        assert_eq!(split("title\nno author"), None);
    }

    proptest! {
        #[test]
        fn split_undoes_join(title in "[^\n]{1,20}", author in "[^\n]{0,20}", body in ".{0,40}") {
            let parts = Split { title: &title, author: &author, body: &body };
            let text = join(&parts);
            prop_assert_eq!(split(&text), Some(parts));
        }
    }
}
