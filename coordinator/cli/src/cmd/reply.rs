//! What a change was answered: applied, rejected, or the file was not accepted.

use super::Scene;
use crate::{exit::Exit, out, render::failure};
use lockkeeper_core::{
    ids::{LogIndex, RequestId, RolloutId},
    rollout::Reply,
};
use lockkeeper_proto::client::operator::Answer;

/// A committed change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Where in the log.
    pub index: LogIndex,
    /// The rollout it concerned.
    pub rollout: Option<RolloutId>,
}

/// A fresh id, so that a repeated request is answered like the first.
pub fn request_id() -> String {
    RequestId(uuid::Uuid::now_v7().to_string()).0
}

/// The change, or the exit code after it was said why there is none; `refused` when the group did not take the file.
pub fn applied(scene: &Scene, answer: Answer, refused: Exit) -> Result<Applied, Exit> {
    match answer {
        Answer::Reply(Reply::Applied { index, rollout }) => Ok(Applied { index, rollout }),
        Answer::Reply(Reply::Rejected(rejection)) => {
            out::say(&failure::rejection(&rejection, scene.paint()));
            Err(Exit::Rejected)
        }
        Answer::Faults(text) => {
            out::say(&text);
            Err(refused)
        }
    }
}
