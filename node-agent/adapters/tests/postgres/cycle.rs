//! A whole rollout's database steps, and the same with a crash after every act.

use super::bed::*;
use lockkeeper_adapters::{database::{BeforeStart, DatabaseAdapter}, door::judge::Judgement};
use lockkeeper_agent::host::{Postcheck, Precheck};
use secrecy::ExposeSecret;

/// The upgrade the vendor's tool would do, with nothing but the values the holder is given.
async fn upgrade(bed: &Bed, holder: &dyn DatabaseAdapter, work: &lockkeeper_agent::host::Work) {
    let values = holder.holder_values(work).await.unwrap();
    let value = |key: &str| values[&format!("credential.{key}")].expose_secret().to_owned();
    let output = bed
        .server
        .psql(&value("user"), &value("database"))
        .env("PGPASSWORD", value("password"))
        .args(["-v", "ON_ERROR_STOP=1", "-h", &value("host"), "-p", &value("port"), "-c"])
        .arg("create table added (id int); update metadata set value = '26' where name = 'schema_version'")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_rollout_lets_one_holder_in_and_gives_everything_back() {
    let bed = Bed::new();
    let (executor, holder) = (bed.adapter("n1"), bed.adapter("n2"));
    let before = bed.logins();
    assert_eq!(before, "app,lockkeeper,postgres,reporting");
    let facts = executor.facts(SCHEMA).await.unwrap();
    assert_eq!(facts.schema, "23");
    assert!(facts.identity.contains('/'), "{facts:?}");
    // Without a ledger the boot guard finds nobody, and makes none.
    let calm = BeforeStart { busy: Vec::new(), schema: Some("23".into()) };
    assert_eq!(executor.before_start(SCHEMA).await.unwrap(), calm);
    assert_eq!(bed.server.sql("postgres", "select count(*) from pg_database where datname = 'lockkeeper'"), "0");

    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    rollout.step(&executor, "n1", Do::Quiet, token(11)).await;
    rollout.step(&executor, "n1", Do::Backup, token(12)).await;
    let proof = rollout.step(&executor, "n1", Do::Prove, token(13)).await;
    assert!(proof.evidence.contains("550 rows") || proof.evidence.contains("551 rows"), "{}", proof.evidence);
    let shut = rollout.step(&executor, "n1", Do::Shut, token(14)).await;
    assert!(shut.evidence.contains("nothing was written since the backup"), "{}", shut.evidence);
    assert_eq!(rollout.captured.as_deref(), Some(r#"{"logins":["app","reporting"]}"#));
    assert!(!bed.can_enter("app") && !bed.can_enter("reporting"));

    let minted = rollout.step(&holder, "n2", Do::Mint, token(20)).await;
    assert_eq!(minted.outputs["grant.main.login"], "lk_main_1_20");
    rollout.step(&executor, "n1", Do::Admit, token(20)).await;
    let busy = executor.before_start("").await.unwrap();
    assert_eq!((busy.busy.len(), busy.schema), (2, None), "{:?}", busy.busy);
    assert!(busy.busy[0].contains("of n2 is open") && busy.busy[1].contains("the door is shut"), "{:?}", busy.busy);
    let work = rollout.work("n2", Do::Mint, token(20));
    upgrade(&bed, &holder, &work).await;
    assert_eq!(
        bed.server.sql("appdb", "select tableowner from pg_tables where tablename = 'added'"),
        "appowner"
    );
    let (judgement, value) = executor.judge(&probe(), true).await.unwrap();
    assert_eq!((judgement, value.as_str()), (Judgement::Finished, "26"));

    rollout.inputs.insert("schema.main.query".into(), SCHEMA.into());
    let closed = rollout.step(&executor, "n1", Do::Close, token(20)).await;
    assert_eq!(closed.outputs["judge.main"], "26");
    assert_eq!(bed.server.sql("postgres", "select count(*) from pg_roles where rolname like 'lk\\_%'"), "0");
    let opened = rollout.step(&executor, "n1", Do::Open, token(30)).await;
    assert_eq!(opened.read_back, rollout.captured);
    assert_eq!(bed.logins(), before);
    let after = BeforeStart { busy: Vec::new(), schema: Some("26".into()) };
    assert_eq!(executor.before_start(SCHEMA).await.unwrap(), after);
    assert!(bed.can_enter("app"));
    let audit = bed.server.sql("lockkeeper", "select string_agg(act, ',' order by id) from ledger_1.audit");
    assert_eq!(audit, "shut-door,admit-holder,close-grant,grant-closed,open-door");
}

/// Every act is done, forgotten, looked at and done again, as after a crash between the act and its record.
#[tokio::test(flavor = "multi_thread")]
async fn every_act_twice_is_the_same_as_once() {
    let bed = Bed::new();
    let (executor, holder) = (bed.adapter("n1"), bed.adapter("n2"));
    let before = bed.logins();
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    let order = [
        (Do::Backup, 12),
        (Do::Prove, 13),
        (Do::Shut, 14),
        (Do::Mint, 20),
        (Do::Admit, 20),
        (Do::Close, 20),
        (Do::Open, 30),
    ];
    for (what, index) in order {
        let (me, adapter) = if what == Do::Mint { ("n2", &holder) } else { ("n1", &executor) };
        let work = rollout.work(me, what, token(index));
        let Precheck::Ready { captured } = adapter.precheck(&work).await else {
            panic!("{what:?} is not ready")
        };
        if what == Do::Shut {
            rollout.captured = Some(captured);
        }
        adapter.perform(&work).await.unwrap();
        // Crash: nothing was recorded, so a new life looks, and acts again without minding the answer.
        let again = adapter.precheck(&work).await;
        let Precheck::AlreadyDone(told) = again else { panic!("{what:?}: {again:?}") };
        adapter.perform(&work).await.unwrap();
        let Postcheck::Proven(done) = adapter.postcheck(&work).await else { panic!("{what:?}") };
        assert_eq!(done.outputs, told.outputs, "{what:?}");
        rollout.inputs.extend(done.outputs);
        if what == Do::Admit {
            upgrade(&bed, &holder, &work).await;
        }
        if what == Do::Open {
            assert_eq!(done.read_back, rollout.captured);
        }
    }
    assert_eq!(bed.logins(), before);
    assert_eq!(
        bed.server.sql("postgres", "select count(*) from pg_database where datname like 'lk\\_%'"),
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_inside_shutting_goes_on_with_what_was_captured() {
    let bed = Bed::new();
    let executor = bed.adapter("n1");
    let mut rollout = Rollout::new("c-1");
    rollout.step(&executor, "n1", Do::Shut, token(14)).await;
    let captured = rollout.captured.clone();
    // Another executor tries again under a higher token: what was taken before is not forgotten.
    let mut next = Rollout::new("c-1");
    next.step(&bed.adapter("n3"), "n3", Do::Shut, token(17)).await;
    assert_eq!(next.captured, captured);
    let opened = next.step(&executor, "n1", Do::Open, token(19)).await;
    assert_eq!(opened.read_back, captured);
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_before_the_door_was_shut_finds_nothing_to_give_back() {
    let bed = Bed::new();
    let executor = bed.adapter("n1");
    let mut rollout = Rollout::new("c-1");
    rollout.captured = Some(r#"{"logins":["app","reporting"]}"#.into());
    let opened = rollout.step(&executor, "n1", Do::Open, token(9)).await;
    assert_eq!(opened.read_back, rollout.captured);
    // A login that somebody else disabled is not ours to enable.
    rollout.captured = Some(r#"{"logins":["app","frozen"]}"#.into());
    let work = rollout.work("n1", Do::Open, token(10));
    assert!(matches!(executor.precheck(&work).await, Precheck::Mismatch { .. }));
    assert_eq!(act_refused(&executor, &work).await.code, "LK5208");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_disabled_stays_disabled() {
    let bed = Bed::new();
    bed.server.sql("postgres", "alter role reporting nologin");
    let executor = bed.adapter("n1");
    let mut rollout = Rollout::new("c-1");
    rollout.step(&executor, "n1", Do::Shut, token(14)).await;
    rollout.step(&executor, "n1", Do::Open, token(15)).await;
    assert_eq!(bed.logins(), "app,lockkeeper,postgres");
}
