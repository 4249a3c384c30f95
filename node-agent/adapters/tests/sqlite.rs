//! The SQLite adapter on real files, with real processes that hold them open.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod sqlite {
    mod backup;
    mod bed;
    mod cycle;
    mod fence;
    mod foreign;
    mod ledger;
    mod restore;
}
