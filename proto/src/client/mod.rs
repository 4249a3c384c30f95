//! Clients of our services, in the words of the core. Generated types stop here.

pub mod group;
pub mod operator;
