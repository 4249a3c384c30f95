//! The PostgreSQL adapter on a real server, one server a test: roles belong to the whole server, so doors of two
//! tests would shut each other out.

mod postgres {
    mod backup;
    mod bed;
    mod cycle;
    mod fence;
    mod ledger;
    mod strangers;
}
