//! Proof of isolation: everything forbidden is tried and must get no answer, everything allowed is tried and must
//! answer, and the ruleset must be whole and must have counted what it refused.
//!
//! A refusal by the other side is an answer: a packet got there. Without the counter "no answer" might merely mean that
//! the other side is down, and without the positive probes that this machine has no network yet.

use super::{
    firewall::{Standing, standing},
    rules::Isolation,
};
use crate::code::HostCode;
use lockkeeper_agent::host::Failure;
use serde::{Deserialize, Serialize};
use std::{io, net::SocketAddr, time::Duration};
use tokio::net::TcpStream;

/// For one attempt: the first packet and its repetition after a second. An open path answers in milliseconds.
const ATTEMPT: Duration = Duration::from_millis(1_500);

/// One attempt and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Where to.
    pub target: SocketAddr,
    /// What happened, for people.
    pub saw: String,
}

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Forbidden, tried, and without an answer.
    pub refused: Vec<Attempt>,
    /// Allowed, tried, and answered.
    pub reached: Vec<Attempt>,
    /// Outgoing packets that our rules counted as refused during the attempts.
    pub packets_refused: u64,
}

enum Saw {
    Answer(String),
    Nothing(String),
}

/// Tries everything. The error says what got through, or what did not that should.
pub async fn prove(
    isolation: &Isolation,
    forbidden: &[SocketAddr],
    allowed: &[SocketAddr],
) -> Result<Proof, Failure> {
    if let Some(both) = forbidden.iter().find(|target| isolation.lets_through(target)) {
        return Err(HostCode::IsolationLeak.failure(format!("{both} is forbidden and on the allow list")));
    }
    let before = whole(isolation).await?;
    let (refused, reached) = tokio::join!(attempts(forbidden), attempts(allowed));
    let packets_refused = whole(isolation).await?.saturating_sub(before);
    let mut proof = Proof { refused: Vec::new(), reached: Vec::new(), packets_refused };
    for (target, saw) in refused {
        match saw {
            Saw::Nothing(saw) => proof.refused.push(Attempt { target, saw }),
            Saw::Answer(saw) => {
                return Err(HostCode::IsolationLeak
                    .failure(format!("{target} is forbidden and can be reached: {saw}")));
            }
        }
    }
    for (target, saw) in reached {
        match saw {
            Saw::Answer(saw) => proof.reached.push(Attempt { target, saw }),
            Saw::Nothing(saw) => {
                let text = format!(
                    "{target} is allowed and cannot be reached ({saw}): perhaps there is no network yet"
                );
                return Err(HostCode::IsolationBlind.failure(text));
            }
        }
    }
    if packets_refused < proof.refused.len() as u64 {
        let text = format!(
            "{} attempts got no answer, but the rules refused {packets_refused} packets: something else kept them off",
            proof.refused.len()
        );
        return Err(HostCode::IsolationBlind.failure(text));
    }
    Ok(proof)
}

async fn whole(isolation: &Isolation) -> Result<u64, Failure> {
    match standing(isolation).await? {
        Standing::Whole(refused) => Ok(refused),
        Standing::Absent => Err(HostCode::IsolationLeak.failure("this machine is not isolated")),
        Standing::Differs(how) => Err(HostCode::IsolationReadBack.failure(how)),
    }
}

async fn attempts(targets: &[SocketAddr]) -> Vec<(SocketAddr, Saw)> {
    futures::future::join_all(targets.iter().map(|target| async move { (*target, attempt(target).await) }))
        .await
}

async fn attempt(target: &SocketAddr) -> Saw {
    match tokio::time::timeout(ATTEMPT, TcpStream::connect(target)).await {
        Ok(Ok(_)) => Saw::Answer("it accepted".to_owned()),
        Ok(Err(error)) => match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::NetworkUnreachable | io::ErrorKind::TimedOut => {
                Saw::Nothing(error.to_string())
            }
            _somebody_answered => Saw::Answer(error.to_string()),
        },
        Err(_) => Saw::Nothing(format!("no answer within {} ms", ATTEMPT.as_millis())),
    }
}
