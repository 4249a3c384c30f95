//! Trace context over gRPC and through the log, as W3C `traceparent`. Holds no exporter and no global state.

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::fmt;
use tonic::service::Interceptor;
use tonic::{Request, Status};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const KEY: &str = "traceparent";

/// Where in which trace something happened: `00-<trace>-<span>-<flags>`. Text, so that it can be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent(String);

/// Client side: adds the current span's context to each request.
#[derive(Debug, Clone, Copy, Default)]
pub struct InjectTrace;

impl TraceParent {
    /// Of the current span; none outside a span or without a tracer.
    pub fn current() -> Option<Self> {
        Self::of(&Span::current())
    }

    /// Of `span`; none without a tracer.
    pub fn of(span: &Span) -> Option<Self> {
        let context = span.context();
        if !context.span().span_context().is_valid() {
            return None;
        }
        let mut carrier = Carrier::default();
        TraceContextPropagator::new().inject_context(&context, &mut carrier);
        carrier.0.map(Self)
    }

    /// Reads the text form; none if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        // The propagator also takes shorter ids and guesses; what we store and send is exact.
        let widths: Vec<usize> = text.split('-').map(str::len).collect();
        if widths != [2, 32, 16, 2] {
            return None;
        }
        let parsed = Self(text.to_owned());
        parsed.context().span().span_context().is_valid().then_some(parsed)
    }

    /// Makes `span` a child of this. Call it before the span is entered. Without a tracer it does nothing.
    pub fn adopt(&self, span: &Span) {
        if let Err(reason) = span.set_parent(self.context()) {
            tracing::trace!(%reason, "trace context not taken over");
        }
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TraceParent {
    fn context(&self) -> Context {
        // Not the current context: outside a trace the result must be "no trace", not "whatever runs here".
        TraceContextPropagator::new().extract_with_context(&Context::new(), &Carrier(Some(self.0.clone())))
    }
}

/// Server side: makes `span` a child of the caller's span, if the request names one.
pub fn adopt_trace<T>(request: &Request<T>, span: &Span) {
    let told = request.metadata().get(KEY).and_then(|value| value.to_str().ok());
    if let Some(parent) = told.and_then(TraceParent::parse) {
        parent.adopt(span);
    }
}

impl Interceptor for InjectTrace {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        // A `traceparent` is plain ASCII by its making; a call is not worth failing for its trace.
        if let Some(value) = TraceParent::current().and_then(|parent| parent.0.parse().ok()) {
            request.metadata_mut().insert(KEY, value);
        }
        Ok(request)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The one header we carry; `tracestate` is for vendors, and nobody here writes it.
#[derive(Default)]
struct Carrier(Option<String>);

impl Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        if key == KEY {
            self.0 = Some(value);
        }
    }
}

impl Extractor for Carrier {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.as_deref().filter(|_| key == KEY)
    }

    fn keys(&self) -> Vec<&str> {
        vec![KEY]
    }
}
