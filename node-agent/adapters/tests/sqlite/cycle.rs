//! A whole rollout's database steps on one file, and every act twice.

use super::bed::*;
use lockkeeper_adapters::{database::{BeforeStart, DatabaseAdapter}, door::judge::Judgement};
use lockkeeper_agent::host::{Postcheck, Precheck};
use secrecy::ExposeSecret;

#[tokio::test]
async fn a_whole_rollout_gives_the_holder_a_file_of_its_own() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    let facts = adapter.facts(SCHEMA).await.unwrap();
    assert_eq!(facts.schema, "1");
    assert!(facts.identity.starts_with("4711/"));
    let calm = BeforeStart { busy: Vec::new(), schema: Some("1".into()) };
    assert_eq!(adapter.before_start(SCHEMA).await.unwrap(), calm);
    rollout.step(&adapter, "n1", Do::Quiet, token(11)).await;
    rollout.step(&adapter, "n1", Do::Backup, token(12)).await;
    let proof = rollout.step(&adapter, "n1", Do::Prove, token(13)).await;
    assert!(proof.evidence.contains("3 tables, 5 rows"), "{}", proof.evidence);
    let shut = rollout.step(&adapter, "n1", Do::Shut, token(14)).await;
    assert!(shut.evidence.contains("nothing was written since the backup"), "{}", shut.evidence);
    assert_eq!(bed.current(), None);
    rollout.step(&adapter, "n2", Do::Mint, token(20)).await;
    let admitted = rollout.step(&adapter, "n1", Do::Admit, token(20)).await;
    let path = admitted.outputs["database.main.path"].clone();
    let work = rollout.work("n2", Do::Mint, token(20));
    let values = adapter.holder_values(&work).await.unwrap();
    assert_eq!(values["database.main.path"].expose_secret(), path);
    let busy = adapter.before_start("").await.unwrap();
    assert_eq!((busy.busy.len(), busy.schema), (2, None), "{:?}", busy.busy);
    assert!(busy.busy[0].contains("of n2 is open") && busy.busy[1].contains("the door is shut"), "{:?}", busy.busy);
    assert!(bed.file("main.db.fenced").exists() && !bed.file("main.db").exists());
    assert_eq!(adapter.judge(&probe(), false).await.unwrap().0, Judgement::Untouched);
    let mut tool = Holder::open(path.as_ref());
    tool.run("update schema set version = '2'");
    drop(tool);
    assert_eq!(adapter.judge(&probe(), true).await.unwrap().0, Judgement::Finished);
    rollout.inputs.insert("schema.main.query".into(), SCHEMA.into());
    let closed = rollout.step(&adapter, "n1", Do::Close, token(20)).await;
    assert_eq!(closed.outputs["judge.main"], "2");
    let opened = rollout.step(&adapter, "n1", Do::Open, token(30)).await;
    assert_eq!(opened.read_back, rollout.captured);
    assert_eq!(bed.current().as_deref(), Some("main-1-20.db"));
    assert_eq!(bed.value("current", "pragma journal_mode"), "Text([119, 97, 108])");
    let after = BeforeStart { busy: Vec::new(), schema: Some("2".into()) };
    assert_eq!(adapter.before_start(SCHEMA).await.unwrap(), after);
    assert_eq!(adapter.facts(SCHEMA).await.unwrap().schema, "2");
    assert!(adapter.late_writes().unwrap().values().all(|commits| *commits == 0));
}

#[tokio::test]
async fn every_act_twice_is_the_same_as_once() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    let order =
        [(Do::Backup, 12), (Do::Prove, 13), (Do::Shut, 14), (Do::Admit, 20), (Do::Close, 20), (Do::Open, 30)];
    for (what, index) in order {
        let work = rollout.work("n1", what, token(index));
        let Precheck::Ready { captured } = adapter.precheck(&work).await else {
            panic!("{what:?} is not ready")
        };
        if what == Do::Shut {
            rollout.captured = Some(captured);
        }
        adapter.perform(&work).await.unwrap();
        let again = adapter.precheck(&work).await;
        let Precheck::AlreadyDone(told) = again else { panic!("{what:?}: {again:?}") };
        adapter.perform(&work).await.unwrap();
        let Postcheck::Proven(done) = adapter.postcheck(&work).await else { panic!("{what:?}") };
        assert_eq!(done.outputs, told.outputs, "{what:?}");
        rollout.inputs.extend(done.outputs);
        if what == Do::Open {
            assert_eq!(done.read_back, rollout.captured);
        }
    }
    assert_eq!(bed.current().as_deref(), Some("main-1-20.db"));
}

#[tokio::test]
async fn undo_before_any_grant_gives_the_first_file_back() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let mut rollout = Rollout::new("c-1");
    rollout.step(&adapter, "n1", Do::Shut, token(14)).await;
    let opened = rollout.step(&adapter, "n1", Do::Open, token(15)).await;
    assert_eq!(opened.read_back, rollout.captured);
    assert_eq!(bed.current().as_deref(), Some("main.db"));
}

#[tokio::test]
async fn undo_before_the_door_was_shut_finds_nothing_to_give_back() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let mut shut = Rollout::new("c-1");
    let Precheck::Ready { captured } = adapter.precheck(&shut.work("n1", Do::Shut, token(9))).await else {
        panic!("not ready")
    };
    shut.captured = Some(captured.clone());
    assert_eq!(shut.step(&adapter, "n1", Do::Open, token(10)).await.read_back, Some(captured));
    std::fs::remove_file(bed.file("current")).unwrap();
    assert!(matches!(
        adapter.precheck(&shut.work("n1", Do::Open, token(11))).await,
        Precheck::Mismatch { .. }
    ));
}

#[tokio::test]
async fn a_second_rollout_goes_on_from_the_granted_file() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    for (index, version) in [(20, "2"), (40, "3")] {
        let mut rollout = Rollout::new("c-1").granted("n2", token(index));
        rollout.step(&adapter, "n1", Do::Shut, token(index - 1)).await;
        let admitted = rollout.step(&adapter, "n1", Do::Admit, token(index)).await;
        let mut tool = Holder::open(admitted.outputs["database.main.path"].as_ref());
        tool.run(&format!("update schema set version = '{version}'"));
        drop(tool);
        rollout.step(&adapter, "n1", Do::Close, token(index)).await;
        rollout.step(&adapter, "n1", Do::Open, token(index + 1)).await;
        assert_eq!(adapter.facts(SCHEMA).await.unwrap().schema, version);
    }
    assert_eq!(bed.current().as_deref(), Some("main-1-40.db"));
}
