//! The renewal service on the wire: turns messages into [`RenewAsk`] and back, and decides nothing.

use lockkeeper_proto::pb::renew_server::Renew;
pub use lockkeeper_proto::pb::renew_server::RenewServer;
use lockkeeper_proto::pb::{RenewRequest, RenewResponse};
use lockkeeper_proto::transport::{limits, node};
use std::sync::Arc;
use tonic::{Request, Response, Status};

use super::{RenewAsk, RenewError, Renewal};
use crate::pki::request::CertificateRequest;

/// The service over a group.
pub struct RenewService(Arc<dyn Renewal>);

/// The service, ready for [`lockkeeper_proto::transport::renewing_server`]. Add it there and to no other server.
pub fn renew_service(renewal: Arc<dyn Renewal>) -> RenewServer<RenewService> {
    RenewServer::new(RenewService(renewal))
        .max_decoding_message_size(limits::ENROL_BYTES_MAX)
        .max_encoding_message_size(limits::ENROL_BYTES_MAX)
}

#[tonic::async_trait]
impl Renew for RenewService {
    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        let node = node(&request)?;
        let (member, incarnation) = (node.name.clone(), node.incarnation);
        let request = CertificateRequest::from_der(&request.into_inner().csr)
            .map_err(|error| RenewError::BadRequest(error.to_string()).to_status())?;
        let ask = RenewAsk { member, incarnation, request };
        match self.0.renew(&ask) {
            Ok(chain) => {
                tracing::info!(member = %ask.member, incarnation = incarnation.0, "certificate renewed");
                Ok(Response::new(RenewResponse { chain }))
            }
            Err(error) => {
                tracing::warn!(member = %ask.member, incarnation = incarnation.0, %error, "renewal refused");
                Err(error.to_status())
            }
        }
    }
}
