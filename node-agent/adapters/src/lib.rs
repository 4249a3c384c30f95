//! Everything that touches the outside world. Knows nothing about Raft, plans or rollouts.
