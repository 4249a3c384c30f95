//! Doors: what both kinds of door share. Pure rules and small files; knows no engine and opens no connection.

pub mod captured;
pub mod judge;
pub mod ledger;
pub mod login;
pub mod mint;
pub mod scram;
