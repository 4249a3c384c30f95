//! Keeps secrets out of excerpts: the shown text is the original with every secret's characters replaced.

use std::ops::Range;

/// Parts of key names whose values are secrets.
const SECRET_WORDS: [&str; 6] = ["password", "passwd", "secret", "token", "passphrase", "credential"];

/// Beginnings of values that are references or placeholders, not secrets.
const REFERENCES: [&str; 5] = ["file:", "env:", "systemd-credential:", "cmd:", "{"];

/// Whether a value under this key is a secret written down: the key says secret and the value is no reference, or
/// the value is a URL with a password in it.
pub fn looks_secret(key: &str, value: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let named = SECRET_WORDS.iter().any(|w| key.contains(w));
    let reference = value.is_empty() || REFERENCES.iter().any(|r| value.starts_with(r));
    // A path or name of a template, a query and the like are no secrets although the key says `credential`.
    (named && !reference && !value.starts_with('/')) || password_in_url(value)
}

/// Whether a key is one of a secret, or a slip of the pen away from one.
pub(crate) fn nearly_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|w| key.contains(w)) || super::closest(&key, SECRET_WORDS).is_some()
}

/// `scheme://user:password@host` with a password that is no placeholder.
fn password_in_url(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or("");
        match authority.rsplit_once('@').and_then(|(login, _)| login.split_once(':')) {
            Some((_, password)) => !password.is_empty() && !password.starts_with('{'),
            None => false,
        }
    })
}

/// The text with `spans`, and whatever looks like a secret, replaced by `*` character by character.
/// `broken` says that the text did not parse, so that nothing about its structure is sure.
pub(super) fn mask(text: &str, spans: &[Range<usize>], broken: bool) -> String {
    let mut hidden = spans.to_vec();
    hidden.extend(values_of_secret_keys(text, broken));
    hidden.extend(passwords_in_urls(text));
    let mut shown: Vec<u8> = text.as_bytes().to_vec();
    let line_ends = |byte: u8| byte == b'\n' || byte == b'\r';
    for span in hidden {
        for byte in shown.get_mut(span).into_iter().flatten().filter(|byte| !line_ends(**byte)) {
            *byte = b'*';
        }
    }
    // Only whole characters are hidden, but a span that a caller got wrong must not become a panic.
    let masked = String::from_utf8_lossy(&shown).into_owned();
    realigned(text, &masked)
}

/// One `*` for each hidden character, so that columns stay those of the original.
fn realigned(text: &str, masked: &str) -> String {
    if masked.len() != text.len() {
        return text.chars().map(|c| if c == '\n' { c } else { '*' }).collect();
    }
    text.char_indices()
        .map(|(i, c)| if masked.as_bytes().get(i) == Some(&b'*') && c != '*' { '*' } else { c })
        .collect()
}

/// What stands behind `KEY =` where the key says secret. This looks at bare text, because a text with a quote too
/// few or too many parses in surprising ways; it is the last line of defence, not the only one.
fn values_of_secret_keys(text: &str, broken: bool) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for word in SECRET_WORDS {
        for (start, _) in lower.match_indices(word) {
            let after = start + word.len();
            let Some(rest) = text.get(after..) else { continue };
            // The rest of the key, its closing quote, spaces.
            let key = rest
                .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
                .unwrap_or(rest.len());
            let Some(rest) = rest.get(key..) else { continue };
            let Some(value) = rest.trim_start_matches(['"', '\'', ' ', '\t']).strip_prefix('=') else {
                // Not `KEY = VALUE`; in a broken text it may have been meant so.
                if broken {
                    let begin = text.len() - rest.len();
                    found.push(begin..begin + rest.find('\n').unwrap_or(rest.len()));
                }
                continue;
            };
            let value = value.trim_start_matches([' ', '\t']);
            let begin = text.len() - value.len();
            if broken {
                found.push(begin..begin + value.find('\n').unwrap_or(value.len()).max(end_of_value(value)));
                continue;
            }
            // A table or list of a healthy text is looked at value by value by whoever reads it.
            if !is_reference(value) && !value.starts_with(['{', '[']) {
                found.push(begin..begin + end_of_value(value));
            }
        }
    }
    found
}

/// A quoted reference or placeholder, or a path (a template's, say).
fn is_reference(value: &str) -> bool {
    let inner = value.trim_start_matches(['"', '\'']);
    inner.len() < value.len() && (inner.starts_with('/') || REFERENCES.iter().any(|r| inner.starts_with(r)))
}

/// Where a value ends: at its closing quote, else at the end of the line.
fn end_of_value(value: &str) -> usize {
    let closed = |quote: &str| {
        let inner = value.strip_prefix(quote)?;
        Some(inner.find(quote).map_or(value.len(), |n| n + 2 * quote.len()))
    };
    for quote in ["\"\"\"", "'''"] {
        if let Some(end) = closed(quote) {
            return end;
        }
    }
    let line = value.find('\n').unwrap_or(value.len());
    let end = ["\"", "'"].iter().find_map(|quote| closed(quote)).map_or(line, |end| end.min(line));
    // A quote inside the secret itself ends it too early: then something stands behind it that has no place there.
    let rest = value.get(end..line).unwrap_or("").trim_start();
    // With a `#` after that quote, what looks like a comment is the secret's other half; its own quote stands in there.
    let comment = rest.split_once('#').is_some_and(|(_, comment)| comment.contains(['"', '\'']));
    if rest.is_empty() || (rest.starts_with([',', '}', ']', '#']) && !comment) { end } else { line }
}

/// The hidden pieces of a text, without their quotes, the longest first: a reader of broken text may take a value
/// for a key and speak of it. Shorter ones than three characters are no secrets and occur everywhere.
pub(super) fn hidden<'t>(text: &'t str, masked: &str, broken: bool) -> Vec<&'t str> {
    let mut pieces = Vec::new();
    let mut start = None;
    let chars = text.char_indices().zip(masked.chars()).map(|((at, c), shown)| (at, c != shown));
    for (at, is_hidden) in chars.chain([(text.len(), false)]) {
        match (start, is_hidden) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                pieces.extend(text.get(from..at).map(|piece| piece.trim_matches(['"', '\'', ' ', '\t'])));
                start = None;
            }
            (_, _) => {}
        }
    }
    if broken {
        let marks = ['"', '\'', ' ', '=', ',', '{', '}', '[', ']'];
        let words: Vec<&str> = pieces.iter().flat_map(|piece| piece.split(marks)).collect();
        pieces.extend(words);
    }
    pieces.retain(|piece| piece.chars().count() >= 3);
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
    pieces
}

/// `PASSWORD` of `://USER:PASSWORD@`.
fn passwords_in_urls(text: &str) -> Vec<Range<usize>> {
    text.match_indices("://")
        .filter_map(|(at, mark)| {
            let start = at + mark.len();
            let rest = text.get(start..)?;
            let authority =
                rest.get(..rest.find(['/', '?', '#', ' ', '"', '\'', '\n']).unwrap_or(rest.len()))?;
            let (login, _) = authority.rsplit_once('@')?;
            let (user, password) = login.split_once(':')?;
            let begin = start + user.len() + 1;
            (!password.starts_with('{')).then(|| begin..begin + password.len())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_keys_are_hidden_and_references_are_not() {
        let text = "admin = { user = \"u\", password = \"hunter2\" }\nother = { password = \"file:/x\" }\n";
        let masked = mask(text, &[], false);
        assert_eq!(masked.len(), text.len());
        assert!(!masked.contains("hunter2") && masked.contains("file:/x") && masked.contains("\"u\""));
    }

    #[test]
    fn urls_with_passwords_are_secrets() {
        assert!(looks_secret("url", "postgresql://app:hunter2@db/x"));
        assert!(!looks_secret("url", "postgresql://{credential.user}:{credential.password}@db/x"));
        assert!(!looks_secret("url", "http://10.0.0.1:8888/v1"));
        assert!(looks_secret("db_password", "x") && !looks_secret("db_password", "env:DB"));
    }

    #[test]
    fn columns_stay_where_they_are() {
        let text = "ä = 1\npassword = \"pässwörd\" # ü\n";
        let first = [std::ops::Range { start: 0, end: 2 }];
        let masked = mask(text, &first, false);
        assert_eq!(masked.chars().count(), text.chars().count());
        assert_eq!(masked, "* = 1\npassword = ********** # ü\n");
    }

    /// Found by the property of the cluster file's reader.
    #[test]
    fn the_half_of_a_secret_that_looks_like_a_comment_is_hidden() {
        for text in ["password = \"\"}#hunter2\" }\n", "password = \"\" #'hunter2' \"\n", "{ password = \"x\", u = 1 } # hunter2\"\n"] {
            assert!(!mask(text, &[], false).contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn unterminated_secrets_are_hidden_too() {
        assert!(!mask("password = \"hunter2\n", &[], true).contains("hunter2"));
    }
}
