//! `Debug` of the messages that carry secrets, so that no log and no panic can show one.

use crate::pb::{IssuingAuthority, JoinRequest};
use std::fmt;

impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinRequest")
            .field("cluster_id", &self.cluster_id)
            .field("member", &self.member)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for IssuingAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuingAuthority").finish_non_exhaustive()
    }
}
