//! Who may call what: from the proven identity of a connection to an actor with a role.

use lockkeeper_core::identity::{Actor, Right, Role};
use lockkeeper_proto::transport::{PeerIdentity, coded_status, peer};
use tonic::{Code, Request, Status};

/// Who is who on the local socket, by the kernel's word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalRights {
    /// Users that are administrators: root, and the user the agent runs as (who can read its keys anyway).
    pub admins: Vec<u32>,
    /// The group whose members are operators.
    pub operators: Option<u32>,
}

/// The actor behind a request, if its role carries `right`.
pub fn actor<T>(request: &Request<T>, right: Right, local: &LocalRights, via: &str) -> Result<Actor, Status> {
    let (name, role) = match peer(request)? {
        PeerIdentity::Operator { name, role, .. } => (name.to_string(), *role),
        PeerIdentity::Unix { uid, .. } if local.admins.contains(uid) => (format!("uid:{uid}"), Role::Admin),
        PeerIdentity::Unix { uid, gid, .. } if local.operators == Some(*gid) => (format!("uid:{uid}"), Role::Operator),
        PeerIdentity::Unix { uid, .. } => return Err(refused(&format!("uid:{uid}"), "no role", right)),
        // Agents relay what they cannot answer themselves, such as a plan, which only the leader can make.
        PeerIdentity::Node { name, .. } => (format!("node:{name}"), Role::Viewer),
        PeerIdentity::Joining => return Err(refused("a joining machine", "no role", right)),
    };
    if role.may(right) {
        Ok(Actor { name, role, via: via.to_owned() })
    } else {
        Err(refused(&name, role.as_str(), right))
    }
}

fn refused(who: &str, role: &str, right: Right) -> Status {
    let needs = match right {
        Right::Read => "viewer",
        Right::Operate => "operator",
        Right::Approve => "approver",
        Right::Administer => "admin",
    };
    let text = format!("LK3027: {who} has the role {role}; this call needs {needs} or admin");
    coded_status(Code::PermissionDenied, "LK3027", text)
}
