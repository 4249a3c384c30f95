//! The PostgreSQL adapter on a real server, one server a test: roles belong to the whole server, so doors of two
//! tests would shut each other out.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod postgres {
    mod backup;
    mod bed;
    mod capable;
    mod crash;
    mod cycle;
    mod failover;
    mod fence;
    mod foreign;
    mod ledger;
    mod restore;
    mod server;
    mod strangers;
    mod tls;
}
