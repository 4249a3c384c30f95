//! Laws: no secret stands in a plan, and the password placeholder only where no other process can read it: in the
//! environment of the upgrade tool or the application.

use super::{Case, broken_whole};
use crate::fault::{Fault, FaultCode};
use serde_json::Value;

/// Words in a key that make its text a secret.
const NAMES: [&str; 5] = ["password", "passwd", "secret", "passphrase", "api_key"];

/// Beginnings that make a text a reference.
const REFERENCES: [&str; 4] = ["file:", "env:", "systemd-credential:", "cmd:"];

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let Ok(plan) = serde_json::to_value(case.plan) else { return };
    walk(&plan, &mut Vec::new(), &mut |path, text| {
        let named = path.last().is_some_and(|key| {
            let key = key.to_ascii_lowercase();
            NAMES.iter().any(|name| key.contains(name))
        });
        let reference =
            text.is_empty() || text.contains('{') || REFERENCES.iter().any(|r| text.starts_with(r));
        if (named && !reference) || text.contains("-----BEGIN") || url_password(text) {
            let place = path.join(".");
            faults.push(
                broken_whole(FaultCode::LawNoSecret, format!("{place} looks like a secret"))
                    .found("a value that is not shown")
                    .allowed("a reference, or a placeholder"),
            );
        }
    });
}

pub(super) fn password_law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let Ok(plan) = serde_json::to_value(case.plan) else { return };
    walk(&plan, &mut Vec::new(), &mut |path, text| {
        let parent = path.iter().rev().nth(1).map(String::as_str);
        if text.contains("{credential.password}") && !matches!(parent, Some("env" | "variables")) {
            let fault = broken_whole(
                FaultCode::LawNoPasswordArgument,
                format!("{} holds the password placeholder", path.join(".")),
            );
            faults.push(fault.allowed("the environment, or a file"));
        }
    });
}

fn url_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority: String = rest.chars().take_while(|c| !matches!(c, '/' | '?' | ' ')).collect();
    match authority.rsplit_once('@').and_then(|(login, _)| login.split_once(':')) {
        Some((_, password)) => !password.is_empty() && !password.contains('{'),
        None => false,
    }
}

fn walk(value: &Value, path: &mut Vec<String>, see: &mut impl FnMut(&[String], &str)) {
    match value {
        Value::String(text) => see(path, text),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                path.push(at.to_string());
                walk(item, path, see);
                path.pop();
            }
        }
        Value::Object(entries) => {
            for (key, item) in entries {
                path.push(key.clone());
                walk(item, path, see);
                path.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
