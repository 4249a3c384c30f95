//! The holder: what it can do, what is left of it afterwards, and that a frozen one writes nothing.

use super::bed::*;
use lockkeeper_adapters::database::DatabaseAdapter;
use lockkeeper_agent::host::{Postcheck, Precheck};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use std::{
    io::Write,
    process::{Child, Stdio},
};

/// A psql of the holder that is told statements one by one.
struct Tool {
    child: Child,
}

impl Tool {
    async fn start(bed: &Bed, holder: &dyn DatabaseAdapter, work: &lockkeeper_agent::host::Work) -> Self {
        let values = holder.holder_values(work).await.unwrap();
        let value = |key: &str| values[&format!("credential.{key}")].expose_secret().to_owned();
        let child = bed
            .server
            .psql(&value("user"), &value("database"))
            .env("PGPASSWORD", value("password"))
            .args(["-q", "-h", &value("host"), "-p", &value("port")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child }
    }

    fn tell(&mut self, sql: &str) {
        // A tool whose connection was cut may have gone already; that is what the tests look for.
        let _gone = writeln!(self.child.stdin.as_mut().unwrap(), "{sql}");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), signal).unwrap();
    }

    fn ends(&mut self) {
        drop(self.child.stdin.take());
        wait_for("the tool ends", || self.child.try_wait().unwrap().is_some());
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

async fn open_grant(bed: &Bed, index: u64) -> Rollout {
    let mut rollout = Rollout::new("c-1").granted("n2", token(index));
    rollout.step(&bed.adapter("n1"), "n1", Do::Shut, token(index - 6)).await;
    rollout.step(&bed.adapter("n2"), "n2", Do::Mint, token(index)).await;
    rollout.step(&bed.adapter("n1"), "n1", Do::Admit, token(index)).await;
    rollout
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_holder_thawed_after_the_close_writes_nothing() {
    let bed = Bed::new();
    let (executor, holder) = (bed.adapter("n1"), bed.adapter("n2"));
    let mut rollout = open_grant(&bed, 20).await;
    let work = rollout.work("n2", Do::Mint, token(20));
    let mut tool = Tool::start(&bed, &holder, &work).await;
    tool.tell("create table committed (n int);");
    tool.tell(
        "begin; create table half (n int); update metadata set value = '25' where name = 'schema_version';",
    );
    let waiting = "select count(*) from pg_stat_activity where usename = 'lk_main_1_20' and state = 'idle in transaction'";
    wait_for("the tool is inside its transaction", || bed.server.sql("appdb", waiting) == "1");
    tool.signal(Signal::STOP);
    tool.tell(
        "update metadata set value = '99' where name = 'schema_version'; commit; create table late (n int);",
    );
    rollout.step(&executor, "n1", Do::Close, token(20)).await;
    // Another holder works before the first one wakes up.
    let mut next = Rollout::new("c-1").granted("n3", token(40));
    next.step(&bed.adapter("n3"), "n3", Do::Mint, token(40)).await;
    next.step(&executor, "n1", Do::Admit, token(40)).await;
    tool.signal(Signal::CONT);
    tool.ends();
    assert_eq!(bed.server.sql("appdb", SCHEMA), "23");
    let tables = "select string_agg(relname, ',' order by relname) from pg_class where relname in ('committed', 'half', 'late')";
    assert_eq!(bed.server.sql("appdb", tables), "committed");
    next.step(&executor, "n1", Do::Close, token(40)).await;
}

/// The owner may drop or rename its database from any other; so must a member of it, until it is out.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_the_holder_end_in_every_database() {
    let bed = Bed::new();
    let executor = bed.adapter("n1");
    let mut rollout = open_grant(&bed, 20).await;
    let values = bed.adapter("n2").holder_values(&rollout.work("n2", Do::Mint, token(20))).await.unwrap();
    let mut elsewhere = bed
        .server
        .psql("lk_main_1_20", "postgres")
        .env("PGPASSWORD", values["credential.password"].expose_secret())
        .args(["-c", "select pg_sleep(600)"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let there = "select count(*) from pg_stat_activity where usename = 'lk_main_1_20'";
    wait_for("the session is there", || bed.server.sql("postgres", there) == "1");
    rollout.step(&executor, "n1", Do::Close, token(20)).await;
    wait_for("it is ended", || elsewhere.try_wait().unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_acts_as_the_owner_and_cannot_open_the_door() {
    let bed = Bed::new();
    let rollout = open_grant(&bed, 20).await;
    let holder = bed.adapter("n2");
    let values = holder.holder_values(&rollout.work("n2", Do::Mint, token(20))).await.unwrap();
    let password = values["credential.password"].expose_secret().to_owned();
    let tries = |sql: &str| {
        bed.server
            .psql("lk_main_1_20", "appdb")
            .env("PGPASSWORD", &password)
            .args(["-Atqc", sql])
            .output()
            .unwrap()
    };
    assert_eq!(String::from_utf8_lossy(&tries("select current_user").stdout).trim(), "appowner");
    for forbidden in
        ["alter role app login", "create role friend login", "alter role lk_main_1_20 connection limit -1"]
    {
        assert!(!tries(forbidden).status.success(), "{forbidden}");
    }
    let ledger = bed
        .server
        .psql("lk_main_1_20", "lockkeeper")
        .env("PGPASSWORD", &password)
        .args(["-c", "select 1"])
        .output()
        .unwrap();
    assert!(!ledger.status.success(), "the holder may not enter the ledger");
    // The secret is nowhere but on the holder's host: the ledger and the server's log have the verifier at most.
    let log = std::fs::read_to_string(bed.server.sockets().join("log")).unwrap();
    assert!(!log.contains(&password));
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_tokens_are_refused_at_every_act() {
    let bed = Bed::new();
    let executor = bed.adapter("n1");
    let mut rollout = open_grant(&bed, 20).await;
    rollout.step(&executor, "n1", Do::Close, token(20)).await;
    let mut next = Rollout::new("c-1").granted("n3", token(40));
    next.step(&bed.adapter("n3"), "n3", Do::Mint, token(40)).await;
    next.step(&executor, "n1", Do::Admit, token(40)).await;
    let before = bed.logins();
    for (what, at, code) in [
        (Do::Shut, 14, "LK5201"),
        (Do::Admit, 20, "LK5207"),
        (Do::Close, 20, "LK5201"),
        (Do::Open, 30, "LK5201"),
    ] {
        let work = rollout.work("n1", what, token(at));
        assert_eq!(refused(&executor, &work).await, code, "{what:?}");
        assert_eq!(act_refused(&executor, &work).await.code, code, "{what:?}");
        assert!(!matches!(executor.postcheck(&work).await, Postcheck::Proven(_)), "{what:?}");
    }
    // Nor may the door open while the grant is open, whatever the token.
    let work = next.work("n1", Do::Open, token(90));
    assert_eq!(refused(&executor, &work).await, "LK5206");
    assert_eq!(act_refused(&executor, &work).await.code, "LK5206");
    assert_eq!(bed.logins(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_closed_before_it_opened_never_opens() {
    let bed = Bed::new();
    let executor = bed.adapter("n1");
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    rollout.step(&executor, "n1", Do::Shut, token(14)).await;
    rollout.step(&bed.adapter("n2"), "n2", Do::Mint, token(20)).await;
    rollout.step(&executor, "n1", Do::Close, token(20)).await;
    let work = rollout.work("n1", Do::Admit, token(20));
    assert_eq!(refused(&executor, &work).await, "LK5207");
    assert_eq!(act_refused(&executor, &work).await.code, "LK5207");
    assert!(!bed.can_enter("lk_main_1_20"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_of_the_holder_keeps_the_grant_closing() {
    let bed = Bed::new();
    let executor = bed.adapter("n1");
    let mut rollout = open_grant(&bed, 20).await;
    let mut tool = Tool::start(&bed, &bed.adapter("n2"), &rollout.work("n2", Do::Mint, token(20))).await;
    tool.tell("begin; create table half (n int); prepare transaction 'left behind';");
    tool.ends();
    let work = rollout.work("n1", Do::Close, token(20));
    assert_eq!(act_refused(&executor, &work).await.code, "LK5203");
    // Its login is disabled all the same, and no further grant opens.
    let role = "select rolcanlogin from pg_roles where rolname = 'lk_main_1_20'";
    assert_eq!(bed.server.sql("postgres", role), "f");
    let mut next = Rollout::new("c-1").granted("n3", token(40));
    next.step(&bed.adapter("n3"), "n3", Do::Mint, token(40)).await;
    assert_eq!(act_refused(&executor, &next.work("n1", Do::Admit, token(40))).await.code, "LK5203");
    bed.server.sql("appdb", "rollback prepared 'left behind'");
    assert_eq!(refused(&executor, &next.work("n1", Do::Admit, token(40))).await, "LK5206");
    rollout.step(&executor, "n1", Do::Close, token(20)).await;
    next.step(&executor, "n1", Do::Admit, token(40)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_owns_objects_is_kept_without_log_in() {
    let bed = Bed::new();
    let executor = bed.adapter("n1");
    let mut rollout = open_grant(&bed, 20).await;
    bed.server.sql("appdb", "create table stray (n int); alter table stray owner to lk_main_1_20");
    // A schema that cannot be read does not keep the grant open; it is told and leaves no verdict.
    rollout.inputs.insert("schema.main.query".into(), "select nothing".into());
    let closed = rollout.step(&executor, "n1", Do::Close, token(20)).await;
    assert!(closed.evidence.contains("kept, cannot log in"), "{}", closed.evidence);
    assert!(closed.evidence.contains("the schema cannot be read"), "{}", closed.evidence);
    assert!(closed.outputs.is_empty());
    let member = "select pg_has_role('lk_main_1_20', 'appowner', 'MEMBER')";
    assert_eq!(bed.server.sql("postgres", member), "f");
    rollout.step(&executor, "n1", Do::Open, token(30)).await;
    assert_eq!(bed.logins(), "app,lockkeeper,postgres,reporting");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_grant_is_refused() {
    let bed = Bed::new();
    let executor = bed.adapter("n1");
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    // Without a verifier, with a plain password in its place, without a shut door, by the holder itself.
    assert_eq!(refused(&executor, &rollout.work("n1", Do::Admit, token(20))).await, "LK5212");
    rollout.inputs.insert("grant.main.verifier".into(), "hunter2".into());
    assert_eq!(refused(&executor, &rollout.work("n1", Do::Admit, token(20))).await, "LK5212");
    rollout.step(&bed.adapter("n2"), "n2", Do::Mint, token(20)).await;
    assert_eq!(refused(&executor, &rollout.work("n1", Do::Admit, token(20))).await, "LK5208");
    rollout.step(&executor, "n1", Do::Shut, token(14)).await;
    assert_eq!(refused(&executor, &rollout.work("n2", Do::Admit, token(20))).await, "LK5233");
    // A role of that name that is not ours.
    bed.server.sql("postgres", "create role lk_main_1_20");
    assert_eq!(act_refused(&executor, &rollout.work("n1", Do::Admit, token(20))).await.code, "LK5213");
    bed.server.sql("postgres", "drop role lk_main_1_20; alter role appowner createrole");
    assert_eq!(refused(&executor, &rollout.work("n1", Do::Admit, token(20))).await, "LK5214");
    bed.server.sql("postgres", "alter role appowner nocreaterole");
    // Somebody made a login after the door was shut.
    bed.server.sql("postgres", "create role friend login password 'friend-secret'");
    assert_eq!(act_refused(&executor, &rollout.work("n1", Do::Admit, token(20))).await.code, "LK5234");
    // On a host without the secret there are no values for the tool.
    let failure =
        bed.adapter("n4").holder_values(&rollout.work("n4", Do::Mint, token(20))).await.unwrap_err();
    assert_eq!(failure.code, "LK5232");
    // The log's grant has another token than the step.
    let other = rollout.clone().granted("n2", token(21));
    assert_eq!(refused(&executor, &other.work("n1", Do::Admit, token(20))).await, "LK5201");
    bed.server.sql("postgres", "drop role friend");
    assert!(matches!(
        executor.precheck(&rollout.work("n1", Do::Admit, token(20))).await,
        Precheck::Ready { .. }
    ));
}
