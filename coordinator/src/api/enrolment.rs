//! Enrolment over the group: the token's use is committed before a certificate is issued.

use super::Api;
use crate::pki::{
    IssuingCa, Validity,
    enrol::{Admission, Admitted, EnrolError, EnrolledPeer, Enrolment, JoinAsk, admit},
};
use lockkeeper_core::{
    ids::{Generation, RequestId},
    rollout::{Command, Rejection, Reply},
    time::LogTime,
};
use lockkeeper_proto::port::{Group as _, Proposal};

/// The group's side of enrolment on this node.
pub struct LocalEnrolment(pub Api);

#[tonic::async_trait]
impl Enrolment for LocalEnrolment {
    async fn join(&self, ask: JoinAsk) -> Result<Admitted, EnrolError> {
        let api = &self.0;
        let unavailable = |e: &dyn std::fmt::Display| EnrolError::Unavailable(e.to_string());
        let issuing = api
            .keys
            .issuing()
            .ok_or_else(|| EnrolError::Unavailable(format!("{} holds no issuing key", api.me)))?;
        let view = api.group.read().await.map_err(|e| unavailable(&e))?;
        let now = LogTime(api.clock.wall_ms().max(view.state.time.0));
        let (node_id, incarnation) = match admit(&view.state, &ask, now)? {
            Admission::Repeat { node_id, incarnation } => (node_id, incarnation),
            Admission::New(enrol) => {
                let (node_id, incarnation) = (enrol.node_id, enrol.incarnation);
                let id = RequestId(uuid::Uuid::now_v7().to_string());
                let proposal =
                    Proposal { id, actor: None, trace: String::new(), command: Command::Enrol(enrol) };
                match api.group.propose(proposal).await.map_err(|e| unavailable(&e))? {
                    Reply::Applied { .. } => (node_id, incarnation),
                    Reply::Rejected(Rejection::BadJoinToken(_)) => return Err(EnrolError::UsedToken),
                    // Somebody else was quicker with this number; the joiner tries again.
                    Reply::Rejected(rejection) => return Err(EnrolError::Unavailable(rejection.to_string())),
                }
            }
        };
        tracing::info!(member = %ask.member, node_id = node_id.0, incarnation = incarnation.0, "enrolled");
        let issued = issuing
            .issue_node(&ask.request, &ask.member, incarnation, Validity::leaf(now))
            .map_err(|e| unavailable(&e))?;
        // The joiner may become a voter, so it gets the issuing key too; it travels on this connection only.
        let issuing_copy = IssuingCa::from_parts(&ask.cluster, issuing.certificate().to_vec(), &issuing.key_der())
            .map_err(|e| unavailable(&e))?;
        let peers = view.state.nodes.iter().map(|(member, node)| EnrolledPeer {
            member: member.clone(),
            node_id: node.id,
            address: node.address.clone(),
        });
        Ok(Admitted {
            node_id,
            incarnation,
            generation: view.state.group.as_ref().map_or(Generation(1), |group| group.generation),
            chain: issued.chain,
            roots: api.keys.roots(),
            issuing: Some(issuing_copy),
            peers: peers.collect(),
        })
    }
}
