//! The bed proves itself before Lockkeeper enters it: the runbook done by hand in the right order is judged good by
//! the oracle, and the mistakes of a wiki page at night are judged bad, each by the check that is meant for it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lockkeeper_tests::bed::haproxy::Admin;
use lockkeeper_tests::bed::postgres::{APP, COORDINATOR, DATABASE};
use lockkeeper_tests::bed::{Bed, DB, NEW, NEW_SCHEMA, Options, process};

const ATTEMPT: (&str, &str) = ("up_attempt_1", "attempt-1-of-the-bed");
const DUMP_WITHIN: Duration = Duration::from_secs(60);

/// Says how long each step took, since the last one: what a person with a good runbook needs.
struct Stopwatch(Instant);

impl Stopwatch {
    fn step(&mut self, what: &str) {
        eprintln!("{:>6} ms  {what}", self.0.elapsed().as_millis());
        self.0 = Instant::now();
    }
}

/// Drain, stop, dump, shut, upgrade once, open, start one by one, admit when proven.
fn by_hand(bed: &Bed) -> Result<()> {
    let mut watch = Stopwatch(Instant::now());
    for member in &bed.members {
        bed.haproxy.set(member.name(), Admin::Drain)?;
        bed.haproxy.wait_idle(member.name()).or_else(|_| bed.haproxy.set(member.name(), Admin::Maint))?;
        bed.haproxy.set(member.name(), Admin::Maint)?;
        bed.haproxy.wait_idle(member.name())?;
    }
    watch.step("drain, wait for zero, maintenance: all three");
    for member in &bed.members {
        member.stop()?;
    }
    watch.step("stop all three");
    dump(bed)?;
    watch.step("dump and read it to its last block");
    shut(bed)?;
    watch.step("shut the door, mint a login");
    bed.members[1].migrate_as(NEW, ATTEMPT)?.ok()?;
    watch.step("upgrade the database (3 s of it are the trigger's)");
    open(bed)?;
    watch.step("open the door");
    for member in &bed.members {
        member.switch(NEW)?;
        member.start()?;
        member.wait_ready(NEW)?;
        watch.step(&format!("{}: switch, start, answers with {NEW}", member.name()));
        bed.haproxy.set(member.name(), Admin::Drain)?;
        bed.haproxy.wait_up(member.name())?;
        bed.haproxy.set(member.name(), Admin::Ready)?;
        watch.step(&format!("{}: back, after a check of the balancer's own", member.name()));
    }
    Ok(())
}

/// The dump is taken on the database host by the coordinator's login, and read to its last block.
fn dump(bed: &Bed) -> Result<()> {
    let url = format!("postgresql://{}:{}@{DB}/{DATABASE}", COORDINATOR.0, COORDINATOR.1);
    let file = "/var/log/before.dump";
    bed.postgres.host.run(DUMP_WITHIN, &["pg_dump", "-Fc", "-f", file, &url])?.ok()?;
    bed.postgres.host.run(DUMP_WITHIN, &["pg_restore", "-f", "/dev/null", file])?.ok()?;
    Ok(())
}

/// The application's login goes out; one login for one attempt comes in, whose objects belong to the owner.
fn shut(bed: &Bed) -> Result<()> {
    let ask = |statement: &str| bed.postgres.ask("postgres", statement);
    ask(&format!("alter role {} nologin", APP.0))?;
    process::wait_for("no session of the application", DUMP_WITHIN, || {
        ask(&format!(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = '{}'",
            APP.0
        ))?;
        let left = ask(&format!("select count(*) from pg_stat_activity where usename = '{}'", APP.0))?;
        Ok((left == "0").then_some(()))
    })?;
    ask(&format!("create role {} login password '{}' in role {}", ATTEMPT.0, ATTEMPT.1, APP.0))?;
    ask(&format!("alter role {} in database {DATABASE} set role {}", ATTEMPT.0, APP.0))?;
    Ok(())
}

fn open(bed: &Bed) -> Result<()> {
    bed.postgres.ask("postgres", &format!("drop role {}", ATTEMPT.0))?;
    bed.postgres.ask("postgres", &format!("alter role {} login", APP.0))?;
    Ok(())
}

#[test]
fn the_runbook_by_hand_is_judged_good() -> Result<()> {
    let mut bed = Bed::start(Options::default())?;
    let load = bed.start_load(100)?;
    let since = bed.note_rows_before()?;
    by_hand(&bed)?;
    load.wait_acknowledged(100)?;
    load.stop()?;
    let verdict = bed.evidence(&since)?.judge()?;
    println!("\n{}", verdict.table);
    ensure!(verdict.ok, "{:?} in\n{}", verdict.violated(), verdict.table);
    ensure!(bed.postgres.schema_version()? == NEW_SCHEMA);
    bed.passed();
    Ok(())
}

/// Two members upgrade at once with the application's own login while the third still serves, and one that serves is
/// stopped without being drained.
#[test]
fn the_wiki_page_at_night_is_judged_bad() -> Result<()> {
    let mut bed = Bed::start(Options::default())?;
    let load = bed.start_load(50)?;
    let since = bed.note_rows_before()?;
    bed.members[0].stop()?;
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| bed.members[0].migrate_as(NEW, APP));
        let second = scope.spawn(|| bed.members[1].migrate_as(NEW, APP));
        (first.join(), second.join())
    });
    let codes = [first, second].map(|ran| ran.ok().and_then(Result::ok).map(|ran| ran.code));
    ensure!(codes.iter().all(Option::is_some), "both migrations ran: {codes:?}");
    for member in &bed.members {
        member.stop()?;
        member.switch(NEW)?;
        member.start()?;
        member.wait_ready(NEW)?;
        bed.haproxy.wait_up(member.name())?;
    }
    load.wait_acknowledged(50)?;
    load.stop()?;
    let verdict = bed.evidence(&since)?.judge()?;
    println!("\nmigrations ended with {codes:?}\n{}", verdict.table);
    let violated = verdict.violated();
    for check in ["one_migration", "one_writer", "door_shut", "no_failure_outside_outage"] {
        ensure!(violated.contains(&check), "{check} was not caught:\n{}", verdict.table);
    }
    let rows = verdict.checks.iter().find(|check| check.name == "rows_kept").context("rows_kept")?;
    ensure!(rows.ok, "even so no row is lost: {}", rows.found);
    bed.passed();
    Ok(())
}

/// A judge that never convicts proves nothing: the oracle plants 24 faults in a good run's logs and must catch each.
#[test]
fn the_oracle_catches_what_is_planted() -> Result<()> {
    let oracle = concat!(env!("CARGO_MANIFEST_DIR"), "/oracle/kinto.py");
    let table = process::run(Duration::from_secs(60), &["python3", oracle, "--self-test"])?.ok()?;
    println!("\n{table}");
    ensure!(table.contains("planted 24, caught 24; good run judged good"), "{table}");
    Ok(())
}
