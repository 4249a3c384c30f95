//! Operators, members and the authority at the API: what is proposed for a call, and the certificate it asks for.

use super::{Api, operator::bad};
use crate::pki::{CertificateRequest, IssuingCa, Validity, introduced};
use lockkeeper_core::{
    identity::Role,
    ids::ActorName,
    rollout::{Command, TrustCommand, trust::Authority},
    time::LogTime,
    view,
};
use lockkeeper_proto::{
    pb::{GroupIssuingRequest, IssuingAuthority, OperatorCaRotateRequest, OperatorIssueReply},
    port::{Group as _, View},
    transport::{NodePeer, coded_status},
};
use std::sync::Arc;
use tonic::{Code, Status};

impl Api {
    pub(super) fn trust_json(&self, view: &View) -> String {
        let cluster = view.state.group.as_ref().map(|g| g.cluster.0.clone()).unwrap_or_default();
        let mut shown = serde_json::to_value(view::trust(&view.state, self.stamp(view))).unwrap_or_default();
        if let Some(object) = shown.as_object_mut() {
            object.insert("cluster_id".into(), cluster.into());
        }
        shown.to_string()
    }

    fn issues(&self) -> Result<Arc<IssuingCa>, Status> {
        self.keys.issuing().ok_or_else(|| {
            let text = format!("LK3107: {} holds no issuing key; ask a voter", self.me);
            coded_status(Code::FailedPrecondition, "LK3107", text)
        })
    }

    /// An operator's certificate, and the command that has to be committed before it is given out.
    pub(super) fn operator_certificate(
        &self,
        name: &ActorName,
        role: Role,
        csr: &[u8],
    ) -> Result<(Command, OperatorIssueReply), Status> {
        let csr = CertificateRequest::from_der(csr).map_err(|e| bad("csr", e))?;
        let issuing = self.issues()?;
        let validity = Validity::leaf(LogTime(self.clock.wall_ms()));
        let issued = issuing.issue_operator(&csr, name, role, validity).map_err(|e| bad("csr", e))?;
        let expires = issued.validity.not_after;
        let command =
            TrustCommand::OperatorIssue { name: name.clone(), role, expires, issuer: issuing.digest() };
        let (_, addresses) = self.token_parts()?;
        let reply = OperatorIssueReply { chain: issued.chain, roots: self.keys.roots(), addresses };
        Ok((Command::Trust(command), reply))
    }

    /// Files the new issuing key here, from where the other agents fetch it, and makes the command.
    pub(super) fn ca_rotate_command(&self, request: OperatorCaRotateRequest) -> Result<Command, Status> {
        self.issues()?;
        let (cluster, _) = self.token_parts()?;
        let issuing = request.issuing.ok_or_else(|| bad("issuing", "none was sent"))?;
        let issuing = IssuingCa::from_parts(&cluster, issuing.certificate, &issuing.key)
            .map_err(|e| bad("issuing", e))?;
        let now = LogTime(self.clock.wall_ms());
        let cross = Some(request.cross.as_slice()).filter(|der| !der.is_empty());
        let (old, new): (Vec<Authority>, Authority) =
            introduced(&cluster, &self.keys, &request.root, &issuing, cross, now)
                .map_err(|e| bad("root", e))?;
        let view = self.group.follow().borrow().clone();
        // Before it is committed: afterwards everybody asks for it. One that will lose is not kept in the way of another.
        if view.state.trust.roll_over.as_ref().is_none_or(|roll| roll.issuing == issuing.digest()) {
            self.keys.hold_next(issuing).map_err(|e| bad("issuing", e))?;
        }
        Ok(Command::Trust(TrustCommand::CaRotate { old, new }))
    }

    /// An issuing key for another node. Only one that the group introduced is given, and only to a member.
    pub(super) fn issuing_for(
        &self,
        peer: NodePeer<'_>,
        request: &GroupIssuingRequest,
    ) -> Result<IssuingAuthority, Status> {
        let view = self.group.follow().borrow().clone();
        let trust = &view.state.trust;
        let member = view.state.nodes.get(peer.name).is_some_and(|n| n.incarnation == peer.incarnation)
            && !trust.leaving.contains(peer.name);
        let known =
            trust.authorities.iter().filter_map(|a| a.issuing.as_ref()).find(|d| d.0 == request.digest);
        let held = known.filter(|_| member).and_then(|digest| self.keys.find(digest));
        let held = held.ok_or_else(|| {
            let text = format!("LK3110: {} gives no such issuing key to {}", self.me, peer.name);
            coded_status(Code::FailedPrecondition, "LK3110", text)
        })?;
        tracing::info!(to = %peer.name, issuing = %request.digest, "issuing key handed on");
        Ok(IssuingAuthority { certificate: held.certificate().to_vec(), key: held.key_der() })
    }
}
