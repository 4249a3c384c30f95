//! The way back after the point of no return: the proven set takes the name, the failed database is kept and closed,
//! the ledger goes on, and nothing but the set of this rollout is ever restored.

use super::bed::*;
use lockkeeper_adapters::database::DatabaseAdapter;
use lockkeeper_agent::host::{Postcheck, Precheck};
use std::path::PathBuf;

/// Everything the application holds, as one text, without our code.
const CONTENT: &str = "select md5(string_agg(r::text, ',' order by r.id)) || (select value from metadata where name = 'schema_version') from record r";

/// A rollout whose migration broke half-way: grant closed, door shut, schema touched.
async fn touched() -> (Bed, Rollout, PathBuf, String) {
    let bed = Bed::new();
    bed.server.sql(
        "postgres",
        "alter database appdb connection limit 70; comment on database appdb is 'the application'",
    );
    let before = bed.server.sql("appdb", CONTENT);
    let executor = bed.adapter("n1");
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    let done = rollout.step(&executor, "n1", Do::Backup, token(12)).await;
    for (what, index) in [(Do::Prove, 13), (Do::Shut, 14)] {
        rollout.step(&executor, "n1", what, token(index)).await;
    }
    rollout.step(&bed.adapter("n2"), "n2", Do::Mint, token(20)).await;
    rollout.step(&executor, "n1", Do::Admit, token(20)).await;
    bed.server.sql(
        "appdb",
        "update metadata set value = '24' where name = 'schema_version'; delete from record where id > 300; drop view recent",
    );
    rollout.step(&executor, "n1", Do::Close, token(20)).await;
    rollout.grants.clear();
    (bed, rollout, PathBuf::from(&done.outputs["backup.main.set"]), before)
}

fn databases(bed: &Bed) -> String {
    bed.server.sql("postgres", "select string_agg(datname, ',' order by datname) from pg_database where datname like '%appdb%' or datname like 'lk%'")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touched_database_is_what_it_was_and_the_failed_one_is_kept() {
    let (bed, mut rollout, _set, before) = touched().await;
    let executor = bed.adapter("n1");
    rollout.step(&executor, "n1", Do::Quiet, token(31)).await;
    rollout.step(&executor, "n1", Do::Shut, token(32)).await;
    let done = rollout.step(&executor, "n1", Do::Restore, token(33)).await;
    assert!(done.evidence.contains("appdb_failed_set-7"), "{}", done.evidence);
    assert_eq!(bed.server.sql("appdb", CONTENT), before);
    assert_eq!(bed.server.sql("appdb", "select count(*) from recent"), "100");
    assert_eq!(databases(&bed), "appdb,appdb_failed_set-7");
    let kept = "select datallowconn::text || ' ' || (select datconnlimit || ' ' || shobj_description(oid, 'pg_database')
                from pg_database where datname = 'appdb') from pg_database where datname = 'appdb_failed_set-7'";
    assert_eq!(bed.server.sql("postgres", kept), "false 70 the application");
    assert!(!bed.can_enter("app"), "the door is still shut");
    // Said again, as after a crash: nothing is done twice.
    let work = rollout.work("n1", Do::Restore, token(33));
    executor.perform(&work).await.unwrap();
    assert!(matches!(executor.precheck(&work).await, Precheck::AlreadyDone(_)));
    assert_eq!(databases(&bed), "appdb,appdb_failed_set-7");
    // The ledger was raised: an executor that slept through it can neither open nor restore.
    for what in [Do::Open, Do::Restore] {
        assert_eq!(
            act_refused(&executor, &rollout.work("n1", what, token(32))).await.code,
            "LK5201",
            "{what:?}"
        );
    }
    rollout.step(&executor, "n1", Do::Open, token(34)).await;
    assert!(bed.can_enter("app") && bed.can_enter("reporting"));
    assert_eq!(executor.facts(SCHEMA).await.unwrap().schema, "23");
    // Another restore of the same set keeps the second failed database beside the first.
    bed.server.sql("appdb", "update metadata set value = '25' where name = 'schema_version'");
    rollout.step(&executor, "n1", Do::Shut, token(40)).await;
    rollout.step(&executor, "n1", Do::Restore, token(41)).await;
    assert_eq!(bed.server.sql("appdb", CONTENT), before);
    assert_eq!(databases(&bed), "appdb,appdb_failed_set-7,appdb_failed_set-7_2");
}

/// Whatever is wrong with the set, or the door, the failed database keeps its name and nothing is left beside it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_this_rollouts_proven_set_is_not_restored() {
    let (bed, rollout, set, before) = touched().await;
    let executor = bed.adapter("n1");
    let restore = rollout.work("n1", Do::Restore, token(33));
    let (dump, proof) = (set.join("database.dump"), set.join("proof.json"));
    let (bytes, text) = (std::fs::read(&dump).unwrap(), std::fs::read_to_string(&proof).unwrap());
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    for (damaged, code) in [(bytes[..bytes.len() / 2].to_vec(), "LK5235"), (flipped, "LK5236")] {
        std::fs::write(&dump, damaged).unwrap();
        assert_eq!(act_refused(&executor, &restore).await.code, code);
    }
    std::fs::write(&dump, &bytes).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let content = value["content"].as_str().unwrap().to_owned();
    for (found, code) in [("", "LK5238"), ("0123", "LK5222")] {
        value["content"] = found.into();
        std::fs::write(&proof, serde_json::to_vec(&value).unwrap()).unwrap();
        assert_eq!(act_refused(&executor, &restore).await.code, code, "content {found:?}");
    }
    value["content"] = content.into();
    std::fs::write(&proof, serde_json::to_vec(&value).unwrap()).unwrap();
    let mut open = rollout.clone().granted("n2", token(35));
    open.step(&bed.adapter("n2"), "n2", Do::Mint, token(35)).await;
    open.step(&executor, "n1", Do::Admit, token(35)).await;
    assert_eq!(act_refused(&executor, &rollout.work("n1", Do::Restore, token(36))).await.code, "LK5206");
    open.step(&executor, "n1", Do::Close, token(35)).await;
    assert_eq!(databases(&bed), "appdb");
    executor.perform(&rollout.work("n1", Do::Restore, token(37))).await.unwrap();
    assert!(matches!(
        executor.postcheck(&rollout.work("n1", Do::Restore, token(37))).await,
        Postcheck::Proven(_)
    ));
    assert_eq!(bed.server.sql("appdb", CONTENT), before);
}

/// What the application writes after the door was reopened is counted when everybody is out again.
#[tokio::test(flavor = "multi_thread")]
async fn rows_written_since_the_door_was_reopened_are_counted() {
    let (bed, mut rollout, _set, _before) = touched().await;
    let executor = bed.adapter("n1");
    let before = rollout.clone().step(&executor, "n1", Do::Quiet, token(30)).await;
    assert!(before.outputs.is_empty(), "nothing to compare with: {before:?}");
    rollout.step(&executor, "n1", Do::Open, token(31)).await;
    let none = rollout.clone().step(&executor, "n1", Do::Quiet, token(32)).await;
    assert_eq!(none.outputs["loss.main"], "0");
    bed.server.sql("appdb", "insert into record (body) select 'new' from generate_series(1, 17)");
    let some = rollout.clone().step(&executor, "n1", Do::Quiet, token(33)).await;
    assert_eq!(some.outputs["loss.main"], "17");
    bed.server.sql("appdb", "select pg_stat_reset()");
    let unknown = rollout.step(&executor, "n1", Do::Quiet, token(34)).await;
    assert_eq!(unknown.outputs["loss.main"], "uncounted");
}
