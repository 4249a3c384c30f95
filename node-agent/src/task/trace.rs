//! The span of one attempt, below the span of its step, which the replicated state names (`core::trace`).
//!
//! Knows nothing of exporters. Without a subscriber all of it does nothing.

use crate::journal::Key;
use lockkeeper_core::{ids::MemberName, rollout::Assignment, trace::SpanRef};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// A new span for an attempt.
pub fn attempt(me: &MemberName, assignment: &Assignment) -> Span {
    let (key, step) = (Key::from(&assignment.attempt), &assignment.step);
    let span = tracing::info_span!(
        parent: None,
        "attempt",
        rollout = %key.rollout,
        step = %key.step,
        attempt = %key.attempt,
        member = %me,
        token = %key.token,
        action = %step.action.kind(),
        on = %step.target,
    );
    if let Some(parent) = SpanRef::parse(&assignment.trace) {
        let parent = SpanContext::new(
            TraceId::from_bytes(parent.trace),
            SpanId::from_bytes(parent.span),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        let parent = opentelemetry::Context::new().with_remote_span_context(parent);
        if let Err(error) = span.set_parent(parent) {
            tracing::debug!(%error, "the rollout's trace is not continued");
        }
    }
    span
}

/// The W3C `traceparent` of a span, for the group; empty when nothing records traces.
pub fn traceparent(span: &Span) -> String {
    let context = span.context();
    let context = context.span().span_context().clone();
    if !context.is_valid() {
        return String::new();
    }
    SpanRef { trace: context.trace_id().to_bytes(), span: context.span_id().to_bytes() }.traceparent()
}
