//! A plan's canonical form (RFC 8785) and its hash.

use super::Plan;
use crate::ids::PlanHash;

/// BLAKE3 of the canonical JSON of the plan without its `hash` field.
pub fn hash(plan: &Plan) -> PlanHash {
    let mut value = serde_json::to_value(plan).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.remove("hash");
    }
    PlanHash(blake3::hash(canonical(&value).as_bytes()).to_hex().to_string())
}

/// The plan file's text: canonical JSON, nothing before or after it.
pub fn render(plan: &Plan) -> String {
    canonical(plan)
}

fn canonical<T: serde::Serialize>(value: &T) -> String {
    // A plan is plain data: text keys, no floats. Canonicalising such data cannot fail; the empty text of an
    // impossible failure hashes to something no reader accepts.
    serde_json_canonicalizer::to_string(value).unwrap_or_default()
}
