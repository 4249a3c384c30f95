//! One rollout is one trace: rollout -> member -> step -> attempt. The ids of its spans follow from the rollout, so
//! that every agent, and an agent after a crash, names the same span without asking anybody.
//!
//! Knows nothing about exporters; ids are numbers and texts here.

use crate::{
    ids::{MemberName, StepId},
    rollout::Rollout,
};

/// Where a span sits in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanRef {
    /// Id of the trace; never all zero.
    pub trace: [u8; 16],
    /// Id of the span; never all zero.
    pub span: [u8; 8],
}

impl SpanRef {
    /// Reads a W3C `traceparent`; none if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
        let found = Self { trace: hex(trace)?, span: hex(span)? };
        (version == "00" && found.trace != [0; 16] && found.span != [0; 8]).then_some(found)
    }

    /// As a W3C `traceparent`, sampled.
    pub fn traceparent(&self) -> String {
        let text = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        format!("00-{}-{}-01", text(&self.trace), text(&self.span))
    }
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// The span of the call that started the rollout, if it was traced.
pub fn caller(rollout: &Rollout) -> Option<SpanRef> {
    SpanRef::parse(&rollout.trace)
}

/// The rollout's own span.
pub fn of_rollout(rollout: &Rollout) -> SpanRef {
    named(rollout, "rollout")
}

/// A member's part of the rollout.
pub fn of_member(rollout: &Rollout, member: &MemberName) -> SpanRef {
    named(rollout, &format!("member/{member}"))
}

/// A step, over all its attempts.
pub fn of_step(rollout: &Rollout, step: StepId) -> SpanRef {
    named(rollout, &format!("step/{step}"))
}

fn named(rollout: &Rollout, what: &str) -> SpanRef {
    let seed = format!("{}/{}/{}", rollout.plan.bound.cluster_id, rollout.generation, rollout.id);
    let trace = caller(rollout).map_or_else(|| nonzero(&seed), |c| c.trace);
    SpanRef { trace, span: nonzero(&format!("{seed}/{what}")) }
}

fn nonzero<const N: usize>(text: &str) -> [u8; N] {
    let digest = blake3::hash(text.as_bytes());
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(digest.as_bytes()) {
        *to = *from;
    }
    // All zero means "no span" to everybody else.
    if bytes == [0; N] { [1; N] } else { bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_reads_back() {
        let span = SpanRef { trace: [7; 16], span: [9; 8] };
        assert_eq!(SpanRef::parse(&span.traceparent()), Some(span));
        for bad in ["", "00", "00-00-00-00", &format!("00-{}-{}-01", "0".repeat(32), "1".repeat(16)), "ü-x-y-z"] {
            assert_eq!(SpanRef::parse(bad), None, "{bad}");
        }
    }
}
