//! Who gets through to which call: every call of every service, tried by every kind of caller. Knows the protocol from
//! its descriptors only, and speaks it raw: a hostile client does not use our library.

pub mod answer;
pub mod caller;
pub mod calls;
pub mod raw;
