//! The command line as scripts and people meet it: the real binary against a scripted agent, on a real socket.

#![allow(clippy::unwrap_used, reason = "a test panics when something it did not ask for is wrong")]

mod agent;
mod bed;
mod changing;
mod connecting;
mod doctor;
mod following;
mod founding;
mod offline;
mod planning;
mod reading;
mod records;
mod terminal;
