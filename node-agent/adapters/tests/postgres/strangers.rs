//! Sessions nobody expected, declared infrastructure, superusers, and what the door takes.

use super::bed::*;
use lockkeeper_adapters::database::DatabaseAdapter;
use lockkeeper_agent::host::{Blocked, Precheck};
use lockkeeper_core::cluster::Infrastructure;
use std::process::{Child, Stdio};

/// A session that stays until it is ended.
struct Session(Child);

impl Session {
    fn open(bed: &Bed, user: &str, program: &str) -> Self {
        let child = bed
            .server
            .psql(user, "appdb")
            .env("PGAPPNAME", program)
            .args(["-q", "-h", "127.0.0.1", "-c", "select pg_sleep(600)"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let there =
            format!("select count(*) from pg_stat_activity where usename = '{user}' and datname = 'appdb'");
        wait_for("the session is there", || bed.server.sql("postgres", &there) != "0");
        Self(child)
    }

    fn was_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn blocked(adapter: &dyn DatabaseAdapter, what: Do) -> Blocked {
    match adapter.precheck(&Rollout::new("c-1").work("n1", what, token(9))).await {
        Precheck::Blocked(blocked) => blocked,
        other => panic!("{what:?}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_node_is_named_and_left_alone() {
    let bed = Bed::new();
    let executor = bed.adapter("n1");
    let mut forgotten = Session::open(&bed, "app", "old node");
    for what in [Do::Quiet, Do::Shut, Do::Backup] {
        let told = blocked(&executor, what).await;
        assert_eq!(told.code, "LK5202", "{what:?}");
        for part in ["forgotten-node", "address 127.0.0.1", "program \"old node\"", "login app", "since 20"] {
            assert!(told.text.contains(part), "{part:?} is not in {:?}", told.text);
        }
        assert!(told.remedy.contains("exclude --address"));
    }
    assert!(!forgotten.was_ended());
    assert_eq!(bed.logins(), "app,lockkeeper,postgres,reporting");
    assert!(
        bed.server.sql("postgres", "select count(*) from pg_database where datname = 'lockkeeper'") == "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_does_not_block_and_is_ended_when_the_door_shuts() {
    let bed = Bed::new();
    let executor = bed.adapter("n1");
    let mut reader = Session::open(&bed, "reporting", "chart");
    let mut rollout = Rollout::new("c-1");
    let quiet = rollout.step(&executor, "n1", Do::Quiet, token(8)).await;
    assert!(
        quiet.evidence.contains("cannot write") && quiet.evidence.contains("login reporting"),
        "{}",
        quiet.evidence
    );
    rollout.step(&executor, "n1", Do::Shut, token(9)).await;
    wait_for("the reader is ended", || reader.was_ended());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_write_is_read_from_the_catalog() {
    let bed = Bed::new();
    // A column privilege, a definer function, a role to switch to without inheriting: each makes a writer.
    bed.server.sql(
        "appdb",
        "grant update (body) on record to reporting;
         create role sneak login password 'sneak-secret';
         create function behind() returns void language sql security definer as 'delete from record where false';
         alter function behind() owner to appowner; revoke execute on function behind() from public;
         grant execute on function behind() to sneak;
         create role switcher login noinherit password 'switcher-secret' in role appowner",
    );
    let executor = bed.adapter("n1");
    for user in ["reporting", "sneak", "switcher"] {
        let _session = Session::open(&bed, user, "x");
        let told = blocked(&executor, Do::Quiet).await;
        assert!(told.text.contains(&format!("login {user}")), "{user}: {}", told.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_infrastructure_is_tolerated_only_as_declared() {
    let bed = Bed::new();
    let declare = |login: &str, host: &str, program: &str| Infrastructure {
        login: login.into(),
        host: host.into(),
        program: program.into(),
    };
    let mut spec = bed.spec.clone();
    spec.infrastructure.push(declare("reporting", "", ""));
    spec.infrastructure.push(declare("app", "127.0.0.1", "agent"));
    let executor = bed.adapter_for("n1", spec.clone());
    let mut monitor = Session::open(&bed, "reporting", "exporter");
    let mut agent = Session::open(&bed, "app", "agent");
    let mut rollout = Rollout::new("c-1");
    let shut = rollout.step(&executor, "n1", Do::Shut, token(9)).await;
    assert_eq!(rollout.captured.as_deref(), Some(r#"{"logins":[]}"#));
    assert!(shut.evidence.contains("reporting (declared, read-only proven)"), "{}", shut.evidence);
    assert!(shut.evidence.contains("app (declared with host and program, can write)"), "{}", shut.evidence);
    assert!(!monitor.was_ended() && !agent.was_ended());
    // The same login from another program is no infrastructure.
    let mut other = Session::open(&bed, "app", "something else");
    let work = Rollout::new("c-1").work("n1", Do::Shut, token(9));
    executor.perform(&work).await.unwrap();
    wait_for("the other program is ended", || other.was_ended());
    assert!(!agent.was_ended());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undeclared_superuser_blocks_the_door() {
    let bed = Bed::new();
    let mut spec = bed.spec.clone();
    spec.infrastructure.clear();
    let executor = bed.adapter_for("n1", spec);
    let told = blocked(&executor, Do::Shut).await;
    assert_eq!(told.code, "LK5209");
    assert!(told.text.contains("postgres"), "{}", told.text);
    let failure = act_refused(&executor, &Rollout::new("c-1").work("n1", Do::Shut, token(9))).await;
    assert_eq!(failure.code, "LK5209");
    assert_eq!(bed.logins(), "app,lockkeeper,postgres,reporting");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_blocks() {
    let bed = Bed::new();
    bed.server.sql("appdb", "begin; create table half (n int); prepare transaction 'night job'");
    let executor = bed.adapter("n1");
    for what in [Do::Quiet, Do::Shut, Do::Backup] {
        let told = blocked(&executor, what).await;
        assert_eq!(told.code, "LK5203", "{what:?}");
        assert!(told.text.contains("night job"), "{}", told.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_appears_after_the_door_was_shut_is_ended_and_halts() {
    let bed = Bed::new();
    let executor = bed.adapter("n1");
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    rollout.step(&executor, "n1", Do::Shut, token(14)).await;
    rollout.step(&bed.adapter("n2"), "n2", Do::Mint, token(20)).await;
    // A superuser whose login stays, but whose session is not the declared one.
    let mut intruder = Session::open_as_superuser(&bed, "night script");
    let failure = act_refused(&executor, &rollout.work("n1", Do::Admit, token(20))).await;
    assert_eq!(failure.code, "LK5211");
    assert!(failure.text.contains("night script"), "{failure}");
    wait_for("the intruder is ended", || intruder.was_ended());
    rollout.step(&executor, "n1", Do::Admit, token(20)).await;
}

impl Session {
    fn open_as_superuser(bed: &Bed, program: &str) -> Self {
        let child = bed
            .server
            .psql("postgres", "appdb")
            .env("PGAPPNAME", program)
            .args(["-q", "-c", "select pg_sleep(600)"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let there = format!("select count(*) from pg_stat_activity where application_name = '{program}'");
        wait_for("the session is there", || bed.server.sql("postgres", &there) != "0");
        Self(child)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_logins_to_capture_are_refused_before_anything_changes() {
    let bed = Bed::new();
    bed.server.sql(
        "postgres",
        "do $$ begin for n in 1..200 loop execute format('create role %I login', 'quite_a_long_login_name_' || n); end loop; end $$",
    );
    let executor = bed.adapter("n1");
    let work = Rollout::new("c-1").work("n1", Do::Shut, token(9));
    assert_eq!(refused(&executor, &work).await, "LK5210");
    assert_eq!(act_refused(&executor, &work).await.code, "LK5210");
    let disabled = "select count(*) from pg_roles where rolname like 'quite%' and not rolcanlogin";
    assert_eq!(bed.server.sql("postgres", disabled), "0");
}
