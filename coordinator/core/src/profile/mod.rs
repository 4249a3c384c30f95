//! Product knowledge as data: parameters, ladder, stages, steps, proofs and undo of one product.
//!
//! Knows the kinds of steps, but no product: names of products stand in profiles only.

mod catalog;
mod facts;
pub mod ladder;
pub mod model;
pub mod place;
mod read;
pub mod resolve;
pub mod template;

pub use catalog::{BUILT_IN, ProfileCatalog};
pub use facts::VersionQuery;
pub(crate) use facts::command_spec;
pub use model::*;
pub use read::read_profile;
pub(crate) use read::{read_parameter, refused};
