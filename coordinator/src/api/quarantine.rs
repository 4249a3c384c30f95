//! What an agent in quarantine answers on its local socket: the reason, to every call of the `Operator` service. It has
//! no group to ask and no store to read, so a view would be made up.

use futures::future::BoxFuture;
use lockkeeper_proto::{
    pb::operator_server::OperatorServer,
    transport::{Incoming, ServeError, coded_status, peer_server},
};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};
use tonic::{Code, body::Body, codegen::http, server::NamedService};

/// Answers every call of the `Operator` service with one coded refusal.
#[derive(Debug, Clone)]
pub struct Refused {
    code: &'static str,
    text: Arc<str>,
}

impl NamedService for Refused {
    const NAME: &'static str = <OperatorServer<super::operator::OperatorApi> as NamedService>::NAME;
}

impl tower::Service<http::Request<Body>> for Refused {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        let refused = coded_status(Code::FailedPrecondition, self.code, self.text.to_string());
        ready(Ok(refused.into_http()))
    }
}

/// Serves the refusal on the local socket, until `stop`.
pub async fn serve_refusal(
    incoming: Incoming,
    code: &'static str,
    text: String,
    stop: BoxFuture<'static, ()>,
) -> Result<(), ServeError> {
    let refused = Refused { code, text: text.into() };
    peer_server().add_service(refused).serve_with_incoming_shutdown(incoming, stop).await
}
