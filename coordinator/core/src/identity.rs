//! Who may do what: roles of people and the rights they carry.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What an operator certificate (or the local socket) allows. Each role may do what the ones before it may,
/// except that `approver` approves but does not operate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and operates: apply, pause, resume, abort, retry.
    Operator,
    /// Reads and approves plans.
    Approver,
    /// Everything, also enrolment and the cluster file.
    Admin,
}

/// What a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// See state.
    Read,
    /// Move a rollout.
    Operate,
    /// Sign a plan.
    Approve,
    /// Change the cluster or its members.
    Administer,
}

impl Role {
    /// All roles, weakest first.
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Operator, Role::Approver, Role::Admin];

    /// Whether this role carries `right`.
    pub const fn may(self, right: Right) -> bool {
        match (self, right) {
            (_, Right::Read) | (Role::Admin, _) => true,
            (Role::Operator, Right::Operate) | (Role::Approver, Right::Approve) => true,
            (Role::Viewer | Role::Approver, Right::Operate) => false,
            (Role::Viewer | Role::Operator, Right::Approve) => false,
            (Role::Viewer | Role::Operator | Role::Approver, Right::Administer) => false,
        }
    }

    /// The word used in certificates, files and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Approver => "approver",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role; allowed: viewer, operator, approver, admin")]
pub struct RoleError(pub String);

impl std::str::FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        Role::ALL.into_iter().find(|r| r.as_str() == text).ok_or_else(|| RoleError(text.to_owned()))
    }
}

/// Who asked, for the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The operator's name, or `uid:0` on the local socket.
    pub name: String,
    /// With which role.
    pub role: Role,
    /// Through which agent the call came in.
    pub via: String,
}
