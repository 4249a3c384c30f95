//! Twins, other groups, races for the lock, and servers that do not answer.

use super::bed::*;
use lockkeeper_adapters::database::DatabaseAdapter;
use lockkeeper_agent::host::Precheck;
use lockkeeper_core::cluster::{AdminLogin, SecretRef};

#[tokio::test(flavor = "multi_thread")]
async fn another_group_is_named_and_blocks() {
    let bed = Bed::new();
    let mut other = Rollout::new("other-group").granted("n2", token(20));
    other.step(&bed.adapter("n1"), "n1", Do::Shut, token(14)).await;
    other.step(&bed.adapter("n2"), "n2", Do::Mint, token(20)).await;
    other.step(&bed.adapter("n1"), "n1", Do::Admit, token(20)).await;
    let executor = bed.adapter("n9");
    let mut ours = Rollout::new("c-1").granted("n8", token(900));
    ours.step(&bed.adapter("n8"), "n8", Do::Mint, token(900)).await;
    for what in [Do::Shut, Do::Backup, Do::Admit, Do::Open] {
        let work = ours.work("n9", what, token(900));
        let Precheck::Blocked(blocked) = executor.precheck(&work).await else {
            panic!("{what:?} was not blocked")
        };
        assert_eq!(blocked.code, "LK5205", "{what:?}");
        assert!(blocked.text.contains("other-group"), "{}", blocked.text);
    }
    for what in [Do::Shut, Do::Admit, Do::Open] {
        let failure = act_refused(&executor, &ours.work("n9", what, token(900))).await;
        // The other group's holder has no session yet, so its door is what is in the way of letting ours in.
        assert!(matches!(failure.code.as_str(), "LK5205" | "LK5211"), "{what:?}: {failure}");
    }
    other.step(&bed.adapter("n1"), "n1", Do::Close, token(20)).await;
    other.step(&bed.adapter("n1"), "n1", Do::Open, token(30)).await;
    let mut ours = Rollout::new("c-1");
    ours.step(&executor, "n9", Do::Shut, token(900)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_physical_copy_of_the_server_is_a_twin() {
    let bed = Bed::new();
    let mut rollout = Rollout::new("c-1");
    rollout.step(&bed.adapter("n1"), "n1", Do::Shut, token(14)).await;
    bed.server.stop();
    let copy = Server::copy_of(&bed.server);
    let mut spec = bed.spec.clone();
    spec.instances = vec![format!("127.0.0.1:{}", copy.port)];
    let twin = bed.adapter_for("n1", spec);
    for what in [Do::Quiet, Do::Shut, Do::Open] {
        let Precheck::Blocked(blocked) = twin.precheck(&rollout.work("n1", what, token(15))).await else {
            panic!("{what:?} was not blocked")
        };
        assert_eq!(blocked.code, "LK5204", "{what:?}: {}", blocked.text);
    }
    let work = rollout.work("n1", Do::Open, token(15));
    assert_eq!(act_refused(&twin, &work).await.code, "LK5204");
}

/// Two executors shut the door at once, on a server that has no ledger yet: one order or the other, never both halves.
#[tokio::test(flavor = "multi_thread")]
async fn two_executors_at_once_leave_one_door() {
    let bed = Bed::new();
    let (first, second) = (bed.adapter("n1"), bed.adapter("n3"));
    let rollout = Rollout::new("c-1");
    let (low, high) = (rollout.work("n1", Do::Shut, token(14)), rollout.work("n3", Do::Shut, token(15)));
    let (a, b) = tokio::join!(first.perform(&low), second.perform(&high));
    assert!(b.is_ok(), "{b:?}");
    assert!(
        a.as_ref().is_ok_and(|()| true) || a.as_ref().is_err_and(|failure| failure.code == "LK5201"),
        "{a:?}"
    );
    let doors = "select string_agg(idx || ' ' || state || ' ' || captured, ';') from ledger_1.door";
    assert_eq!(bed.server.sql("lockkeeper", doors), r#"15 shut {"logins":["app","reporting"]}"#);
}

/// Somebody who keeps the ledger's lock is waited for, not for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_never_let_go_has_a_code() {
    let bed = Bed::new();
    let executor = bed.adapter("n1");
    let mut rollout = Rollout::new("c-1");
    rollout.step(&executor, "n1", Do::Shut, token(14)).await;
    let mut keeper = bed
        .server
        .psql("lockkeeper", "lockkeeper")
        .args(["-c", "begin; select 1 from ledger_1.target for update; select pg_sleep(600)"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let asleep =
        "select count(*) from pg_stat_activity where datname = 'lockkeeper' and query like '%pg_sleep%'";
    wait_for("the lock is kept", || bed.server.sql("postgres", asleep) == "1");
    assert_eq!(act_refused(&executor, &rollout.work("n1", Do::Open, token(15))).await.code, "LK5231");
    keeper.kill().unwrap();
    keeper.wait().unwrap();
    bed.server.sql("postgres", "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()");
    rollout.step(&executor, "n1", Do::Open, token(15)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_no_server() {
    let bed = Bed::new();
    bed.server.freeze();
    let failure = bed.adapter("n1").facts(SCHEMA).await.unwrap_err();
    bed.server.thaw();
    assert_eq!(failure.code, "LK5215");
    assert!(failure.text.contains("did not answer"), "{failure}");
    bed.adapter("n1").facts(SCHEMA).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_do_not_answer_and_logins_that_do_not_fit_have_codes() {
    let bed = Bed::new();
    let with = |change: &dyn Fn(&mut lockkeeper_core::cluster::DatabaseSpec)| {
        let mut spec = bed.spec.clone();
        change(&mut spec);
        bed.adapter_for("n1", spec)
    };
    let admin =
        |password: &str| Some(AdminLogin { user: "lockkeeper".into(), password: SecretRef(password.into()) });
    let code = async |adapter: &dyn DatabaseAdapter| adapter.facts(SCHEMA).await.unwrap_err().code;
    assert_eq!(code(&with(&|spec| spec.instances = vec!["127.0.0.1:1".into()])).await, "LK5215");
    assert_eq!(code(&with(&|spec| spec.instances = vec!["nonsense".into()])).await, "LK5228");
    assert_eq!(code(&with(&|spec| spec.admin = admin("wrong"))).await, "LK5217");
    assert_eq!(code(&with(&|spec| spec.admin = None)).await, "LK5217");
    assert_eq!(code(&with(&|spec| spec.name = "nowhere".into())).await, "LK5218");
    assert_eq!(code(&with(&|spec| spec.name = "lockkeeper".into())).await, "LK5228");
    let same = format!("127.0.0.1:{}", bed.server.port);
    assert_eq!(code(&with(&|spec| spec.instances = vec![same.clone(), same.clone()])).await, "LK5216");
    let good = bed.adapter("n1");
    for (sql, expected) in [
        ("select body from record", "LK5219"),
        ("select 1, 2", "LK5219"),
        ("select 1 where false", "LK5219"),
        ("select nothing", "LK5218"),
        ("delete from record returning 1", "LK5218"),
    ] {
        assert_eq!(good.query_value(sql).await.unwrap_err().code, expected, "{sql}");
    }
    assert_eq!(good.query_value("select count(*) from record").await.unwrap(), "500");
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

#[tokio::test(flavor = "multi_thread")]
async fn of_two_groups_with_one_name_only_the_first_to_act_goes_on() {
    let bed = Bed::new();
    let adapter = bed.adapter("n1");
    let mut rollout = Rollout::new("c-1");
    let original = marked(&rollout, Do::Shut, token(14), &[(10, 7), (14, u64::MAX)]);
    let copy = marked(&rollout, Do::Shut, token(14), &[(10, 7), (14, 2)]);
    adapter.look_group(&copy).await.unwrap();
    // Both at once: the row's lock lets one after the other, and the other is refused.
    let (first, second) = tokio::join!(adapter.mark_group(&original), adapter.mark_group(&copy));
    let refusals = [&first, &second].into_iter().filter(|answer| answer.is_err()).count();
    assert_eq!(refusals, 1, "{first:?} {second:?}");
    let (winner, loser) = if first.is_ok() { (&original, &copy) } else { (&copy, &original) };
    adapter.mark_group(winner).await.unwrap();
    for answer in [adapter.look_group(loser).await, adapter.mark_group(loser).await] {
        assert_eq!(answer.unwrap_err().code.as_str(), "LK5239");
    }
    // Acts of the ledger go on beside it.
    rollout.step(&adapter, "n1", Do::Shut, token(14)).await;
    adapter.mark_group(winner).await.unwrap();

    // The way out that `explain twin-group` shows.
    bed.server.sql("lockkeeper", "delete from ledger_1.mark where grp = 'c-1'");
    adapter.mark_group(loser).await.unwrap();
    assert_eq!(adapter.mark_group(winner).await.unwrap_err().code.as_str(), "LK5239");
}
