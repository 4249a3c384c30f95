//! The migration: real work that takes its time, seen while it runs; misuse that shows.

use crate::bed::{Bed, Part, done, wait_for};
use std::time::{Duration, Instant};

fn audit(bed: &Bed) -> Vec<String> {
    bed.query("select member || ' ' || what || ' ' || coalesce(token, '') from audit order by id")
}

#[test]
fn it_takes_more_than_a_second_begins_with_a_commit_and_shows_its_progress() {
    let bed = Bed::new();
    let database = bed.text("db/main-1.sqlite");
    // The defaults: what the demo itself seeds.
    assert!(done(&mut crate::bed::part(&["app", "seed", "--database", &database])).status.success());
    std::os::unix::fs::symlink("main-1.sqlite", bed.path("db/current")).unwrap();
    assert_eq!(bed.one("select verdict from judge"), "untouched");
    let begun = Instant::now();
    let mut migration = Part::start(&mut bed.app("migrate", "n2", "2.0"));
    let progress = "select cast(done as text) from upgrade";
    wait_for("the first batch", || bed.query(progress).first().filter(|done| *done != "0").cloned());
    assert_eq!(audit(&bed), ["n2 upgrade-begin 1,38"]);
    let mut seen = vec![0];
    let status = wait_for("the end", || {
        if let Some(done) = bed.query(progress).first() {
            seen.push(done.parse::<u32>().unwrap());
        }
        migration.ended()
    });
    let took = begun.elapsed();
    assert!(status.success());
    assert!(took >= Duration::from_secs(1), "the migration took only {took:?}");
    assert!(seen.is_sorted());
    seen.dedup();
    assert!(seen.len() > 10, "{seen:?}");
    assert_eq!(audit(&bed), ["n2 upgrade-begin 1,38", "n2 upgrade-end 1,38"]);
    assert_eq!(bed.one("select verdict from judge"), "finished");
    assert_eq!(bed.one("select cast(count(*) as text) from notes where length(digest) = 64"), "4000");
    assert_eq!(
        bed.one("select title || '|' || author || '|' || body || '|' || slug from notes where id = 77"),
        "Why rust, part 77|E. Reach|E. Reach writes about rust and comes back to lock keepers.|why-rust-part-77-77"
    );
    assert!(bed.query("select found from corruption").is_empty());
}

#[test]
fn a_second_one_has_nothing_to_do_and_says_so() {
    let bed = Bed::seeded(200, 50);
    assert!(done(&mut bed.app("migrate", "n2", "2.0")).status.success());
    let second = done(&mut bed.app("migrate", "n3", "2.0"));
    assert!(second.status.success());
    assert_eq!(String::from_utf8_lossy(&second.stdout), "nothing to do: the schema is 2 already\n");
    assert_eq!(audit(&bed), ["n2 upgrade-begin 1,38", "n2 upgrade-end 1,38", "n3 upgrade-noop 1,38"]);
    assert!(bed.query("select found from corruption").is_empty());
}

#[test]
fn the_old_release_cannot_migrate_a_newer_schema() {
    let bed = Bed::seeded(200, 50);
    assert!(done(&mut bed.app("migrate", "n2", "2.0")).status.success());
    let old = done(&mut bed.app("migrate", "n3", "1.0"));
    assert_eq!(old.status.code(), Some(3), "{old:?}");
    assert_eq!(bed.one("select verdict from judge"), "finished");
}

#[test]
fn two_at_once_leave_a_corruption_row_and_one_of_them_fails() {
    let bed = Bed::seeded(2_000, 1_500);
    let first = Part::start(&mut bed.app("migrate", "n1", "2.0"));
    wait_for("the first to be at work", || {
        bed.query("select member from upgrade where done > 0")
            .first()
            .filter(|member| *member == "n1")
            .cloned()
    });
    let second = Part::start(&mut bed.app("migrate", "n2", "2.0"));
    let (first, second) = (first.wait(), second.wait());
    assert_eq!((first.code(), second.code()), (Some(1), Some(0)));
    let found = bed.one("select member || ': ' || found from corruption");
    assert!(found.starts_with("n1: two migrations at once"), "{found}");
    assert_eq!(audit(&bed), ["n1 upgrade-begin 1,38", "n2 upgrade-begin 1,38", "n2 upgrade-end 1,38"]);
    assert!(bed.read("app-n1.log").contains("\"corrupt\""));
}

#[test]
fn one_that_was_killed_is_finished_by_the_next_without_corruption() {
    let bed = Bed::seeded(2_000, 1_000);
    let killed = Part::start(&mut bed.app("migrate", "n1", "2.0"));
    wait_for("some batches", || {
        (!bed.query("select run from upgrade where done >= 100").is_empty()).then_some(())
    });
    killed.kill();
    assert_eq!(bed.one("select verdict from judge"), "touched");
    assert!(done(&mut bed.app("migrate", "n2", "2.0")).status.success());
    assert_eq!(bed.one("select verdict from judge"), "finished");
    assert!(bed.query("select found from corruption").is_empty());
    let count = "select count(*) || ' ' || count(distinct slug) || ' ' || max(id) from notes";
    assert_eq!(bed.one(count), "2000 2000 2000");
    assert!(bed.read("app-n2.log").contains("goes on after"));
}

#[test]
fn a_change_of_notes_behind_its_back_is_found() {
    let bed = Bed::seeded(2_000, 1_000);
    let migration = Part::start(&mut bed.app("migrate", "n1", "2.0"));
    wait_for("some batches", || {
        (!bed.query("select run from upgrade where done >= 100").is_empty()).then_some(())
    });
    // Below the last id, as by a member that was not stopped.
    bed.database().execute("delete from notes where id = 5", []).unwrap();
    assert!(migration.wait().success());
    let found = bed.one("select found from corruption");
    assert_eq!(found, "notes were written during the migration: 1999 before, 2000 migrated");
}
