//! The replicated rollout machine: state, commands, and what follows from them.
//!
//! `apply` is the only way to change the state and is the same on every member; `next` runs on the leader alone and
//! only proposes. Neither reads a clock. This module knows nothing about Raft, agents' journals or adapters.

pub mod apply;
pub mod assignment;
pub mod command;
pub mod elect;
pub mod limits;
mod floor;
pub mod loss;
pub mod marks;
pub mod next;
pub mod outlook;
pub mod pairs;
pub mod rejection;
mod remedy;
pub mod state;
pub mod trust;
mod ways;
mod survey;
pub mod why;
pub mod word;

pub use apply::{apply, apply_audited};
pub use assignment::{Assignment, assignments_for};
pub use command::{Command, Envelope, OutcomeResult, Reply};
pub use marks::{Mark, Marks};
pub use next::{Facts, MemberSight, next};
pub use rejection::Rejection;
pub use state::{Rollout, State, Status, StepPhase, StepRecord};
pub use trust::TrustCommand;
pub use why::{Owner, Why, why};
pub use word::Word;
