//! A plan's canonical form (RFC 8785) and its hash.

use super::{Adoption, BoundFacts, Hop, Plan, PlanPolicy, Step, Strategy, Targets, canonical::canonical};
use crate::{
    ids::{ClusterName, PlanHash},
    time::LogTime,
    version::Version,
};
use serde::Serialize;

/// All of a plan but its hash.
#[derive(Serialize)]
struct Content<'a> {
    format: u32,
    parent: &'a Option<PlanHash>,
    cluster: &'a ClusterName,
    strategy: Strategy,
    from: &'a Version,
    to: &'a Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    adopt: &'a Option<Adoption>,
    hops: &'a [Hop],
    bound: &'a BoundFacts,
    observed: LogTime,
    targets: &'a Targets,
    policy: &'a PlanPolicy,
    steps: &'a [Step],
    undo: &'a [Step],
    restore: &'a [Step],
}

impl<'a> Content<'a> {
    fn of(plan: &'a Plan) -> Self {
        // A field that is added to plans and forgotten here does not compile.
        let Plan {
            format,
            hash: _,
            parent,
            cluster,
            strategy,
            from,
            to,
            adopt,
            hops,
            bound,
            observed,
            targets,
            policy,
            steps,
            undo,
            restore,
        } = plan;
        Self {
            format: *format,
            parent,
            cluster,
            strategy: *strategy,
            from,
            to,
            adopt,
            hops,
            bound,
            observed: *observed,
            targets,
            policy,
            steps,
            undo,
            restore,
        }
    }
}

/// BLAKE3 of the canonical JSON of the plan without its `hash` field.
pub fn hash(plan: &Plan) -> PlanHash {
    PlanHash(blake3::hash(text(&Content::of(plan)).as_bytes()).to_hex().to_string())
}

/// The plan file's text: canonical JSON, nothing before or after it.
pub fn render(plan: &Plan) -> String {
    text(plan)
}

fn text<T: Serialize>(value: &T) -> String {
    // A plan is plain data: text keys, no floats. Canonicalising such data cannot fail; the empty text of an
    // impossible failure hashes to something no reader accepts.
    canonical(value).unwrap_or_default()
}
