//! Renewal over the group: this node's own applied state and its issuing key.

use super::Api;
use crate::pki::renew::{RenewAsk, RenewError, Renewal, issue};
use lockkeeper_core::time::LogTime;
use lockkeeper_proto::port::Group as _;

/// The group's side of renewal on this node.
pub struct LocalRenewal(pub Api);

impl Renewal for LocalRenewal {
    fn renew(&self, ask: &RenewAsk) -> Result<Vec<Vec<u8>>, RenewError> {
        let view = self.0.group.follow().borrow().clone();
        issue(&view.state, &self.0.keys, ask, LogTime(self.0.clock.wall_ms()))
    }
}
