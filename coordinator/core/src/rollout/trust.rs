//! Who may speak in the group: removed members, operators, certificates, authorities, added votes and the feature
//! floor. Plain data and the commands that change it; how a certificate is checked is the transport's business.

use crate::{
    identity::Role,
    ids::{ActorName, Digest, Incarnation, MemberName, NodeId},
    rollout::{
        State,
        command::{Command, CommandKind},
    },
    time::LogTime,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The part of the state that is about identities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// Highest number any node ever had, so that none is given twice.
    pub highest_node: NodeId,
    /// Members that are being removed: they lose vote and log first, their identity is revoked when both are gone.
    pub leaving: BTreeSet<MemberName>,
    /// Members that vote beside those the cluster file chooses.
    pub votes: BTreeSet<MemberName>,
    /// What each agent said of the certificate it shows.
    pub certificates: BTreeMap<MemberName, CertificateReport>,
    /// Operators the group issued certificates to, and those it revoked.
    pub operators: BTreeMap<ActorName, OperatorRecord>,
    /// Authorities; empty until the first roll-over, then every agent trusts exactly these roots.
    pub authorities: Vec<Authority>,
    /// A roll-over of the authority that is under way.
    pub roll_over: Option<RollOver>,
    /// Commands up to this feature may be used; 0 counts as [`FEATURE_BASE`].
    pub feature_floor: u32,
}

/// How long the old root stays trusted by itself after every agent was reissued: no operator's certificate lives
/// longer than 30 days, and a day is for clocks.
pub const OVERLAP_MS: u64 = 31 * 24 * 3_600_000;

/// The feature every build knows.
pub const FEATURE_BASE: u32 = 1;

/// The highest feature this build knows: what its agents announce, and the highest floor whose store it opens.
pub const FEATURE: u32 = 2;

/// A root with the issuing certificate under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// BLAKE3 of the root's DER.
    pub root: Digest,
    /// The root, PEM.
    pub root_pem: String,
    /// BLAKE3 of the issuing certificate's DER; none where the group never learned it.
    pub issuing: Option<Digest>,
    /// The issuing certificate as the root before signed it, PEM: shown beside the other one, so that whoever knows the
    /// old root only goes on to trust agents until that root is dropped. None if the old root's key was not at hand.
    pub cross_pem: Option<String>,
    /// When it was introduced.
    pub since: LogTime,
}

/// How far a new authority has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollOver {
    /// The new root.
    pub root: Digest,
    /// The new issuing certificate.
    pub issuing: Digest,
    /// Who began it.
    pub by: String,
    /// How far.
    pub stage: RollOverStage,
    /// Since when it stands there.
    pub since: LogTime,
}

/// The stages of a roll-over. Each begins when every enrolled agent has said that it is through the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RollOverStage {
    /// Agents learn to trust the new root and fetch the new issuing key; the old one still issues.
    Trust,
    /// The new key issues; agents renew under it.
    Reissue,
    /// Every agent shows a new certificate. The old root is trusted for operators' sake.
    Overlap,
}

impl RollOverStage {
    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            RollOverStage::Trust => "trust",
            RollOverStage::Reissue => "reissue",
            RollOverStage::Overlap => "overlap",
        }
    }
}

/// What an agent says of its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateReport {
    /// `notAfter`, unix milliseconds.
    pub expires: LogTime,
    /// BLAKE3 of the issuing certificate behind it.
    pub issuer: Digest,
    /// Roots it trusts.
    pub trusted: BTreeSet<Digest>,
    /// Issuing certificates whose keys it holds.
    pub holds: BTreeSet<Digest>,
}

/// One operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorRecord {
    /// Role of the newest certificate; none for a name that was revoked without one.
    pub role: Option<Role>,
    /// When that one ends.
    pub expires: LogTime,
    /// BLAKE3 of its issuing certificate.
    pub issuer: Digest,
    /// Since when the name is revoked, for ever: a name in the audit is one person.
    pub revoked: Option<LogTime>,
}

/// Commands about identities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrustCommand {
    /// An operator gets a certificate.
    OperatorIssue {
        /// Who.
        name: ActorName,
        /// As what.
        role: Role,
        /// Until when.
        expires: LogTime,
        /// Under which issuing certificate.
        issuer: Digest,
    },
    /// An operator's certificates no longer count.
    OperatorRevoke {
        /// Who.
        name: ActorName,
        /// Why.
        reason: String,
    },
    /// A member leaves the group.
    MemberRemove {
        /// Who.
        member: MemberName,
        /// Why.
        reason: String,
    },
    /// The leader says that a leaving member has neither vote nor log any more.
    MemberGone {
        /// Who.
        member: MemberName,
    },
    /// A member votes beside those the cluster file chooses.
    AddVoter {
        /// Who.
        member: MemberName,
    },
    /// An agent says which certificate it shows.
    Certificate {
        /// Which agent.
        member: MemberName,
        /// Its identity's incarnation.
        incarnation: Incarnation,
        /// What it shows and trusts.
        report: CertificateReport,
    },
    /// A person introduces a new authority. The key of its issuing certificate never comes here.
    CaRotate {
        /// Roots trusted so far: the group's memory of them is empty before the first roll-over.
        old: Vec<Authority>,
        /// The new one.
        new: Authority,
    },
    /// The leader says that every agent is through a stage.
    CaAdvance {
        /// The stage that begins.
        stage: RollOverStage,
    },
    /// The old roots are dropped.
    CaFinish,
    /// The leader says that every node knows a feature.
    RaiseFloor {
        /// The new floor.
        feature: u32,
    },
}

impl TrustCommand {
    /// The command's kind.
    pub const fn kind(&self) -> CommandKind {
        match self {
            TrustCommand::OperatorIssue { .. } => CommandKind::OperatorIssue,
            TrustCommand::OperatorRevoke { .. } => CommandKind::OperatorRevoke,
            TrustCommand::MemberRemove { .. } => CommandKind::MemberRemove,
            TrustCommand::MemberGone { .. } => CommandKind::MemberGone,
            TrustCommand::AddVoter { .. } => CommandKind::AddVoter,
            TrustCommand::Certificate { .. } => CommandKind::Certificate,
            TrustCommand::CaRotate { .. } => CommandKind::CaRotate,
            TrustCommand::CaAdvance { .. } => CommandKind::CaAdvance,
            TrustCommand::CaFinish => CommandKind::CaFinish,
            TrustCommand::RaiseFloor { .. } => CommandKind::RaiseFloor,
        }
    }

    /// The feature an agent must know to apply it.
    pub const fn feature(&self) -> u32 {
        match self {
            TrustCommand::CaRotate { .. } | TrustCommand::CaAdvance { .. } | TrustCommand::CaFinish => 2,
            TrustCommand::OperatorIssue { .. }
            | TrustCommand::OperatorRevoke { .. }
            | TrustCommand::MemberRemove { .. }
            | TrustCommand::MemberGone { .. }
            | TrustCommand::AddVoter { .. }
            | TrustCommand::Certificate { .. }
            | TrustCommand::RaiseFloor { .. } => FEATURE_BASE,
        }
    }
}

impl State {
    /// The highest feature that may be used now.
    pub fn floor(&self) -> u32 {
        self.trust.feature_floor.max(FEATURE_BASE)
    }

    /// The number the next enrolled node gets.
    pub fn next_node(&self) -> NodeId {
        let present = self.nodes.values().map(|n| n.id).max().unwrap_or_default();
        NodeId(present.max(self.trust.highest_node).0.saturating_add(1))
    }

    /// The incarnation `member` gets when it is enrolled: above every one it had.
    pub fn next_incarnation(&self, member: &MemberName) -> Incarnation {
        let present = self.nodes.get(member).map_or(0, |n| n.incarnation.0);
        let revoked = self.revoked.iter().filter(|(m, _)| m == member).map(|(_, i)| i.0).max().unwrap_or(0);
        Incarnation(present.max(revoked).saturating_add(1))
    }

    /// The agents that should vote: those of the cluster file, and those a person added. Before there is a file,
    /// whoever was enrolled first.
    pub fn wanted_voters(&self) -> Vec<MemberName> {
        let mut names = match &self.config {
            Some(config) => config.spec.voter_names(),
            None => self
                .nodes
                .iter()
                .min_by_key(|(_, n)| n.id)
                .map(|(name, _)| name.clone())
                .into_iter()
                .collect(),
        };
        let added: Vec<MemberName> =
            self.trust.votes.iter().filter(|m| !names.contains(m)).cloned().collect();
        names.extend(added);
        names.retain(|m| !self.trust.leaving.contains(m));
        names
    }

    /// What the leader should propose about identities, `raft_members` being those that vote or hold the log.
    /// Proposing it twice, or late, is harmless.
    pub fn next_trust(&self, raft_members: &BTreeSet<MemberName>) -> Vec<Command> {
        let gone = self.trust.leaving.iter().filter(|m| !raft_members.contains(*m));
        let mut commands: Vec<TrustCommand> =
            gone.map(|member| TrustCommand::MemberGone { member: member.clone() }).collect();
        // Never during a rollout: what its plan rests on stays as it is.
        let known = self.nodes.values().map(|n| n.feature).min().unwrap_or(0);
        if self.rollout.is_none() && known > self.floor() {
            commands.push(TrustCommand::RaiseFloor { feature: known });
        }
        if let Some(roll) = &self.trust.roll_over
            && self.roll_over_waits_for().is_empty()
        {
            match roll.stage {
                RollOverStage::Trust => {
                    commands.push(TrustCommand::CaAdvance { stage: RollOverStage::Reissue })
                }
                RollOverStage::Reissue => {
                    commands.push(TrustCommand::CaAdvance { stage: RollOverStage::Overlap })
                }
                RollOverStage::Overlap if self.time.0 >= roll.since.0.saturating_add(OVERLAP_MS) => {
                    commands.push(TrustCommand::CaFinish);
                }
                RollOverStage::Overlap => {}
            }
        }
        commands.into_iter().map(Command::Trust).collect()
    }

    /// Agents that are not yet through the present stage of a roll-over; empty without one.
    pub fn roll_over_waits_for(&self) -> BTreeSet<MemberName> {
        let Some(roll) = &self.trust.roll_over else { return BTreeSet::new() };
        let through = |report: &CertificateReport| match roll.stage {
            RollOverStage::Trust => {
                // Whoever holds an issuing key will be asked to issue, so it must hold the new one.
                report.trusted.contains(&roll.root)
                    && (report.holds.is_empty() || report.holds.contains(&roll.issuing))
            }
            RollOverStage::Reissue | RollOverStage::Overlap => report.issuer == roll.issuing,
        };
        let waits = |m: &&MemberName| !self.trust.certificates.get(*m).is_some_and(through);
        self.nodes.keys().filter(waits).cloned().collect()
    }
}
