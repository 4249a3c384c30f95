//! Holders that do not let go, strangers, and crashes inside the acts.

use super::bed::*;
use lockkeeper_adapters::database::DatabaseAdapter;
use lockkeeper_agent::host::Precheck;

#[tokio::test]
async fn a_process_nobody_stopped_is_named_and_left_alone() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let rollout = Rollout::new("c-1");
    let stranger = Holder::open(&bed.file("current"));
    for what in [Do::Quiet, Do::Shut, Do::Backup] {
        let Precheck::Blocked(blocked) = adapter.precheck(&rollout.work("n1", what, token(9))).await else {
            panic!("{what:?} was not blocked")
        };
        assert_eq!(blocked.code, "LK5202", "{what:?}");
        for told in ["forgotten-node", "python3", &format!("pid {}", stranger.pid()), "nothing was ended"] {
            assert!(blocked.text.contains(told), "{told:?} is not in {:?}", blocked.text);
        }
    }
    drop(stranger);
    assert!(matches!(
        adapter.precheck(&rollout.work("n1", Do::Quiet, token(9))).await,
        Precheck::AlreadyDone(_)
    ));
}

#[tokio::test]
async fn a_frozen_holder_thawed_after_takeover_writes_where_nobody_reads() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    rollout.step(&adapter, "n1", Do::Shut, token(14)).await;
    let first = rollout.step(&adapter, "n1", Do::Admit, token(20)).await;
    let mut frozen = Holder::open(first.outputs["database.main.path"].as_ref());
    frozen.run("insert into record (body) values ('committed before')");
    frozen.run("begin immediate");
    frozen.run("insert into record (body) values ('in the open transaction')");
    frozen.freeze();
    // The holder cannot be proven out by looking, so its file is replaced.
    let closed = rollout.step(&adapter, "n1", Do::Close, token(20)).await;
    assert!(closed.evidence.contains("main-1-20.after.db is live"), "{}", closed.evidence);
    // A further grant, to another member.
    let mut rollout = rollout.granted("n3", token(40));
    let second = rollout.step(&adapter, "n1", Do::Admit, token(40)).await;
    let mut holder = Holder::open(second.outputs["database.main.path"].as_ref());
    frozen.thaw();
    frozen.run("update schema set version = '99'");
    frozen.run("commit");
    frozen.run("insert into record (body) values ('late')");
    holder.run("update schema set version = '2'");
    drop(holder);
    let closed = rollout.step(&adapter, "n1", Do::Close, token(40)).await;
    assert!(closed.evidence.contains("diverted: 2 commits in main-1-20.db.fenced"), "{}", closed.evidence);
    assert_eq!(adapter.late_writes().unwrap()["main-1-20.db.fenced"], 2);
    rollout.step(&adapter, "n1", Do::Open, token(50)).await;
    assert_eq!(adapter.facts(SCHEMA).await.unwrap().schema, "2");
    let bodies = "select group_concat(body, ',') from record";
    assert_eq!(adapter.query_value(bodies).await.unwrap(), "a,b,c,committed before");
}

#[tokio::test]
async fn stale_tokens_are_refused_at_every_act() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    rollout.step(&adapter, "n1", Do::Shut, token(14)).await;
    rollout.step(&adapter, "n1", Do::Admit, token(20)).await;
    rollout.step(&adapter, "n1", Do::Close, token(20)).await;
    let mut rollout = rollout.granted("n3", token(40));
    rollout.step(&adapter, "n1", Do::Admit, token(40)).await;
    let stale = rollout.clone().granted("n2", token(20));
    for (what, at, code) in [
        (Do::Shut, 14, "LK5201"),
        (Do::Admit, 20, "LK5207"),
        (Do::Close, 20, "LK5201"),
        (Do::Open, 30, "LK5201"),
    ] {
        let work = stale.work("n1", what, token(at));
        assert_eq!(refused(&adapter, &work).await, code, "{what:?}");
        assert_eq!(adapter.perform(&work).await.unwrap_err().code, code, "{what:?}");
    }
    assert_eq!(bed.current(), None);
    rollout.step(&adapter, "n1", Do::Close, token(40)).await;
}

#[tokio::test]
async fn a_grant_closed_before_it_opened_never_opens() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    rollout.step(&adapter, "n1", Do::Shut, token(14)).await;
    rollout.step(&adapter, "n1", Do::Close, token(20)).await;
    assert_eq!(refused(&adapter, &rollout.work("n1", Do::Admit, token(20))).await, "LK5207");
    rollout.step(&adapter, "n1", Do::Open, token(30)).await;
    assert_eq!(bed.current().as_deref(), Some("main.db"));
}

/// Crashes inside the acts leave the files half-way; the repetition must end where an undisturbed act ends.
#[tokio::test]
async fn crashes_inside_an_act_are_finished_by_its_repetition() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    // The link went, but the ledger still says `shutting`.
    rollout.step(&adapter, "n1", Do::Shut, token(14)).await;
    bed.sql("ledger.db", "update door_1 set state = 'shutting'");
    rollout.step(&adapter, "n1", Do::Shut, token(14)).await;
    assert_eq!(bed.current(), None);
    // The copy was begun, not finished.
    std::fs::write(bed.file("main-1-20.db.part"), "half a copy").unwrap();
    rollout.step(&adapter, "n1", Do::Admit, token(20)).await;
    // The file was fenced, but the ledger still says `opening` and names the earlier file.
    bed.sql(
        "ledger.db",
        "update grant_1 set state = 'opening'; update door_1 set live = 'main.db'; delete from fenced_1",
    );
    rollout.step(&adapter, "n1", Do::Admit, token(20)).await;
    assert!(bed.file("main.db.fenced").exists());
    // The same, and then it is closed instead of opened.
    bed.sql("ledger.db", "update grant_1 set state = 'opening'; update door_1 set live = 'main.db'");
    rollout.step(&adapter, "n1", Do::Close, token(20)).await;
    // The link was set, but the ledger still says `shut`.
    std::os::unix::fs::symlink("main-1-20.db", bed.file("current")).unwrap();
    rollout.step(&adapter, "n1", Do::Open, token(30)).await;
    assert_eq!(bed.current().as_deref(), Some("main-1-20.db"));
    assert_eq!(adapter.facts(SCHEMA).await.unwrap().schema, "1");
}

#[tokio::test]
async fn the_executor_is_never_the_holder() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    rollout.step(&adapter, "n1", Do::Shut, token(14)).await;
    assert_eq!(refused(&adapter, &rollout.work("n2", Do::Admit, token(20))).await, "LK5233");
}

#[tokio::test]
async fn a_shut_that_arrives_after_an_open_that_had_nothing_to_do_is_refused() {
    let bed = Bed::new();
    let adapter = bed.adapter();
    let mut rollout = Rollout::new("c-1");
    // Its agent looked, and froze in front of the act.
    let late = rollout.work("n1", Do::Shut, token(14));
    let Precheck::Ready { captured } = adapter.precheck(&late).await else { panic!("not ready") };
    rollout.captured = Some(captured);
    let linked = std::fs::read_link(bed.file("current")).unwrap();
    // Meanwhile the rollout is aborted; the door is found open.
    let opened = rollout.step(&adapter, "n2", Do::Open, token(30)).await;
    assert_eq!(opened.read_back, rollout.captured);
    assert_eq!(adapter.perform(&late).await.unwrap_err().code, "LK5201");
    assert_eq!(std::fs::read_link(bed.file("current")).unwrap(), linked);
}
