//! What a store can tell the flight recorder: the newest snapshot and every committed command after it.

use super::super::types::OrPayload;
use super::{Offline, Store, Upto};
use bytes::Bytes;
use lockkeeper_core::ids::LogIndex;
use lockkeeper_proto::wire::raft::Payload;
use std::io;

/// A state and the commands that follow it.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// The newest snapshot with the last entry it stands for; none if the log goes back to its beginning.
    pub snapshot: Option<(LogIndex, Bytes)>,
    /// Every later command in order, in the bytes of the log.
    pub commands: Vec<(LogIndex, Bytes)>,
}

impl Recorded {
    /// The index the commands come after.
    pub fn from(&self) -> LogIndex {
        self.snapshot.as_ref().map_or(LogIndex(0), |(index, _)| *index)
    }
}

impl Store {
    /// What the open store holds up to `upto`, which must be committed.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn recorded(&self, upto: LogIndex) -> io::Result<Recorded> {
        let snapshot = self.get_snapshot()?;
        let snapshot = snapshot.and_then(|(meta, state)| Some((meta.last_log?.index, state)));
        let mut recorded = Recorded { snapshot, commands: Vec::new() };
        let mut next = recorded.from().0 + 1;
        loop {
            let entries = self.read_log(next, upto.0 + 1, super::super::limits::APPEND_BYTES_MAX)?;
            let Some(last) = entries.last() else { return Ok(recorded) };
            next = last.log_id.index + 1;
            for entry in entries {
                if let OrPayload::Normal(command) = entry.payload {
                    recorded.commands.push((LogIndex(entry.log_id.index), Bytes::from(command.0)));
                }
            }
        }
    }
}

impl Offline {
    /// What a store that nobody runs holds.
    pub fn recorded(&self, upto: Upto) -> Recorded {
        let snapshot =
            self.snapshot.as_ref().and_then(|(meta, state)| Some((meta.last_log?.index, state.clone())));
        let mut recorded = Recorded { snapshot, commands: Vec::new() };
        let (after, end) = (recorded.from(), self.end(upto));
        for entry in self.entries.iter().filter(|e| e.id.index > after && Some(e.id.index) <= end) {
            if let Payload::Command(command) = &entry.payload {
                recorded.commands.push((entry.id.index, Bytes::from(command.to_vec())));
            }
        }
        recorded
    }
}
