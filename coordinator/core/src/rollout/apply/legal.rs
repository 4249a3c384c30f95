//! Which command is possible in which state of the rollout: one exhaustive table.

use crate::rollout::{
    command::CommandKind,
    rejection::Rejection,
    state::{Rollout, Status},
};

/// A rollout's status without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is described at the variant of Status with the same name")]
pub enum StatusKind {
    Running,
    Paused,
    Halted,
    Aborting,
    Restoring,
}

impl StatusKind {
    /// Every kind an active rollout can have.
    pub const ALL: [StatusKind; 5] = [
        StatusKind::Running,
        StatusKind::Paused,
        StatusKind::Halted,
        StatusKind::Aborting,
        StatusKind::Restoring,
    ];

    /// The kind of a status. Final ones are never active: `finish` moves such a rollout to the history.
    pub const fn of(status: &Status) -> Self {
        match status {
            Status::Running | Status::Completed { .. } | Status::Aborted { .. } | Status::Restored { .. } => {
                StatusKind::Running
            }
            Status::Paused { .. } => StatusKind::Paused,
            Status::Halted { .. } => StatusKind::Halted,
            Status::Aborting => StatusKind::Aborting,
            Status::Restoring => StatusKind::Restoring,
        }
    }
}

/// What the table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Legality {
    /// Looked at further.
    Possible,
    /// A rollout must be active.
    NeedsRollout,
    /// No rollout may be active.
    NeedsNone,
    /// Not in this state.
    WrongState,
}

/// The table. Without a rollout `status` is none.
pub const fn legality(status: Option<StatusKind>, command: CommandKind) -> Legality {
    use CommandKind as C;
    use Legality::{NeedsNone, NeedsRollout, Possible, WrongState};
    use StatusKind as S;
    match (command, status) {
        (C::Init | C::Enrol | C::TokenCreate | C::Announce | C::Approve, _) => Possible,
        (C::Recover | C::GuardOpened, _) => Possible,
        (C::SetCluster, None) => Possible,
        (C::SetCluster, Some(_)) => NeedsNone,
        (
            C::OperatorIssue
            | C::OperatorRevoke
            | C::MemberRemove
            | C::MemberGone
            | C::AddVoter
            | C::Certificate
            | C::CaRotate
            | C::CaAdvance
            | C::CaFinish,
            _,
        ) => Possible,
        // Plans rest on what agents can do, so the floor stands still while one is carried out.
        (C::RaiseFloor, None) => Possible,
        (C::RaiseFloor, Some(_)) => NeedsNone,
        // A second `apply` is looked at further: the same plan attaches, another is told which one runs.
        (C::Apply, _) => Possible,
        (_, None) => NeedsRollout,
        // Settling and giving account is possible in every state, and so is shutting further.
        (C::Outcome | C::ReportBlocked | C::AcceptOwed | C::OwedIntent | C::SetExecutor | C::Assign, Some(_)) => {
            Possible
        }
        (C::Elect, Some(S::Running)) => Possible,
        (C::Elect, Some(S::Paused | S::Halted | S::Aborting | S::Restoring)) => WrongState,
        (C::Pause, Some(S::Running)) => Possible,
        (C::Pause, Some(S::Paused | S::Halted | S::Aborting | S::Restoring)) => WrongState,
        (C::Resume, Some(S::Paused | S::Halted)) => Possible,
        (C::Resume, Some(S::Running | S::Aborting | S::Restoring)) => WrongState,
        (C::Abort, Some(S::Running | S::Paused | S::Halted)) => Possible,
        (C::Abort, Some(S::Aborting | S::Restoring)) => WrongState,
        (C::Retry, Some(S::Running | S::Paused | S::Halted)) => Possible,
        (C::Retry, Some(S::Aborting | S::Restoring)) => WrongState,
        // Halting twice keeps the first cause, but a second lost holder still loses its grant.
        (C::Halt, Some(_)) => Possible,
        (C::Finish, Some(S::Running | S::Aborting | S::Restoring)) => Possible,
        (C::Finish, Some(S::Paused | S::Halted)) => WrongState,
        // Before the next grant is given, a person may still name another successor.
        (C::Takeover, Some(S::Running | S::Paused | S::Halted)) => Possible,
        (C::Takeover, Some(S::Aborting | S::Restoring)) => WrongState,
        (C::Regrant, Some(S::Halted)) => Possible,
        (C::Regrant, Some(S::Running | S::Paused | S::Aborting | S::Restoring)) => WrongState,
        // Saying it again while it restores is how a counted loss is accepted.
        (C::Restore, Some(S::Paused | S::Halted | S::Restoring)) => Possible,
        (C::Restore, Some(S::Running | S::Aborting)) => WrongState,
    }
}

pub(super) fn check(
    status: Option<StatusKind>,
    command: CommandKind,
    rollout: Option<&Rollout>,
) -> Result<(), Rejection> {
    match (legality(status, command), rollout) {
        (Legality::Possible, _) => Ok(()),
        (Legality::NeedsNone, Some(rollout)) => Err(Rejection::DuringRollout(rollout.id)),
        (Legality::WrongState, Some(rollout)) => {
            Err(Rejection::WrongState { status: rollout.status.word().to_owned() })
        }
        (Legality::NeedsRollout | Legality::NeedsNone | Legality::WrongState, _) => Err(Rejection::NoRollout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// The whole table as text, so that a changed edge shows in review.
    #[test]
    fn the_table_prints_itself() {
        let mut text = format!("{:<14}{:<10}", "command", "none");
        for status in StatusKind::ALL {
            write!(text, "{:<10}", format!("{status:?}")).unwrap();
        }
        for command in CommandKind::ALL {
            write!(text, "\n{:<14}", format!("{command:?}")).unwrap();
            for status in std::iter::once(None).chain(StatusKind::ALL.map(Some)) {
                let word = match legality(status, command) {
                    Legality::Possible => "yes",
                    Legality::NeedsRollout => "-",
                    Legality::NeedsNone => "busy",
                    Legality::WrongState => "no",
                };
                write!(text, "{word:<10}").unwrap();
            }
        }
        let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!("legality", text);
    }
}
