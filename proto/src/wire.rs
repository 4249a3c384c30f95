//! Plain structs for what crosses the wire, and their checked conversion to and from the generated code.
//!
//! Knows the shape of messages. Does not know what to do with them: openraft's types are made from these in the
//! coordinator, the core's in [`crate::convert`](crate).

pub mod raft;
