//! Every call there is, from the descriptors of the protocol, and who may make it, from the comments in them.

use anyhow::{Context, Result, bail};
use lockkeeper_core::identity::Right;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

/// The numbers of `service` in a file's descriptor and of `method` in a service's; a comment's place is told by them.
const SERVICE_FIELD: i32 = 6;
/// See [`SERVICE_FIELD`].
const METHOD_FIELD: i32 = 2;

/// One call of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `Operator`.
    pub service: String,
    /// `Status`.
    pub method: String,
    /// `/lockkeeper.v1.Operator/Status`.
    pub path: String,
    /// Who may make it.
    pub needs: Needs,
}

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A role with this right, or (reading) a node.
    Right(Right),
    /// A node; the message itself says which.
    Peer,
    /// A node.
    Node,
    /// A machine that joins.
    Joining,
    /// A node whose certificate is good, or was.
    Renewing,
}

/// Every call of every service. An error if it is not said who may make one of them.
pub fn all() -> Result<Vec<Call>> {
    let set = FileDescriptorSet::decode(lockkeeper_proto::DESCRIPTORS)?;
    let mut calls = Vec::new();
    for file in &set.file {
        for (service, at) in file.service.iter().zip(0..) {
            for (method, nr) in service.method.iter().zip(0..) {
                let comment = comment(file, &[SERVICE_FIELD, at, METHOD_FIELD, nr]);
                let needs = needs(service.name(), comment)
                    .with_context(|| format!("who may call {}.{}", service.name(), method.name()))?;
                calls.push(Call {
                    service: service.name().to_owned(),
                    method: method.name().to_owned(),
                    path: format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                    needs,
                });
            }
        }
    }
    Ok(calls)
}

fn comment<'a>(file: &'a FileDescriptorProto, path: &[i32]) -> &'a str {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    locations.into_iter().find(|l| l.path == path).map_or("", |l| l.leading_comments())
}

/// A service nobody thought of is an error, as is an operator's call whose comment begins with no role.
fn needs(service: &str, comment: &str) -> Result<Needs> {
    Ok(match service {
        "Raft" => Needs::Peer,
        "Group" => Needs::Node,
        "Enrol" => Needs::Joining,
        "Renew" => Needs::Renewing,
        "Operator" => Needs::Right(match comment.trim().split('.').next().unwrap_or_default() {
            "viewer" => Right::Read,
            "operator" => Right::Operate,
            "approver" => Right::Approve,
            "admin" => Right::Administer,
            other => bail!("its comment in operator.proto begins with {other:?}, not with a role"),
        }),
        other => bail!("the service {other} is not in this table"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_a_word_on_who_may_make_it_is_an_error() {
        assert_eq!(needs("Operator", " viewer. A frame at once.\n").unwrap(), Needs::Right(Right::Read));
        assert!(needs("Operator", "").is_err());
        assert!(needs("Operator", " anybody\n").is_err());
        assert!(needs("Console", " viewer\n").is_err());
    }
}
