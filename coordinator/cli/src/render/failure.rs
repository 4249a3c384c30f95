//! Errors and rejections as text: code, sentence, causes, what to do, where to read on.

use super::paint::Paint;
use crate::{error::CliError, pages};
use lockkeeper_core::rollout::Rejection;
use std::error::Error as _;

/// An error with everything a person needs.
pub fn error(error: &CliError, paint: Paint) -> String {
    let mut text =
        format!("{} {}", paint.bad(&format!("error[{}]", error.code())), without_code(&error.to_string()));
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!("\n  = cause: {}", without_code(&inner.to_string())));
        cause = inner.source();
    }
    text + &advice(&error.advice())
}

/// A committed command that lost: an answer, not an error.
pub fn rejection(rejection: &Rejection, paint: Paint) -> String {
    let head = paint.warn(&format!("rejected[{}]", rejection.code()));
    format!(
        "{head} {}: nothing was changed{}",
        without_code(&rejection.to_string()),
        advice(rejection.code())
    )
}

/// What to do about a code, and how to read all of it.
fn advice(code: &str) -> String {
    let remedy = pages::remedy(code).map(|text| format!("\n  = then: {text}")).unwrap_or_default();
    match pages::page(code) {
        Some(_) => format!("{remedy}\n  = more: lockkeeper explain {code}"),
        None => remedy,
    }
}

/// Messages of the lower layers begin with their code, which stands in front already.
pub fn without_code(text: &str) -> &str {
    match text.split_once(": ") {
        Some((code, rest)) if code.len() == 6 && code.starts_with("LK") => rest,
        Some(_) | None => text,
    }
}
