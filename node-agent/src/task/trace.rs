//! The spans of this agent's part of a rollout: rollout (made by whoever started it) -> member -> step -> attempt.
//!
//! Knows W3C trace context and nothing of exporters. Without a subscriber all of it does nothing.

use crate::journal::Key;
use lockkeeper_core::{
    ids::{MemberName, RolloutId, StepId},
    rollout::Assignment,
};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use std::collections::BTreeMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The open member and step spans of the rollout at hand.
#[derive(Debug, Default)]
pub struct Spans {
    rollout: Option<(RolloutId, Span)>,
    steps: BTreeMap<StepId, Span>,
}

impl Spans {
    /// The span of one attempt, below those of its step and of this member.
    pub fn attempt(&mut self, me: &MemberName, assignment: &Assignment) -> Span {
        let id = assignment.attempt.rollout;
        if self.rollout.as_ref().is_none_or(|(open, _)| *open != id) {
            self.close();
            let span = tracing::info_span!(parent: None, "member", member = %me, rollout = %id);
            adopt(&span, &assignment.trace);
            self.rollout = Some((id, span));
        }
        let member = self.rollout.as_ref().map_or_else(Span::none, |(_, span)| span.clone());
        let step = &assignment.step;
        let step = self.steps.entry(step.id).or_insert_with(|| {
            tracing::info_span!(
                parent: &member,
                "step",
                rollout = %id,
                step = %step.id,
                stage = %step.stage,
                action = %step.action.kind(),
                target_name = %step.target,
            )
        });
        let key = Key::from(&assignment.attempt);
        tracing::info_span!(
            parent: &*step,
            "attempt",
            rollout = %id,
            step = %key.step,
            attempt = %key.attempt,
            member = %me,
            token = %key.token,
        )
    }

    /// The step is settled: its span ends.
    pub fn settled(&mut self, step: StepId) {
        self.steps.remove(&step);
    }

    /// Ends the spans of any rollout but `active`: a span is exported when it ends.
    pub fn keep(&mut self, active: Option<RolloutId>) {
        if self.rollout.as_ref().is_some_and(|(open, _)| Some(*open) != active) {
            self.close();
        }
    }

    fn close(&mut self) {
        self.steps.clear();
        self.rollout = None;
    }
}

fn adopt(span: &Span, traceparent: &str) {
    if let Some(context) = parse(traceparent) {
        let context = opentelemetry::Context::new().with_remote_span_context(context);
        if let Err(error) = span.set_parent(context) {
            tracing::debug!(%error, "the rollout's trace is not continued");
        }
    }
}

/// `00-TRACE-SPAN-FLAGS`; anything else is no context.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if version != "00" || parts.next().is_some() || trace.len() != 32 || span.len() != 16 {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

/// The W3C `traceparent` of a span, for the group; empty when nothing records traces.
pub fn traceparent(span: &Span) -> String {
    let context = span.context();
    let context = context.span().span_context().clone();
    if !context.is_valid() {
        return String::new();
    }
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_traceparent_is_one() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = parse(good).unwrap();
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert!(context.is_sampled() && context.is_remote());
        for bad in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-zz",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
