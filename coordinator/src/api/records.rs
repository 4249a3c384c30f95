//! The flight recorder at the API: the text of a record, cut into pieces that fit into messages.

use super::{Api, operator::group_status};
use crate::recording::{self, Beside};
use lockkeeper_core::record;
use lockkeeper_proto::port::{GroupError, View};
use tonic::Status;

/// Bytes of one piece, at most: small beside the largest message.
const PIECE_BYTES: usize = 1 << 20;

impl Api {
    /// The record of what this node's log holds, up to `view`. States' digests are left to whoever asked.
    pub(super) fn record(&self, view: &View) -> Result<String, Status> {
        let fail = |error: &dyn std::fmt::Display| group_status(&GroupError::Refused(error.to_string()));
        let recorded = self.raft.recorded(view.state.applied).map_err(|e| fail(&e))?;
        let beside = Beside {
            source: self.me.to_string(),
            trail: &self.trail.read(),
            decisions: self.flight.decisions(),
            state: &view.state,
        };
        let script = recording::script(&recorded, beside).map_err(|e| fail(&e))?;
        record::render(&script).map_err(|e| fail(&e))
    }
}

/// A text in pieces, cut between characters.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let mut end = rest.len().min(PIECE_BYTES);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, more) = rest.split_at(end);
        pieces.push(piece.to_owned());
        rest = more;
    }
    pieces
}
