//! Somebody upgraded the database and the first member by hand, as the wiki says, and then the night went wrong:
//! `plan --adopt` finishes it. Judged by the logs of PostgreSQL, HAProxy and the client: one migration, the one by hand.

use anyhow::{Context, Result, ensure};
use lockkeeper_tests::bed::{
    Bed, NEW, NEW_SCHEMA, Options,
    haproxy::Admin,
    process::wait_for,
    site::{BEA, OLA, Site},
};
use std::time::Duration;

const ROLLOUT_WITHIN: Duration = Duration::from_secs(120);
const PLAN: &str = "/etc/lockkeeper/rest.plan";

/// What the wiki says, up to where the person was called away: everybody out and stopped, the database migrated, the
/// first member at the new release and running, but not let in yet.
fn by_hand(bed: &Bed) -> Result<()> {
    for member in &bed.members {
        bed.haproxy.set(member.name(), Admin::Maint)?;
        bed.haproxy.wait_idle(member.name())?;
        member.stop()?;
    }
    let first = &bed.members[0];
    first.migrate_as_owner(NEW)?;
    ensure!(bed.postgres.schema_version()? == NEW_SCHEMA);
    first.switch(NEW)?;
    first.start()?;
    first.wait_ready(NEW)
}

#[test]
fn a_kinto_cluster_half_upgraded_by_hand_is_adopted_and_finished() -> Result<()> {
    let mut bed = Bed::start(Options { slow_step: Duration::from_millis(200), ..Options::default() })?;
    let site = Site::start(&bed, env!("CARGO_BIN_EXE_otlp-receiver"))?;
    let load = bed.start_load(100)?;
    let since = bed.note_rows_before()?;
    by_hand(&bed)?;

    let refused = site.as_person(&bed, 0, OLA, &["plan", "--to", NEW])?;
    let told = format!("{}{}", refused.stdout, refused.stderr);
    ensure!(refused.code == 1 && told.contains("LK2005"), "plan ended with {}:\n{told}", refused.code);
    ensure!(told.contains(&format!("lockkeeper plan --to {NEW} --adopt")), "the way is not named:\n{told}");

    let ran = site.as_person(&bed, 0, OLA, &["plan", "--to", NEW, "--adopt", "-o", PLAN])?;
    ensure!(ran.code == 2, "plan --adopt ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
    println!("{}", ran.stdout);
    ensure!(ran.stdout.contains("n1 maint, n2 maint, n3 maint"), "what was found out is not named");
    let ran =
        site.as_person(&bed, 0, BEA, &["approve", PLAN, "--as", "approver", "--reference", "CHG-27"])?;
    ensure!(ran.code == 0, "approve ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
    let ran = site.as_person(&bed, 0, OLA, &["apply", PLAN, "--yes"])?;
    ensure!(ran.code == 0, "apply ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
    let ended = wait_for("the rollout's end", ROLLOUT_WITHIN, || {
        let rollout = site.json(&bed, 0, &["status", "--json"])?["rollout"].clone();
        ensure!(rollout["state"] != "halted", "halted: {:#}", rollout["why"]);
        Ok(["completed", "aborted"].iter().any(|end| rollout["state"] == *end).then_some(rollout))
    })?;
    ensure!(ended["state"] == "completed", "{ended:#}");
    let grants = ended["grant"].as_object().map_or(0, serde_json::Map::len);
    ensure!(grants == 0, "nobody was granted anything: {:#}", ended["grant"]);
    let owed = ended["owed"].as_array().context("owed")?;
    ensure!(owed.iter().all(|o| o["state"] == "restored"), "owed: {owed:?}");
    let out: Vec<_> = bed.haproxy.servers()?.into_iter().filter(|(_, state)| state.admin != 0).collect();
    ensure!(out.is_empty(), "not let in: {out:?}");
    load.wait_acknowledged(50)?;
    load.stop()?;
    let again = site.as_person(&bed, 0, OLA, &["plan", "--to", NEW])?;
    ensure!(again.code == 0, "one more plan changes nothing, but: {}\n{}", again.code, again.stderr);

    // The one migration is the one by hand: its login is the application's own, and no other session made another.
    let verdict = bed.evidence(&since)?.judge()?;
    println!("\n{}", verdict.table);
    ensure!(verdict.ok, "{:?} in\n{}", verdict.violated(), verdict.table);
    bed.passed();
    Ok(())
}
