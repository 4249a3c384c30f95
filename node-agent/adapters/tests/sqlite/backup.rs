//! Sets that are damaged, stale or not equal are refused.

use super::bed::*;
use lockkeeper_adapters::database::DatabaseAdapter;
use lockkeeper_agent::host::Precheck;
use lockkeeper_core::ids::ClusterId;
use std::path::PathBuf;

async fn with_set() -> (Bed, Rollout, PathBuf) {
    let bed = Bed::new();
    let mut rollout = Rollout::new("c-1");
    let done = rollout.step(&bed.adapter(), "n1", Do::Backup, token(12)).await;
    let set = PathBuf::from(&done.outputs["backup.main.set"]);
    (bed, rollout, set)
}

async fn prove(bed: &Bed, rollout: &Rollout) -> String {
    bed.adapter().perform(&rollout.work("n1", Do::Prove, token(13))).await.unwrap_err().code
}

#[tokio::test]
async fn a_truncated_copy_is_refused() {
    let (bed, rollout, set) = with_set().await;
    let file = set.join("database.db");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() * 6 / 10]).unwrap();
    assert_eq!(prove(&bed, &rollout).await, "LK5235");
}

#[tokio::test]
async fn every_flipped_byte_is_refused() {
    let (bed, rollout, set) = with_set().await;
    let file = set.join("database.db");
    let bytes = std::fs::read(&file).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 7) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        std::fs::write(&file, &flipped).unwrap();
        assert_eq!(prove(&bed, &rollout).await, "LK5236", "byte {at}");
    }
    std::fs::write(&file, &bytes).unwrap();
    bed.adapter().perform(&rollout.work("n1", Do::Prove, token(13))).await.unwrap();
    assert!(
        std::fs::read_dir(bed.directory())
            .unwrap()
            .all(|entry| { !entry.unwrap().file_name().to_string_lossy().contains("scratch") })
    );
}

#[tokio::test]
async fn an_altered_manifest_and_a_stray_file_are_refused() {
    let (bed, rollout, set) = with_set().await;
    std::fs::write(set.join("stray"), "x").unwrap();
    assert_eq!(prove(&bed, &rollout).await, "LK5237");
    std::fs::remove_file(set.join("stray")).unwrap();
    let manifest = set.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("\"rollout\": 7", "\"rollout\": 7 ")).unwrap();
    assert_eq!(prove(&bed, &rollout).await, "LK5236");
    std::fs::write(&manifest, &text[..text.len() / 2]).unwrap();
    assert_eq!(prove(&bed, &rollout).await, "LK5221");
}

#[tokio::test]
async fn a_write_after_the_backup_voids_it() {
    let (bed, mut rollout, set) = with_set().await;
    bed.sql("current", "insert into record (body) values ('later')");
    assert_eq!(prove(&bed, &rollout).await, "LK5222");
    let work = rollout.work("n1", Do::Shut, token(14));
    bed.adapter().perform(&work).await.unwrap();
    let after = bed.adapter().postcheck(&work).await;
    assert!(format!("{after:?}").contains("LK5223"), "{after:?}");
    // A new attempt at the backup takes a new set and keeps the old one aside.
    assert!(matches!(
        bed.adapter().precheck(&rollout.work("n1", Do::Backup, token(15))).await,
        Precheck::Ready { .. }
    ));
    rollout.step(&bed.adapter(), "n1", Do::Backup, token(15)).await;
    rollout.step(&bed.adapter(), "n1", Do::Prove, token(16)).await;
    assert!(set.with_file_name("set-7.aside-1-15").exists());
}

#[tokio::test]
async fn a_set_is_restored_beside_and_never_over() {
    let (bed, _rollout, set) = with_set().await;
    let group = ClusterId("c-1".into());
    bed.adapter().restore_beside(&set, "main-restored.db", &group).await.unwrap();
    assert_eq!(bed.value("main-restored.db", "select count(*) from record"), "Integer(3)");
    let again = bed.adapter().restore_beside(&set, "main-restored.db", &group).await;
    assert_eq!(again.unwrap_err().code, "LK5230");
}
