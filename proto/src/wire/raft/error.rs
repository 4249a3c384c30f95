//! Why a message was refused before anybody looked at its meaning.

use lockkeeper_core::ids::NameError;

/// A message that cannot be read. Names the message and the field; nothing of a refused message is used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}.{field}: {problem}")]
pub struct WireError {
    /// Name of the message in the `.proto` file.
    pub message: &'static str,
    /// Name of the field in the `.proto` file.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not there, or a case this build does not know.
    #[error("missing, or of a kind this build does not know")]
    Missing,
    /// Not a name.
    #[error("not a name: {0}")]
    Name(NameError),
    /// Has the wrong number of bytes.
    #[error("expected {expected} bytes, found {found}")]
    Length {
        /// Bytes it must have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
    /// The same node twice.
    #[error("names node {0} twice")]
    Twice(u64),
}

impl WireError {
    /// A complaint about one field.
    pub(super) fn new(message: &'static str, field: &'static str, problem: Problem) -> Self {
        Self { message, field, problem }
    }
}

/// The value of a field that must be there.
pub(super) fn required<T>(
    value: Option<T>,
    message: &'static str,
    field: &'static str,
) -> Result<T, WireError> {
    value.ok_or(WireError { message, field, problem: Problem::Missing })
}
