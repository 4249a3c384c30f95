//! openraft's own storage suite.

use super::super::super::state_machine::StateMachine;
use super::*;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

struct Builder(Blocking);

impl StoreBuilder<C, Store, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, Store, StateMachine), StorageError<C>> {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(&directory.path().join("raft.redb"), &marker(), self.0).unwrap();
        let machine = StateMachine::new(Box::new(Scribe::default()), store.clone());
        Ok((directory, store, machine))
    }
}

#[tokio::test]
async fn the_store_passes_openrafts_suite_with_its_own_thread() {
    Suite::test_all(Builder(Blocking::Threads)).await.unwrap();
}

#[tokio::test]
async fn the_store_passes_openrafts_suite_inline() {
    Suite::test_all(Builder(Blocking::Inline)).await.unwrap();
}
