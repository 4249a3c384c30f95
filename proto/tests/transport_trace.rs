//! One trace over two processes' worth of spans, over a real channel.

mod transport_support;

use lockkeeper_proto::transport::*;
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use tonic::service::Interceptor as _;
use tonic::{Request, metadata::MetadataValue};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

fn with_tracer(test: impl FnOnce()) {
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), test);
}

fn trace_of(span: &Span) -> String {
    span.context().span().span_context().trace_id().to_string()
}

#[test]
fn the_caller_s_span_is_the_parent_of_the_server_s() {
    with_tracer(|| {
        let caller = info_span!("caller");
        let request = caller.in_scope(|| InjectTrace.call(Request::new(())).unwrap());
        let text = request.metadata().get("traceparent").unwrap().to_str().unwrap().to_owned();
        assert_eq!(TraceParent::of(&caller).unwrap().as_str(), text);
        let served = info_span!(parent: None, "server");
        adopt_trace(&request, &served);
        assert_eq!(trace_of(&served), trace_of(&caller));
        // Without the header it is a trace of its own.
        let alone = info_span!(parent: None, "alone");
        adopt_trace(&Request::new(()), &alone);
        assert_ne!(trace_of(&alone), trace_of(&caller));
    });
}

#[test]
fn the_context_survives_as_text_in_the_log() {
    with_tracer(|| {
        let rollout = info_span!("rollout");
        let stored = rollout.in_scope(TraceParent::current).unwrap().to_string();
        let attempt = info_span!(parent: None, "attempt");
        TraceParent::parse(&stored).unwrap().adopt(&attempt);
        assert_eq!(trace_of(&attempt), trace_of(&rollout));
    });
}

#[test]
fn without_a_tracer_nothing_is_sent_and_nothing_breaks() {
    assert_eq!(TraceParent::current(), None);
    let request = InjectTrace.call(Request::new(())).unwrap();
    assert!(request.metadata().is_empty());
    let mut told = Request::new(());
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    told.metadata_mut().insert("traceparent", MetadataValue::from_static(parent));
    adopt_trace(&told, &info_span!("server"));
}

#[test]
fn nonsense_is_not_a_trace_context() {
    for text in [
        "",
        "00",
        "not a context",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        assert_eq!(TraceParent::parse(text), None, "{text}");
    }
}
