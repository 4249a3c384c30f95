//! Frozen structs of commands about identities, format 1; never edited after release.

use super::{command::text, malformed};
use crate::{
    ids::{Digest, Incarnation, MemberName},
    rollout::trust::{Authority, CertificateReport, RollOverStage, TrustCommand},
    stored::StoredError,
    time::LogTime,
};
use serde::{Deserialize, Serialize};

/// The order of the variants is part of the format.
#[derive(Serialize, Deserialize)]
pub(super) enum TrustV1 {
    OperatorIssue {
        name: String,
        role: String,
        expires: u64,
        issuer: String,
    },
    OperatorRevoke {
        name: String,
        reason: String,
    },
    MemberRemove {
        member: String,
        reason: String,
    },
    MemberGone {
        member: String,
    },
    AddVoter {
        member: String,
    },
    Certificate {
        member: String,
        incarnation: u32,
        expires: u64,
        issuer: String,
        trusted: Vec<String>,
        holds: Vec<String>,
    },
    CaRotate {
        old: Vec<AuthorityV1>,
        new: AuthorityV1,
    },
    CaAdvance {
        stage: u8,
    },
    CaFinish,
    RaiseFloor {
        feature: u32,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) struct AuthorityV1 {
    root: String,
    root_pem: String,
    issuing: Option<String>,
    cross_pem: Option<String>,
    since: u64,
}

impl AuthorityV1 {
    fn of(a: Authority) -> Self {
        Self {
            root: a.root.0,
            root_pem: a.root_pem,
            issuing: a.issuing.map(|d| d.0),
            cross_pem: a.cross_pem,
            since: a.since.0,
        }
    }

    fn thaw(self) -> Authority {
        Authority {
            root: Digest(self.root),
            root_pem: self.root_pem,
            issuing: self.issuing.map(Digest),
            cross_pem: self.cross_pem,
            since: LogTime(self.since),
        }
    }
}

fn member(value: &str) -> Result<MemberName, StoredError> {
    text("member name", value)
}

impl TrustV1 {
    pub(super) fn of(command: TrustCommand) -> Self {
        match command {
            TrustCommand::OperatorIssue { name, role, expires, issuer } => TrustV1::OperatorIssue {
                name: name.into(),
                role: role.as_str().to_owned(),
                expires: expires.0,
                issuer: issuer.0,
            },
            TrustCommand::OperatorRevoke { name, reason } => {
                TrustV1::OperatorRevoke { name: name.into(), reason }
            }
            TrustCommand::MemberRemove { member, reason } => {
                TrustV1::MemberRemove { member: member.into(), reason }
            }
            TrustCommand::MemberGone { member } => TrustV1::MemberGone { member: member.into() },
            TrustCommand::AddVoter { member } => TrustV1::AddVoter { member: member.into() },
            TrustCommand::Certificate { member, incarnation, report } => TrustV1::Certificate {
                member: member.into(),
                incarnation: incarnation.0,
                expires: report.expires.0,
                issuer: report.issuer.0,
                trusted: report.trusted.into_iter().map(|d| d.0).collect(),
                holds: report.holds.into_iter().map(|d| d.0).collect(),
            },
            TrustCommand::CaRotate { old, new } => TrustV1::CaRotate {
                old: old.into_iter().map(AuthorityV1::of).collect(),
                new: AuthorityV1::of(new),
            },
            TrustCommand::CaAdvance { stage } => TrustV1::CaAdvance {
                stage: match stage {
                    RollOverStage::Trust => 0,
                    RollOverStage::Reissue => 1,
                    RollOverStage::Overlap => 2,
                },
            },
            TrustCommand::CaFinish => TrustV1::CaFinish,
            TrustCommand::RaiseFloor { feature } => TrustV1::RaiseFloor { feature },
        }
    }

    pub(super) fn thaw(self) -> Result<TrustCommand, StoredError> {
        Ok(match self {
            TrustV1::OperatorIssue { name, role, expires, issuer } => TrustCommand::OperatorIssue {
                name: text("operator name", &name)?,
                role: text("role", &role)?,
                expires: LogTime(expires),
                issuer: Digest(issuer),
            },
            TrustV1::OperatorRevoke { name, reason } => {
                TrustCommand::OperatorRevoke { name: text("operator name", &name)?, reason }
            }
            TrustV1::MemberRemove { member: m, reason } => {
                TrustCommand::MemberRemove { member: member(&m)?, reason }
            }
            TrustV1::MemberGone { member: m } => TrustCommand::MemberGone { member: member(&m)? },
            TrustV1::AddVoter { member: m } => TrustCommand::AddVoter { member: member(&m)? },
            TrustV1::Certificate { member: m, incarnation, expires, issuer, trusted, holds } => {
                TrustCommand::Certificate {
                    member: member(&m)?,
                    incarnation: Incarnation(incarnation),
                    report: CertificateReport {
                        expires: LogTime(expires),
                        issuer: Digest(issuer),
                        trusted: trusted.into_iter().map(Digest).collect(),
                        holds: holds.into_iter().map(Digest).collect(),
                    },
                }
            }
            TrustV1::CaRotate { old, new } => TrustCommand::CaRotate {
                old: old.into_iter().map(AuthorityV1::thaw).collect(),
                new: new.thaw(),
            },
            TrustV1::CaAdvance { stage } => TrustCommand::CaAdvance {
                stage: match stage {
                    0 => RollOverStage::Trust,
                    1 => RollOverStage::Reissue,
                    2 => RollOverStage::Overlap,
                    other => return Err(malformed("roll-over stage", other)),
                },
            },
            TrustV1::CaFinish => TrustCommand::CaFinish,
            TrustV1::RaiseFloor { feature } => TrustCommand::RaiseFloor { feature },
        })
    }
}
