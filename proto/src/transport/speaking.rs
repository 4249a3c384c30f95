//! Which running of an agent makes a call: request metadata, beside the trace.

use super::trace::InjectTrace;
use crate::port::Instance;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

/// Request metadata that names the caller's running.
const KEY: &str = "lockkeeper-instance";

/// Client side: adds the running, if one was given, and the trace.
#[derive(Debug, Clone, Default)]
pub struct Speaking(Option<MetadataValue<Ascii>>);

impl Speaking {
    /// Tells this running.
    pub fn of(instance: &Instance) -> Self {
        // An instance is plain ASCII by its making; the silent one is not told.
        Self(instance.as_str().parse().ok().filter(|_| !instance.is_silent()))
    }
}

impl Interceptor for Speaking {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(instance) = &self.0 {
            request.metadata_mut().insert(KEY, instance.clone());
        }
        InjectTrace.call(request)
    }
}

/// Server side: the caller's running.
pub fn speaker<T>(request: &Request<T>) -> Instance {
    let told = request.metadata().get(KEY).and_then(|value| value.to_str().ok());
    told.map(Instance::told).unwrap_or_default()
}
