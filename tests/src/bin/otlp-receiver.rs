//! A small OTLP collector: takes spans over gRPC and writes each as one JSON line. `otlp-receiver ADDRESS FILE`.

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
};
use std::{
    fs::File,
    io::Write as _,
    sync::{Mutex, PoisonError},
};
use tonic::{Request, Response, Status};

struct Collector(Mutex<File>);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn attributes(all: &[KeyValue]) -> serde_json::Value {
    let value = |kv: &KeyValue| match kv.value.as_ref().and_then(|v| v.value.as_ref()) {
        Some(Value::StringValue(text)) => serde_json::json!(text),
        Some(Value::IntValue(number)) => serde_json::json!(number),
        Some(Value::BoolValue(flag)) => serde_json::json!(flag),
        Some(Value::DoubleValue(number)) => serde_json::json!(number),
        other => serde_json::json!(format!("{other:?}")),
    };
    all.iter().map(|kv| (kv.key.clone(), value(kv))).collect::<serde_json::Map<_, _>>().into()
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in request.into_inner().resource_spans {
            let from = resource.resource.as_ref().map(|r| attributes(&r.attributes)).unwrap_or_default();
            for span in resource.scope_spans.into_iter().flat_map(|s| s.spans) {
                let line = serde_json::json!({
                    "trace": hex(&span.trace_id), "span": hex(&span.span_id), "parent": hex(&span.parent_span_id),
                    "name": span.name, "start": span.start_time_unix_nano, "end": span.end_time_unix_nano,
                    "attributes": attributes(&span.attributes), "resource": from,
                });
                writeln!(file, "{line}").map_err(|e| Status::internal(e.to_string()))?;
            }
        }
        file.flush().map_err(|e| Status::internal(e.to_string()))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let (Some(address), Some(file), None) = (words.next(), words.next(), words.next()) else {
        anyhow::bail!("usage: otlp-receiver ADDRESS FILE");
    };
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let collector = Collector(Mutex::new(File::create(file)?));
    tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(collector))
        .serve_with_shutdown(address.parse()?, async move {
            terminate.recv().await;
        })
        .await?;
    Ok(())
}
