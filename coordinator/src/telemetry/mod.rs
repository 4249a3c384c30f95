//! Logs and traces: one subscriber for the process, with spans exported by OTLP when an endpoint is named.
//!
//! Knows nothing about rollouts but their span tree, which [`tree`] makes of a finished one.

pub mod tree;

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use std::time::Duration;
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// One export; a collector that takes longer loses spans, never holds up a rollout.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where logs and traces go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// OTLP gRPC endpoint such as `http://127.0.0.1:4317`; none: no traces.
    pub otlp: Option<String>,
    /// Filter of logs, such as `info` or `lockkeeper=debug`.
    pub filter: String,
    /// Logs as JSON lines instead of text.
    pub json: bool,
    /// This node's name, on every span.
    pub instance: String,
}

/// Why telemetry does not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not read.
    #[error("LK3401: log filter {filter:?}: {detail}")]
    Filter {
        /// What was found.
        filter: String,
        /// The parser's words.
        detail: String,
    },
    /// The endpoint cannot be used.
    #[error("LK3402: OTLP endpoint: {0}")]
    Endpoint(String),
    /// Something else set the subscriber.
    #[error("LK3403: logs were set up already")]
    Twice,
}

/// Keeps the exporter; ends it when told.
#[derive(Debug, Default)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    /// For spans that are made of the replicated state, see [`tree`].
    exporter: Option<SpanExporter>,
}

impl Telemetry {
    /// Sets up the process's logs (to stderr) and traces. Must run inside the runtime, because the exporter's
    /// connection does.
    pub fn start(config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        // openraft tells each lost heartbeat at warn, which is ours to tell once; who wants it names it.
        let quiet = if config.filter.contains("openraft") { "" } else { "openraft=error," };
        let filter = EnvFilter::try_new(format!("{quiet}{}", config.filter))
            .map_err(|e| TelemetryError::Filter { filter: config.filter.clone(), detail: e.to_string() })?;
        let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let logs = if config.json { logs.json().flatten_event(true).boxed() } else { logs.boxed() };
        let telemetry = match &config.otlp {
            None => Self::default(),
            Some(endpoint) => Self::exporting(endpoint, &config.instance)?,
        };
        // What is exported does not depend on what is logged: a quiet log still has whole traces of our own spans.
        let traces = telemetry.provider.as_ref().map(|provider| {
            let tracer = provider.tracer("lockkeeper");
            let ours = tracing_subscriber::filter::Targets::new()
                .with_target("lockkeeper", tracing::Level::INFO)
                .with_target("lockkeeper_agent", tracing::Level::INFO)
                .with_target("lockkeeper_coordinator", tracing::Level::INFO);
            tracing_opentelemetry::layer().with_tracer(tracer).with_filter(ours)
        });
        tracing_subscriber::registry()
            .with(logs.with_filter(filter))
            .with(traces)
            .try_init()
            .map_err(|_| TelemetryError::Twice)?;
        Ok(telemetry)
    }

    fn exporting(endpoint: &str, instance: &str) -> Result<Self, TelemetryError> {
        let exporter = || {
            SpanExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .with_timeout(EXPORT_TIMEOUT)
                .build()
                .map_err(|e| TelemetryError::Endpoint(e.to_string()))
        };
        let resource = Resource::builder()
            .with_service_name("lockkeeper")
            .with_attribute(KeyValue::new("service.instance.id", instance.to_owned()))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter()?)
            .with_resource(resource.clone())
            .build();
        let mut whole = exporter()?;
        opentelemetry_sdk::trace::SpanExporter::set_resource(&mut whole, &resource);
        Ok(Self { provider: Some(provider), exporter: Some(whole) })
    }

    /// Takes the exporter for whole trees; none when nothing is exported.
    pub fn take_exporter(&mut self) -> Option<SpanExporter> {
        self.exporter.take()
    }

    /// Sends what is still held and ends.
    pub fn shutdown(self) {
        if let Some(provider) = self.provider
            && let Err(error) = provider.shutdown_with_timeout(EXPORT_TIMEOUT)
        {
            tracing::debug!(%error, "spans were lost at the end");
        }
    }
}
