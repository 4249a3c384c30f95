//! `check` tries real acts: what they find, and that they leave nothing.

use super::bed::{Bed, wait_for};
use lockkeeper_adapters::database::DatabaseAdapter;
use lockkeeper_core::cluster::{AdminLogin, SecretRef};

impl Bed {
    /// Every role and database, as the catalog has them.
    fn everything(&self) -> String {
        self.server.sql(
            "postgres",
            "select string_agg(name, ',' order by name) from (
                 select 'role ' || rolname from pg_roles union all select 'database ' || datname from pg_database
             ) everything (name)",
        )
    }
}

#[tokio::test]
async fn who_can_do_everything_does_it_and_leaves_nothing() {
    let bed = Bed::new();
    let before = bed.everything();
    let acts = bed.adapter("n1").capabilities().await;
    let names: Vec<&str> = acts.iter().map(|(act, _)| *act).collect();
    let wanted = ["make and drop a login", "end a session", "dump and restore a table", "room for two copies"];
    assert_eq!(names, wanted);
    for (act, seen) in acts {
        assert!(seen.is_ok(), "{act}: {seen:?}");
    }
    assert_eq!(bed.everything(), before);
}

#[tokio::test]
async fn each_thing_that_an_administrator_cannot_do_is_named() {
    let bed = Bed::new();
    bed.server.sql("postgres", "create role weak login password 'weak-secret'; grant connect on database appdb to weak");
    let before = bed.everything();
    let mut spec = bed.spec.clone();
    spec.admin = Some(AdminLogin { user: "weak".into(), password: SecretRef("weak-secret".into()) });
    spec.backups = "/proc/backups".into();
    let acts = bed.adapter_for("n1", spec).capabilities().await;
    let refused: Vec<(&str, String)> =
        acts.into_iter().filter_map(|(act, seen)| Some((act, seen.err()?.code))).collect();
    let wanted = ["make and drop a login", "dump and restore a table", "room for two copies"];
    assert_eq!(refused.iter().map(|(act, _)| *act).collect::<Vec<_>>(), wanted, "{refused:?}");
    assert_eq!(bed.everything(), before);
}

#[tokio::test]
async fn a_server_that_is_away_is_told_once() {
    let bed = Bed::new();
    bed.server.stop();
    let acts = bed.adapter("n1").capabilities().await;
    let [(act, Err(failure))] = acts.as_slice() else { panic!("{acts:?}") };
    assert_eq!((*act, failure.code.as_str()), ("reach every instance", "LK5215"));
}

#[tokio::test]
async fn what_a_crashed_check_left_is_removed_when_it_is_old_and_ours() {
    let bed = Bed::new();
    for (name, comment) in [
        ("lk_check_old", "lockkeeper check 1000"),
        ("lk_check_young", "lockkeeper check 99999999999"),
        ("lk_check_theirs", "of somebody else"),
    ] {
        bed.server.sql("postgres", &format!("create database {name}"));
        bed.server.sql("postgres", &format!("comment on database {name} is '{comment}'"));
    }
    bed.adapter("n1").capabilities().await;
    let left = || bed.server.sql("postgres", "select string_agg(datname, ',' order by datname) from pg_database where datname like 'lk_check%'");
    wait_for("the old one to go", || left() == "lk_check_theirs,lk_check_young");
}
