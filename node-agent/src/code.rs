//! Every code the agent itself can give an outcome or a log line, each with a page in `deploy/errors/`.
//!
//! Codes of failed actions are the adapters' (LK5xxx); faults of `agent.toml` are those of any file (LK1xxx). Codes
//! of the journal stand at [`crate::journal::JournalError`], those of the identity at
//! [`crate::identity::IdentityError`]. A number is never reused.

use crate::host::Failure;

/// What the agent found wrong with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgentCode {
    /// The effect may have happened before a crash, and it may not be repeated.
    EffectUnknown,
    /// The hard deadline passed.
    DeadlinePassed,
    /// The unit could not be proven gone after the hard deadline.
    UnitNotGone,
    /// The world is not as the plan says.
    WorldDiffers,
    /// It cannot be told whether the step may start.
    StateUnknown,
    /// The right to this attempt passed to another one after it had started.
    Overtaken,
    /// A higher token was seen for the target, or this token was used.
    TokenRefused,
    /// The agent's local policy does not allow the action.
    ActionNotAllowed,
    /// The captured value is longer than the replicated state takes.
    CapturedTooLong,
    /// More or longer outputs than the replicated state takes.
    OutputsTooLong,
}

impl AgentCode {
    /// Every code.
    pub const ALL: [AgentCode; 10] = [
        AgentCode::EffectUnknown,
        AgentCode::DeadlinePassed,
        AgentCode::UnitNotGone,
        AgentCode::WorldDiffers,
        AgentCode::StateUnknown,
        AgentCode::Overtaken,
        AgentCode::TokenRefused,
        AgentCode::ActionNotAllowed,
        AgentCode::CapturedTooLong,
        AgentCode::OutputsTooLong,
    ];

    /// The code as people see it, and the name of its page.
    pub const fn as_str(self) -> &'static str {
        match self {
            AgentCode::EffectUnknown => "LK6101",
            AgentCode::DeadlinePassed => "LK6102",
            AgentCode::UnitNotGone => "LK6103",
            AgentCode::WorldDiffers => "LK6104",
            AgentCode::StateUnknown => "LK6105",
            AgentCode::Overtaken => "LK6106",
            AgentCode::TokenRefused => "LK6107",
            AgentCode::ActionNotAllowed => "LK6108",
            AgentCode::CapturedTooLong => "LK6109",
            AgentCode::OutputsTooLong => "LK6110",
        }
    }

    /// The code's word, for logs and the titles of the pages.
    pub const fn word(self) -> &'static str {
        match self {
            AgentCode::EffectUnknown => "effect-unknown",
            AgentCode::DeadlinePassed => "deadline-passed",
            AgentCode::UnitNotGone => "unit-not-gone",
            AgentCode::WorldDiffers => "world-differs",
            AgentCode::StateUnknown => "state-unknown",
            AgentCode::Overtaken => "overtaken",
            AgentCode::TokenRefused => "token-refused",
            AgentCode::ActionNotAllowed => "action-not-allowed",
            AgentCode::CapturedTooLong => "captured-too-long",
            AgentCode::OutputsTooLong => "outputs-too-long",
        }
    }

    /// A failure with this code.
    pub fn failure(self, text: impl std::fmt::Display) -> Failure {
        Failure { code: self.as_str().to_owned(), text: format!("{}: {text}", self.word()) }
    }
}
