//! The Raft shell, the leader loop and the operator API. Knows nothing about databases, balancers or processes.

pub mod raft;
