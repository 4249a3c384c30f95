//! The SQLite adapter on real files, with real processes that hold them open.

mod sqlite {
    mod backup;
    mod bed;
    mod cycle;
    mod fence;
    mod ledger;
}
