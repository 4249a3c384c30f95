//! Laws: no secret stands in a plan, and the password placeholder only where no other process can read it: in the
//! environment of the upgrade tool or the application.

use super::{Case, broken_whole, texts};
use crate::fault::{Fault, FaultCode};
use std::collections::BTreeMap;

/// Words in a key that make its text a secret.
const NAMES: [&str; 5] = ["password", "passwd", "secret", "passphrase", "api_key"];

/// Beginnings that make a text a reference.
const REFERENCES: [&str; 4] = ["file:", "env:", "systemd-credential:", "cmd:"];

/// Both laws in one look at the plan: it has hundreds of thousands of texts.
pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    // Few keys, each many times.
    let mut names: BTreeMap<String, bool> = BTreeMap::new();
    texts::each(case.plan, |place, text| {
        let key = place.key(0);
        let named = names.get(key).copied().unwrap_or_else(|| {
            let lower = key.to_ascii_lowercase();
            let named = NAMES.iter().any(|name| lower.contains(name));
            names.insert(key.to_owned(), named);
            named
        });
        if (named && !is_reference(text)) || is_key(text) || url_password(text) {
            faults.push(
                broken_whole(FaultCode::LawNoSecret, format!("{place} looks like a secret"))
                    .found("a value that is not shown")
                    .allowed("a reference, or a placeholder"),
            );
        }
        if text.contains('{')
            && text.contains("{credential.password}")
            && !matches!(place.key(1), "env" | "variables")
        {
            let text = format!("{place} holds the password placeholder");
            faults.push(
                broken_whole(FaultCode::LawNoPasswordArgument, text).allowed("the environment, or a file"),
            );
        }
    });
}

fn is_reference(text: &str) -> bool {
    text.is_empty() || text.contains('{') || REFERENCES.iter().any(|r| text.starts_with(r))
}

fn is_key(text: &str) -> bool {
    text.contains('-') && text.contains("-----BEGIN")
}

fn url_password(text: &str) -> bool {
    // One character is looked for much faster than three.
    let Some((_, rest)) = text.contains(':').then(|| text.split_once("://")).flatten() else { return false };
    let authority: String = rest.chars().take_while(|c| !matches!(c, '/' | '?' | ' ')).collect();
    match authority.rsplit_once('@').and_then(|(login, _)| login.split_once(':')) {
        Some((_, password)) => !password.is_empty() && !password.contains('{'),
        None => false,
    }
}
