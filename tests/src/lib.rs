//! The bed: real hosts, stand-ins, end-to-end tests and repository rules. Drives Lockkeeper by its command line.

pub mod access;
pub mod bed;
pub mod bench;
pub mod clone_bed;
pub mod kills;
pub mod loopback;
pub mod small_site;
