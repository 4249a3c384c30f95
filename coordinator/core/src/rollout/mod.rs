//! The replicated rollout machine.
