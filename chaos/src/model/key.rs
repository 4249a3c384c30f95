//! When two nodes are the same: everything that decides what may happen next, without times and indices.

use super::outside::Outside;
use lockkeeper_core::{
    ids::Token,
    rollout::{State, Status, StepPhase},
};
use std::{collections::BTreeSet, fmt::Write as _};

/// The first half of the digest; two of some hundred thousand nodes share it by no chance worth naming.
pub type Key = [u8; 16];

/// The key of a node.
pub fn key(state: &State, outside: &Outside) -> Key {
    let ranks = ranks(state, outside);
    let rank = |token: &Token| ranks.iter().position(|other| other == token).unwrap_or(usize::MAX);
    let mut text = String::new();
    let mut add = |part: std::fmt::Arguments<'_>| {
        // Writing to a string never fails.
        let _written = text.write_fmt(part);
    };
    match &state.rollout {
        None => {
            let ended = state.history.back().map(|rollout| rollout.status.word());
            add(format_args!("ended {ended:?}"));
        }
        Some(rollout) => {
            match &rollout.status {
                Status::Halted { cause, .. } => add(format_args!("halted {cause:?}")),
                other => add(format_args!("{}", other.word())),
            }
            let (abort, passed) = (rollout.abort.is_some(), rollout.no_return.is_some());
            add(format_args!("|{abort} {passed} {}|", rollout.failures));
            for (id, record) in &rollout.steps {
                match &record.phase {
                    StepPhase::Pending => add(format_args!("{id}p{};", record.attempt)),
                    StepPhase::NotNeeded => add(format_args!("{id}n;")),
                    StepPhase::Assigned { member, token, .. } => {
                        add(format_args!("{id}a{member}{}{};", rank(token), record.attempt));
                    }
                    StepPhase::Done { member, .. } => add(format_args!("{id}d{member};")),
                    StepPhase::Failed { member, verdict, .. } => {
                        add(format_args!("{id}f{member}{verdict:?}{};", record.attempt));
                    }
                }
            }
            add(format_args!("|{:?}|", rollout.executors));
            for (database, grant) in &rollout.grants {
                let (member, state) = (&grant.member, grant.state);
                add(format_args!("{database}{member}{state:?}{};", rank(&grant.token)));
            }
            for (key, owed) in &rollout.owed {
                add(format_args!("{}{};", key.0, owed.state.is_open()));
            }
            add(format_args!("{:?}", rollout.outputs));
        }
    }
    let Outside { schema, saved, open, admitted, ledger, closed, inside, succeeded, out, services, new, attempts } =
        outside;
    let (admitted, ledger) = (admitted.as_ref().map(rank), ledger.as_ref().map(rank));
    let inside: Vec<_> = inside.iter().map(rank).collect();
    add(format_args!("|{schema}{saved}{open}{admitted:?}{ledger:?}{closed}{inside:?}{succeeded}"));
    add(format_args!("{out:?}{services:?}{new:?}"));
    for (attempt, stage) in attempts {
        let (step, number, token) = (attempt.step, attempt.attempt, rank(&attempt.token));
        add(format_args!("{step}.{number}.{token}{}{stage:?};", attempt.member));
    }
    let digest = blake3::hash(text.as_bytes());
    let mut key = Key::default();
    key.copy_from_slice(digest.as_bytes().split_at(16).0);
    key
}

/// Tokens in their order: what matters is which is higher.
fn ranks(state: &State, outside: &Outside) -> Vec<Token> {
    let mut tokens = BTreeSet::new();
    if let Some(rollout) = &state.rollout {
        tokens.extend(rollout.grants.values().map(|grant| grant.token));
        for record in rollout.steps.values() {
            if let StepPhase::Assigned { token, .. } = &record.phase {
                tokens.insert(*token);
            }
        }
    }
    tokens.extend(outside.admitted);
    tokens.extend(outside.ledger);
    tokens.extend(outside.inside.iter().copied());
    tokens.extend(outside.attempts.keys().map(|attempt| attempt.token));
    tokens.into_iter().collect()
}
