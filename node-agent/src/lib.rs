//! The agent runtime: journal, fence, executor and the `Host` port. Knows nothing about Raft or about any product.

pub mod clock;
pub mod code;
pub mod fence;
pub mod host;
pub mod journal;
pub mod plant;
pub mod task;
