//! Authority, joining, renewal, tokens and their files.

#![allow(clippy::unwrap_used, reason = "tests")]

mod authority;
mod enrol;
mod files;
mod renew;
mod token;
