//! A search through everything that can happen next, by the shipped `next` and `apply`: from each point of an uneventful
//! rollout all that leader, agents and people could do is tried, breadth first, and the laws are looked at after each.
//!
//! Where the simulation draws one of many ways by chance, this takes all of them, but only so far.

mod acts;
mod key;
mod outside;
mod search;
mod start;

pub use search::{Found, Search, search};
