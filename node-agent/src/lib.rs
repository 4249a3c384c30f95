//! The agent runtime: journal, fence, executor and the `Host` port. Knows nothing about Raft or about any product.

pub mod announce;
pub mod clock;
pub mod code;
pub mod data;
pub mod facts;
pub mod fence;
pub mod host;
pub mod identity;
pub mod isolation;
pub mod journal;
pub mod node;
pub mod plant;
pub mod platform;
pub mod quarantine;
pub mod settings;
pub mod task;

pub use node::{Node, Parts};
