//! Sets that are damaged, stale or not equal are refused, and scratch databases never stay.

use super::bed::*;
use lockkeeper_adapters::database::DatabaseAdapter;
use lockkeeper_agent::host::Precheck;
use lockkeeper_core::ids::{ClusterId, Digest};
use std::path::{Path, PathBuf};

async fn with_set() -> (Bed, Rollout, PathBuf) {
    let bed = Bed::new();
    let mut rollout = Rollout::new("c-1");
    let done = rollout.step(&bed.adapter("n1"), "n1", Do::Backup, token(12)).await;
    let set = PathBuf::from(&done.outputs["backup.main.set"]);
    (bed, rollout, set)
}

async fn prove(bed: &Bed, rollout: &Rollout) -> String {
    act_refused(&bed.adapter("n1"), &rollout.work("n1", Do::Prove, token(13))).await.code
}

fn scratch(bed: &Bed) -> String {
    bed.server.sql("postgres", "select count(*) from pg_database where datname like 'lk\\_scratch\\_%'")
}

/// Makes the manifest agree with a damaged dump, so that only the restore can notice.
fn agree(set: &Path) -> Digest {
    let manifest = set.join("manifest.json");
    let mut value: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    let dump = std::fs::read(set.join("database.dump")).unwrap();
    value["files"]["database.dump"]["bytes"] = dump.len().into();
    value["files"]["database.dump"]["blake3"] = Digest::of(&dump).0.into();
    let bytes = serde_json::to_vec(&value).unwrap();
    std::fs::write(&manifest, &bytes).unwrap();
    Digest::of(&bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_and_flipped_dumps_are_refused() {
    let (bed, mut rollout, set) = with_set().await;
    let dump = set.join("database.dump");
    let whole = std::fs::read(&dump).unwrap();
    std::fs::write(&dump, &whole[..whole.len() * 6 / 10]).unwrap();
    assert_eq!(prove(&bed, &rollout).await, "LK5235");
    // A truncated dump whose manifest was written over it: the restore notices.
    rollout.inputs.insert("backup.main.digest".into(), agree(&set).0);
    assert_eq!(prove(&bed, &rollout).await, "LK5220");
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(&dump, &flipped).unwrap();
    assert_eq!(prove(&bed, &rollout).await, "LK5236");
    std::fs::remove_file(&dump).unwrap();
    assert_eq!(prove(&bed, &rollout).await, "LK5221");
    assert_eq!(scratch(&bed), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_set_under_the_same_name_is_refused() {
    let (bed, rollout, set) = with_set().await;
    agree(&set);
    assert_eq!(prove(&bed, &rollout).await, "LK5236");
    assert_eq!(refused(&bed.adapter("n1"), &rollout.work("n1", Do::Prove, token(13))).await, "LK5236");
}

/// A set of another rollout lies beside: neither its dump nor its manifest is taken for a part of this set.
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_two_sets_are_refused() {
    let (bed, rollout, set) = with_set().await;
    let mut other = rollout.clone();
    other.id = lockkeeper_core::ids::RolloutId(8);
    bed.server.sql("appdb", "update record set body = 'changed' where id = 7");
    let mut work = other.work("n1", Do::Backup, token(50));
    let lockkeeper_core::plan::Action::Backup(action) = &mut work.action else { unreachable!() };
    action.set = "set-8".into();
    bed.adapter("n1").perform(&work).await.unwrap();
    let theirs = set.with_file_name("set-8");
    for part in ["database.dump", "manifest.json"] {
        let own = std::fs::read(set.join(part)).unwrap();
        std::fs::copy(theirs.join(part), set.join(part)).unwrap();
        assert_eq!(prove(&bed, &rollout).await, "LK5237", "{part}");
        std::fs::write(set.join(part), own).unwrap();
    }
    assert_eq!(scratch(&bed), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_after_the_backup_voids_it() {
    let (bed, mut rollout, set) = with_set().await;
    bed.server.sql("appdb", "update record set body = 'changed' where id = 7");
    assert_eq!(prove(&bed, &rollout).await, "LK5223");
    let executor = bed.adapter("n1");
    let work = rollout.work("n1", Do::Shut, token(14));
    executor.perform(&work).await.unwrap();
    let after = format!("{:?}", executor.postcheck(&work).await);
    assert!(after.contains("LK5223"), "{after}");
    assert!(matches!(
        executor.precheck(&rollout.work("n1", Do::Backup, token(15))).await,
        Precheck::Ready { .. }
    ));
    rollout.step(&executor, "n1", Do::Backup, token(15)).await;
    rollout.step(&executor, "n1", Do::Prove, token(16)).await;
    assert!(set.with_file_name("set-7.aside-1-15").exists());
}

/// A dump of another state, with a manifest of this one: what a broken dump program would leave. Every kind of
/// difference must be seen by the comparison.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_differs_in_anything_is_refused() {
    let changes = [
        ("update record set body = 'other' where id = 7", "update record set body = 'row 7' where id = 7"),
        ("select setval('record_id_seq', 900)", "select setval('record_id_seq', 500)"),
        ("alter table record owner to lockkeeper", "alter table record owner to appowner"),
        ("grant delete on record to reporting", "revoke delete on record from reporting"),
        ("drop index record_body", "create index record_body on record (body)"),
        ("alter table record add check (id > 0)", "alter table record drop constraint record_id_check"),
        ("alter type mood add value 'fog'", ""),
    ];
    let (bed, mut rollout, set) = with_set().await;
    let good = std::fs::read(set.join("manifest.json")).unwrap();
    for (change, back) in changes {
        bed.server.sql("appdb", change);
        rollout.inputs.clear();
        let live = bed.adapter("n1");
        // The set was taken before the change; its counters are made to agree with now.
        let mut value: serde_json::Value = serde_json::from_slice(&good).unwrap();
        let now = counter(&bed, &live, &rollout).await;
        value["after"]["counter"] = now.into();
        std::fs::write(set.join("manifest.json"), serde_json::to_vec(&value).unwrap()).unwrap();
        assert_eq!(prove(&bed, &rollout).await, "LK5222", "{change}");
        if !back.is_empty() {
            bed.server.sql("appdb", back);
        }
    }
    assert_eq!(scratch(&bed), "0");
}

/// The write counter as it is now: taken from a second set.
async fn counter(bed: &Bed, adapter: &dyn DatabaseAdapter, rollout: &Rollout) -> String {
    let mut other = rollout.clone();
    other.id = lockkeeper_core::ids::RolloutId(8);
    let mut work = other.work("n1", Do::Backup, token(50));
    let lockkeeper_core::plan::Action::Backup(action) = &mut work.action else { unreachable!() };
    action.set = "counter".into();
    std::fs::remove_dir_all(Path::new(&bed.spec.backups).join("counter")).ok();
    adapter.perform(&work).await.unwrap();
    let manifest = std::fs::read(Path::new(&bed.spec.backups).join("counter/manifest.json")).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    value["after"]["counter"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scratch_database_of_a_crashed_proof_is_swept_and_a_foreign_one_is_not() {
    let (bed, mut rollout, _set) = with_set().await;
    bed.server.sql("postgres", "create database lk_scratch_main_1_9");
    bed.server
        .sql("postgres", "comment on database lk_scratch_main_1_9 is 'restored by lockkeeper for group c-1'");
    bed.server.sql("postgres", "create database lk_scratch_theirs");
    rollout.step(&bed.adapter("n1"), "n1", Do::Prove, token(13)).await;
    let left = "select string_agg(datname, ',') from pg_database where datname like 'lk%'";
    assert_eq!(bed.server.sql("postgres", left), "lk_scratch_theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_restored_beside_with_settings_and_privileges() {
    let bed = Bed::new();
    bed.server.sql("postgres", "grant connect on database appdb to reporting; revoke connect on database appdb from public; grant connect on database appdb to app with grant option");
    let mut rollout = Rollout::new("c-1");
    let done = rollout.step(&bed.adapter("n1"), "n1", Do::Backup, token(12)).await;
    rollout.step(&bed.adapter("n1"), "n1", Do::Prove, token(13)).await;
    let set = PathBuf::from(&done.outputs["backup.main.set"]);
    let group = ClusterId("c-1".into());
    bed.adapter("n1").restore_beside(&set, "appdb_restored", &group).await.unwrap();
    assert_eq!(bed.server.sql("appdb_restored", "select count(*) from record"), "500");
    assert_eq!(bed.server.sql("appdb_restored", "show work_mem"), "5MB");
    let privileges = "select datacl from pg_database where datname = ";
    assert_eq!(
        bed.server.sql("postgres", &format!("{privileges}'appdb_restored'")).len(),
        bed.server.sql("postgres", &format!("{privileges}'appdb'")).len()
    );
    let again = bed.adapter("n1").restore_beside(&set, "appdb_restored", &group).await;
    assert_eq!(again.unwrap_err().code, "LK5218");
    assert_eq!(
        bed.server.sql("appdb_restored", "select count(*) from record"),
        "500",
        "the name's owner is untouched"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_is_in_no_argument_and_no_file_afterwards() {
    let (bed, mut rollout, _set) = with_set().await;
    rollout.step(&bed.adapter("n1"), "n1", Do::Prove, token(13)).await;
    let mut left = Vec::new();
    let mut open = vec![bed.home().to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains("lockkeeper-secret") {
                left.push(path);
            }
        }
    }
    assert!(left.is_empty(), "{left:?}");
}
