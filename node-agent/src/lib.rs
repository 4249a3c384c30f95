//! The agent runtime: journal, fence, executor and the `Host` port. Knows nothing about Raft or about any product.

pub mod host;
