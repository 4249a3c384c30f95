//! The upper part of a rollout's trace: rollout, members and steps, made of a finished rollout by whoever leads then.
//! Attempts are spans of the agents that made them; their parent's id follows from the rollout (`core::trace`).

use lockkeeper_core::{
    ids::MemberName,
    plan::{Step, Target},
    rollout::{Rollout, StepPhase},
    time::LogTime,
    trace::{self, SpanRef},
};
use lockkeeper_proto::port::View;
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use tokio::sync::watch;

/// Sends the tree of every rollout that ends while this node leads.
pub async fn export(mut views: watch::Receiver<Arc<View>>, exporter: SpanExporter) {
    let newest = |view: &View| view.state.history.back().map(|r| r.id);
    let mut last = newest(&views.borrow_and_update());
    while views.changed().await.is_ok() {
        let view = views.borrow_and_update().clone();
        let now = newest(&view);
        if now == last {
            continue;
        }
        last = now;
        let leads = view.leader.is_some() && view.leader == view.source;
        if let Some(rollout) = view.state.history.back().filter(|_| leads)
            && let Err(error) = exporter.export(spans(rollout)).await
        {
            tracing::warn!(%error, rollout = rollout.id.0, "the rollout's trace was not exported");
        }
    }
}

/// From when to when something went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interval(LogTime, LogTime);

impl Interval {
    fn cover(self, other: Interval) -> Interval {
        Interval(self.0.min(other.0), self.1.max(other.1))
    }
}

/// All spans above the attempts.
pub fn spans(rollout: &Rollout) -> Vec<SpanData> {
    let end = rollout.events.last().map_or(rollout.started, |e| e.time);
    let mut members: BTreeMap<MemberName, Interval> = BTreeMap::new();
    let mut spans = Vec::new();
    for step in rollout.plan.every_step() {
        let Some((member, interval, failed)) = when(rollout, step) else { continue };
        let part = members.entry(member.clone()).or_insert(interval);
        *part = part.cover(interval);
        let mut attributes = common(rollout);
        attributes.extend([
            KeyValue::new("lockkeeper.step", i64::from(step.id.0)),
            KeyValue::new("lockkeeper.member", member.to_string()),
            KeyValue::new("lockkeeper.target", step.target.to_string()),
            KeyValue::new("lockkeeper.stage", step.stage.clone()),
        ]);
        let name = format!("{} {}", step.action.kind(), step.target);
        let status = if failed { Status::error("failed") } else { Status::Ok };
        let parent = Some(trace::of_member(rollout, &member));
        spans.push(span(name, trace::of_step(rollout, step.id), parent, interval, attributes, status));
    }
    for (member, interval) in members {
        let mut attributes = common(rollout);
        attributes.push(KeyValue::new("lockkeeper.member", member.to_string()));
        let (own, parent) = (trace::of_member(rollout, &member), Some(trace::of_rollout(rollout)));
        spans.push(span(format!("member {member}"), own, parent, interval, attributes, Status::Ok));
    }
    let mut attributes = common(rollout);
    attributes.extend([
        KeyValue::new("lockkeeper.plan", rollout.plan.hash.0.clone()),
        KeyValue::new("lockkeeper.from", rollout.plan.from.to_string()),
        KeyValue::new("lockkeeper.to", rollout.plan.to.to_string()),
        KeyValue::new("lockkeeper.state", rollout.status.word()),
    ]);
    let whole = Interval(rollout.started, end);
    let own = trace::of_rollout(rollout);
    spans.push(span("rollout".to_owned(), own, trace::caller(rollout), whole, attributes, Status::Ok));
    spans
}

fn common(rollout: &Rollout) -> Vec<KeyValue> {
    vec![KeyValue::new("lockkeeper.rollout", rollout.id.to_string())]
}

/// Who did a step, and when; none for what was not begun.
fn when(rollout: &Rollout, step: &Step) -> Option<(MemberName, Interval, bool)> {
    // A step that was tried more than once begins with its first attempt.
    let handed = |e: &&lockkeeper_core::rollout::state::Event| e.step == Some(step.id);
    let first = rollout.events.iter().find(handed).map(|e| e.time);
    match &rollout.record(step.id)?.phase {
        StepPhase::Done { member, began, ended, .. } => {
            Some((owner(step, member), Interval(first.unwrap_or(*began).min(*began), *ended), false))
        }
        StepPhase::Failed { member, at, .. } => {
            Some((owner(step, member), Interval(first.unwrap_or(*at), *at), true))
        }
        StepPhase::Pending | StepPhase::Assigned { .. } | StepPhase::NotNeeded => None,
    }
}

/// A member's own steps belong to it, whoever worked the balancer for it; the rest belong to who did them.
fn owner(step: &Step, by: &MemberName) -> MemberName {
    match &step.target {
        Target::Member(member) | Target::Balancer(_, member) => member.clone(),
        Target::Database(_) => by.clone(),
    }
}

fn span(
    name: String,
    own: SpanRef,
    parent: Option<SpanRef>,
    interval: Interval,
    attributes: Vec<KeyValue>,
    status: Status,
) -> SpanData {
    let at = |time: LogTime| UNIX_EPOCH + Duration::from_millis(time.0);
    SpanData {
        span_context: SpanContext::new(
            TraceId::from_bytes(own.trace),
            SpanId::from_bytes(own.span),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: parent.map_or(SpanId::INVALID, |p| SpanId::from_bytes(p.span)),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: name.into(),
        start_time: at(interval.0),
        end_time: at(interval.1),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: InstrumentationScope::builder("lockkeeper").build(),
    }
}
