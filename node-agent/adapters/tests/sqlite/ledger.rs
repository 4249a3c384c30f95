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

fn marked(
    rollout: &Rollout,
    what: Do,
    at: lockkeeper_core::ids::Token,
    marks: &[(u64, u64)],
) -> lockkeeper_agent::host::Work {
    let mut made = lockkeeper_core::rollout::Marks::default();
    for (index, nonce) in marks {
        made.add([&main_database()], lockkeeper_core::rollout::Mark { token: token(*index), nonce: *nonce });
    }
    lockkeeper_agent::host::Work { marks: made.into(), ..rollout.work("n1", what, at) }
}

#[tokio::test]
async fn of_two_groups_with_one_name_only_the_first_to_act_goes_on() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let rollout = Rollout::new("c-1");
    // Both have handed out the same step at the same place of their logs.
    let original = marked(&rollout, Do::Shut, token(14), &[(10, 7), (14, 1)]);
    let copy = marked(&rollout, Do::Shut, token(14), &[(10, 7), (14, 2)]);
    adapter.look_group(&copy).await.unwrap();
    adapter.mark_group(&original).await.unwrap();
    adapter.look_group(&original).await.unwrap();
    for answer in [adapter.look_group(&copy).await, adapter.mark_group(&copy).await] {
        assert_eq!(answer.unwrap_err().code.as_str(), "LK5239");
    }
    // However long its log grows.
    let later = marked(&rollout, Do::Shut, token(900), &[(10, 7), (14, 2), (900, 3)]);
    assert_eq!(adapter.mark_group(&later).await.unwrap_err().code.as_str(), "LK5239");
    let last = "select generation || '.' || idx || '/' || nonce || ' ' || member from mark_1";
    let found: String = rusqlite::Connection::open(bed.file("ledger.db"))
        .unwrap()
        .query_row(last, [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, "1.14/0000000000000001 n1");
    adapter.mark_group(&marked(&rollout, Do::Open, token(20), &[(14, 1), (20, 5)])).await.unwrap();

    // The way out that `explain twin-group` shows.
    bed.sql("ledger.db", "delete from mark_1 where grp = 'c-1'");
    adapter.mark_group(&later).await.unwrap();
    assert_eq!(adapter.mark_group(&original).await.unwrap_err().code.as_str(), "LK5239");
}

#[tokio::test]
async fn a_ledger_that_was_taken_back_is_raised() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let rollout = Rollout::new("c-1");
    adapter.mark_group(&marked(&rollout, Do::Shut, token(10), &[(10, 7)])).await.unwrap();
    std::fs::copy(bed.file("ledger.db"), bed.file("kept.db")).unwrap();
    let now = marked(&rollout, Do::Open, token(20), &[(10, 7), (20, 8)]);
    adapter.mark_group(&now).await.unwrap();
    std::fs::rename(bed.file("kept.db"), bed.file("ledger.db")).unwrap();
    adapter.mark_group(&now).await.unwrap();
    let before = marked(&rollout, Do::Open, token(20), &[(10, 7), (20, 9)]);
    assert_eq!(adapter.mark_group(&before).await.unwrap_err().code.as_str(), "LK5239", "it was raised");
}
