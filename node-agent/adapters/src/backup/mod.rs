//! Backup sets: directories that arrive by rename, with a manifest that tells what is in them and what was proven.
//!
//! Knows files and hashes. How an engine is dumped and restored is in the engine's folder.

pub mod durable;
pub mod manifest;
pub mod set;
pub mod space;
