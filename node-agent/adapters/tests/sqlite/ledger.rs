//! Twins, other groups, and a door somebody opened by hand.

use super::bed::*;
use lockkeeper_adapters::database::DatabaseAdapter;
use std::process::Command;

#[tokio::test]
async fn another_group_is_named_and_blocks() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let mut other = Rollout::new("other-group").granted("n2", token(20));
    other.step(&adapter, "n1", Do::Shut, token(14)).await;
    other.step(&adapter, "n1", Do::Admit, token(20)).await;
    let ours = Rollout::new("c-1").granted("n2", token(900));
    for what in [Do::Shut, Do::Backup, Do::Admit, Do::Open] {
        let work = ours.work("n1", what, token(900));
        assert_eq!(refused(&adapter, &work).await, "LK5205", "{what:?}");
    }
    let failure = adapter.perform(&ours.work("n1", Do::Shut, token(900))).await.unwrap_err();
    assert!(failure.text.contains("other-group"), "{failure}");
}

#[tokio::test]
async fn a_copied_directory_is_a_twin() {
    let bed = Bed::new();
    let mut rollout = Rollout::new("c-1");
    rollout.step(&bed.adapter(), "n1", Do::Shut, token(14)).await;
    let moved = bed.home.path().join("moved");
    std::fs::rename(bed.directory(), &moved).unwrap();
    assert!(Command::new("cp").arg("-a").arg(&moved).arg(bed.directory()).status().unwrap().success());
    let work = rollout.work("n1", Do::Open, token(15));
    assert_eq!(refused(&bed.adapter(), &work).await, "LK5204");
    assert_eq!(bed.adapter().perform(&work).await.unwrap_err().code, "LK5204");
}

#[tokio::test]
async fn a_link_set_by_hand_while_the_door_is_shut_is_a_leak() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    rollout.step(&adapter, "n1", Do::Shut, token(14)).await;
    rollout.step(&adapter, "n1", Do::Admit, token(20)).await;
    std::os::unix::fs::symlink("main-1-20.db", bed.file("current")).unwrap();
    assert_eq!(refused(&adapter, &rollout.work("n1", Do::Admit, token(20))).await, "LK5234");
}

#[tokio::test]
async fn a_database_that_is_no_link_is_refused() {
    let bed = Bed::new();
    std::fs::remove_file(bed.file("current")).unwrap();
    std::fs::rename(bed.file("main.db"), bed.file("current")).unwrap();
    let work = Rollout::new("c-1").work("n1", Do::Shut, token(1));
    assert_eq!(refused(&bed.adapter(), &work).await, "LK5230");
    let failure = bed.adapter().facts(SCHEMA).await.unwrap_err();
    assert_eq!(failure.code, "LK5230");
}

#[tokio::test]
async fn a_query_must_answer_one_value() {
    let adapter = Bed::new();
    let adapter = adapter.adapter();
    for sql in
        ["select body from record", "select 1 where 0", "select 1, 2", "select raw from record where id = 1"]
    {
        assert_eq!(adapter.query_value(sql).await.unwrap_err().code, "LK5219", "{sql}");
    }
    assert_eq!(adapter.query_value("delete from record returning 1").await.unwrap_err().code, "LK5218");
    assert_eq!(adapter.query_value("select count(*) from record").await.unwrap(), "3");
}
