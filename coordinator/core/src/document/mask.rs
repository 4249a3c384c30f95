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

/// The text with `spans`, and whatever looks like a secret on its line, replaced by `*` character by character.
pub(super) fn mask(text: &str, spans: &[Range<usize>]) -> String {
    let mut hidden = spans.to_vec();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        hidden.extend(literals(line).into_iter().map(|r| r.start + offset..r.end + offset));
        offset += line.len();
    }
    text.char_indices()
        .map(|(i, c)| if c != '\n' && hidden.iter().any(|span| span.contains(&i)) { '*' } else { c })
        .collect()
}

/// Quoted texts of a line that look like secrets by the key before them or by their own form. This works on text
/// that did not even parse, so it is the last line of defence, not the only one.
fn literals(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = line.get(at..).and_then(|rest| rest.find(['"', '\''])).map(|n| n + at) {
        let quote = if line.as_bytes().get(open) == Some(&b'"') { '"' } else { '\'' };
        let close =
            line.get(open + 1..).and_then(|rest| rest.find(quote)).map_or(line.len(), |n| n + open + 1);
        let value = line.get(open + 1..close).unwrap_or("");
        let before = line.get(..open).unwrap_or("").trim_end();
        let key = before.strip_suffix('=').map(str::trim_end).unwrap_or("");
        let key = key.rsplit([' ', ',', '{', '.', '"']).next().unwrap_or("");
        if looks_secret(key, value) {
            found.push(open + 1..close);
        }
        at = (close + 1).min(line.len());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_keys_are_hidden_and_references_are_not() {
        let text = "admin = { user = \"u\", password = \"hunter2\" }\nother = { password = \"file:/x\" }\n";
        let masked = mask(text, &[]);
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
    fn unterminated_secrets_are_hidden_too() {
        assert!(!mask("password = \"hunter2\n", &[]).contains("hunter2"));
    }
}
