//! Exit codes: the few numbers scripts may depend on. Knows nothing about what was done.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// Something broke or a file has faults.
    Error,
    /// Changes are planned, or there are warnings.
    Changes,
    /// Not possible yet: something is needed first.
    Blocked,
    /// The group said no, or what was asked rests on old facts.
    Rejected,
    /// The rollout halted and needs a person.
    Halted,
    /// The command line itself is wrong.
    Usage,
    /// Ctrl-C: only the watching ended.
    Interrupted,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Error => 1,
            Exit::Changes => 2,
            Exit::Blocked => 3,
            Exit::Rejected => 4,
            Exit::Halted => 5,
            Exit::Usage => 64,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
