//! The callers: what each shows of itself, and what it should get to hear.

use super::{answer::Answer, calls::Needs};
use anyhow::Result;
use lockkeeper_coordinator::pki::{Issued, IssuingCa, PrivateKey, RootCa, Validity};
use lockkeeper_core::{
    identity::{Right, Role},
    ids::{ActorName, ClusterId, Incarnation, MemberName},
    time::LogTime,
};
use std::fmt;

const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;

/// A kind of caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// Offers the usual protocol and shows nothing.
    Nobody,
    /// An admin by the certificate of another authority, which gives itself our cluster's id.
    Foreign,
    /// An admin whose certificate, issued by us, ended an hour ago.
    Expired,
    /// A person with this role.
    Person(Role),
    /// Another node.
    Node,
    /// Offers the protocol of enrolment and shows nothing.
    Joining,
    /// Another node, with a certificate that ended a minute ago, that offers the protocol of renewal.
    Renewing,
    /// Root, on the local socket.
    Socket,
}

/// Every one.
pub const ALL: [Caller; 11] = [
    Caller::Nobody,
    Caller::Foreign,
    Caller::Expired,
    Caller::Person(Role::Viewer),
    Caller::Person(Role::Operator),
    Caller::Person(Role::Approver),
    Caller::Person(Role::Admin),
    Caller::Node,
    Caller::Joining,
    Caller::Renewing,
    Caller::Socket,
];

impl Caller {
    /// What it should get for a call. Written from the contract, not from the code.
    pub fn expected(self, needs: Needs) -> Answer {
        match (self, needs) {
            (Caller::Nobody, _) => Answer::Alert("certificate required"),
            (Caller::Foreign, _) => Answer::Alert("unknown authority"),
            (Caller::Expired, _) => Answer::Alert("expired"),
            (Caller::Joining, Needs::Joining) => Answer::Reached,
            (Caller::Joining, _) => Answer::NotServed,
            (Caller::Renewing, Needs::Renewing) => Answer::Reached,
            (Caller::Renewing, _) | (_, Needs::Renewing) => Answer::NotServed,
            (_, Needs::Joining) | (Caller::Socket, Needs::Peer | Needs::Node) => Answer::NotServed,
            (Caller::Socket, Needs::Right(_)) => Answer::Reached,
            (Caller::Node, Needs::Peer | Needs::Node | Needs::Right(Right::Read)) => Answer::Reached,
            (Caller::Node, Needs::Right(_)) => Answer::Refused("LK3027".into()),
            (Caller::Person(_), Needs::Node) => Answer::Refused("LK4019".into()),
            (Caller::Person(_), Needs::Peer) => Answer::Refused("LK3308".into()),
            (Caller::Person(role), Needs::Right(right)) if role_may(role, right) => Answer::Reached,
            (Caller::Person(_), Needs::Right(_)) => Answer::Refused("LK3027".into()),
        }
    }
}

/// The contract's words on roles, apart from the code under test.
fn role_may(role: Role, right: Right) -> bool {
    let may: &[Right] = match role {
        Role::Viewer => &[Right::Read],
        Role::Operator => &[Right::Read, Right::Operate],
        Role::Approver => &[Right::Read, Right::Approve],
        Role::Admin => &[Right::Read, Right::Operate, Right::Approve, Right::Administer],
    };
    may.contains(&right)
}

/// A certificate chain with its key, both DER.
#[derive(Debug)]
pub struct Shown {
    /// The certificate and its issuer.
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8.
    pub key: Vec<u8>,
}

/// Makes what callers show.
pub struct Forge {
    /// The group's.
    pub cluster: ClusterId,
    /// The group's issuing key, taken from its voter.
    pub ours: IssuingCa,
    /// The moment, milliseconds since 1970.
    pub now: LogTime,
}

/// The node that [`Caller::Node`] is.
pub const NODE: &str = "n2";

impl Forge {
    /// What a caller shows; none if it shows nothing.
    pub fn shown(&self, caller: Caller) -> Result<Option<Shown>> {
        let leaf = Validity::leaf(self.now);
        let past = Validity {
            not_before: LogTime(self.now.0 - 48 * HOUR_MS),
            // After its authority began, as with every certificate that was ever issued.
            not_after: LogTime(self.now.0 - MINUTE_MS),
        };
        match caller {
            Caller::Nobody | Caller::Joining | Caller::Socket => Ok(None),
            Caller::Foreign => {
                let theirs = RootCa::create(&self.cluster, self.now)?.issuing(self.now)?;
                person(&theirs, Role::Admin, leaf).map(Some)
            }
            Caller::Expired => person(&self.ours, Role::Admin, past).map(Some),
            Caller::Person(role) => person(&self.ours, role, leaf).map(Some),
            Caller::Node | Caller::Renewing => {
                let leaf = if caller == Caller::Renewing { past } else { leaf };
                let key = PrivateKey::generate()?;
                let name = MemberName::new(NODE)?;
                let issued = self.ours.issue_node(&key.request()?, &name, Incarnation(1), leaf)?;
                Ok(Some(shown(issued, &key)))
            }
        }
    }
}

fn person(authority: &IssuingCa, role: Role, validity: Validity) -> Result<Shown> {
    let key = PrivateKey::generate()?;
    let name = ActorName::new(role.as_str())?;
    Ok(shown(authority.issue_operator(&key.request()?, &name, role, validity)?, &key))
}

fn shown(issued: Issued, key: &PrivateKey) -> Shown {
    Shown { chain: issued.chain, key: key.to_der() }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Caller::Nobody => "no certificate",
            Caller::Foreign => "foreign CA",
            Caller::Expired => "expired",
            Caller::Person(role) => role.as_str(),
            Caller::Node => "node",
            Caller::Joining => "joining",
            Caller::Renewing => "renewing",
            Caller::Socket => "socket (root)",
        })
    }
}
