//! The way back on one file: the set's copy becomes the live file, the failed one is kept as fenced.

use super::bed::*;
use lockkeeper_adapters::database::DatabaseAdapter;
use lockkeeper_agent::host::Precheck;
use std::path::PathBuf;

async fn touched() -> (Bed, Rollout, PathBuf) {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    let done = rollout.step(&adapter, "n1", Do::Backup, token(12)).await;
    rollout.step(&adapter, "n1", Do::Prove, token(13)).await;
    rollout.step(&adapter, "n1", Do::Shut, token(14)).await;
    let admitted = rollout.step(&adapter, "n1", Do::Admit, token(20)).await;
    let mut tool = Holder::open(admitted.outputs["database.main.path"].as_ref());
    tool.run("delete from record");
    drop(tool);
    rollout.step(&adapter, "n1", Do::Close, token(20)).await;
    rollout.grants.clear();
    (bed, rollout, PathBuf::from(&done.outputs["backup.main.set"]))
}

#[tokio::test]
async fn a_touched_file_gives_way_to_the_set() {
    let (bed, mut rollout, _set) = touched().await;
    let adapter = bed.adapter();
    let work = rollout.work("n1", Do::Restore, token(33));
    rollout.step(&adapter, "n1", Do::Restore, token(33)).await;
    adapter.perform(&work).await.unwrap();
    assert!(matches!(adapter.precheck(&work).await, Precheck::AlreadyDone(_)));
    assert_eq!(bed.value("main-1-33.restored.db", "select count(*) from record"), "Integer(3)");
    assert!(bed.file("main-1-20.db.fenced").exists(), "the failed file is kept");
    assert_eq!(bed.current(), None, "the door is still shut");
    for what in [Do::Open, Do::Restore] {
        let late = rollout.work("n1", what, token(32));
        assert_eq!(adapter.perform(&late).await.unwrap_err().code, "LK5201", "{what:?}");
    }
    let opened = rollout.step(&adapter, "n1", Do::Open, token(34)).await;
    assert_eq!(opened.read_back, rollout.captured);
    assert_eq!(bed.current().as_deref(), Some("main-1-33.restored.db"));
    assert_eq!(adapter.facts(SCHEMA).await.unwrap().schema, "1");
    let same = rollout.clone().step(&adapter, "n1", Do::Quiet, token(35)).await;
    assert_eq!(same.outputs["loss.main"], "0");
    bed.sql("current", "insert into record (body) values ('later')");
    let more = rollout.step(&adapter, "n1", Do::Quiet, token(36)).await;
    assert_eq!(more.outputs["loss.main"], "uncounted");
}

#[tokio::test]
async fn a_damaged_or_unproven_set_is_not_restored() {
    let (bed, rollout, set) = touched().await;
    let work = rollout.work("n1", Do::Restore, token(33));
    let file = set.join("database.db");
    let bytes = std::fs::read(&file).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    for (damaged, code) in [(bytes[..bytes.len() / 2].to_vec(), "LK5235"), (flipped, "LK5236")] {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(bed.adapter().perform(&work).await.unwrap_err().code, code);
    }
    std::fs::write(&file, &bytes).unwrap();
    std::fs::remove_file(set.join("proof.json")).unwrap();
    assert_eq!(bed.adapter().perform(&work).await.unwrap_err().code, "LK5238");
    assert!(bed.file("main-1-20.db").exists(), "the failed file keeps its place");
}
