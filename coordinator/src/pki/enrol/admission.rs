//! Whether a token lets a machine in: the question that every implementation of [`super::Enrolment`] asks of the
//! replicated state before it proposes anything. Pure; the state machine checks again when the command is applied.

use lockkeeper_core::ids::{Incarnation, NodeId};
use lockkeeper_core::rollout::command::Enrol;
use lockkeeper_core::rollout::state::State;
use lockkeeper_core::time::LogTime;

use super::{EnrolError, JoinAsk};

/// How long after its use a token still answers the same machine, so that a lost answer does not burn it. A joiner
/// tries at most five addresses for ten seconds each.
const REPEAT_WINDOW_MS: u64 = 60_000;

/// What to do with an ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Commit this, then issue the certificate.
    New(Enrol),
    /// It was committed before and the answer was lost: issue the certificate again.
    Repeat {
        /// The number it has.
        node_id: NodeId,
        /// The incarnation it has.
        incarnation: Incarnation,
    },
}

/// Judges `ask` by the group's `state` at `now` (the group's clock, not the joiner's).
pub fn admit(state: &State, ask: &JoinAsk, now: LogTime) -> Result<Admission, EnrolError> {
    let group = state.group.as_ref().ok_or_else(|| EnrolError::Unavailable("no group yet".to_owned()))?;
    if group.cluster != ask.cluster {
        return Err(EnrolError::OtherCluster);
    }
    let token = state.join_tokens.get(&ask.token).ok_or(EnrolError::UnknownToken)?;
    if token.member != ask.member {
        return Err(EnrolError::OtherMember);
    }
    if token.expires < now {
        return Err(EnrolError::ExpiredToken);
    }
    let known = state.nodes.get(&ask.member);
    if let Some(used) = token.used {
        // The node has the answer once it announced itself; then nobody else gets one.
        let node = known.filter(|node| {
            node.fingerprint == ask.fingerprint
                && node.address == ask.address
                && node.agent_version.is_empty()
        });
        return match node {
            Some(node) if now.0.saturating_sub(used.0) <= REPEAT_WINDOW_MS => {
                Ok(Admission::Repeat { node_id: node.id, incarnation: node.incarnation })
            }
            Some(_) | None => Err(EnrolError::UsedToken),
        };
    }
    let (node_id, incarnation) = (state.next_node(), state.next_incarnation(&ask.member));
    Ok(Admission::New(Enrol {
        member: ask.member.clone(),
        node_id,
        incarnation,
        address: ask.address.clone(),
        fingerprint: ask.fingerprint.clone(),
        token: Some(ask.token.clone()),
    }))
}
