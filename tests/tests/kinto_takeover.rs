//! A Kinto member is frozen in the middle of the migration, longer than every time-out; another one takes over; then it
//! thaws and tries to go on. Judged by PostgreSQL's own log: what it sends after that is refused.

use anyhow::{Context, Result, bail, ensure};
use lockkeeper_tests::bed::{
    Bed, NEW, NEW_SCHEMA, Options,
    host::Host,
    process::{self, wait_for},
    site::{OLA, Site},
};
use std::{fs, path::PathBuf, time::Duration};

/// For a rollout with a lost upgrader in it.
const ROLLOUT_WITHIN: Duration = Duration::from_secs(120);
/// The first member has no context of a person on the others; each gets them all.
const OPERATORS: &str = "etc/lockkeeper/operators";

/// Stops or wakes everything on a host but its first process: agent, step, and the migration.
fn whole_host(host: &Host, signal: &str) -> Result<()> {
    // Nothing of the command itself may be stopped, so it runs without the usual deadline's program around it.
    process::finish(host.command("sh").args(["-c", &format!("kill -s {signal} -- -1")]))?.ok()?;
    Ok(())
}

/// The cluster file says how a lost upgrader is dealt with; `lost_after` is short, for whoever waits for the test.
fn with_policy(bed: &Bed, site: &Site, policy: &str) -> Result<()> {
    let file = bed.members[0].host.directory().join("etc/lockkeeper/cluster.toml");
    let text = fs::read_to_string(&file)?;
    let changed = text
        .replace("lost_after = \"10s\"", &format!("lost_after = \"3s\"\non_upgrader_loss = \"{policy}\""));
    ensure!(changed != text, "the cluster file has no lost_after");
    fs::write(&file, changed)?;
    site.command(bed, 0, &["cluster", "apply", "/etc/lockkeeper/cluster.toml"])?;
    let from = bed.members[0].host.directory().join(OPERATORS);
    for member in &bed.members[1..] {
        let to = member.host.directory().join("etc/lockkeeper");
        let words = ["cp", "-a", &from.display().to_string(), &to.display().to_string()].map(str::to_owned);
        process::run(Duration::from_secs(10), &words.each_ref().map(String::as_str))?.ok()?;
    }
    Ok(())
}

/// The file through which the frozen step was told its login.
fn credential(host: &Host) -> Result<PathBuf> {
    for attempt in fs::read_dir(host.directory().join("lib/lockkeeper/spool"))? {
        let file = attempt?.path().join("credential.ini");
        if file.exists() {
            return Ok(file);
        }
    }
    bail!("no step of {} holds a credential", host.name())
}

fn taken_over(policy: &str) -> Result<()> {
    let mut bed = Bed::start(Options { slow_step: Duration::from_secs(2), ..Options::default() })?;
    let site = Site::start(&bed, env!("CARGO_BIN_EXE_otlp-receiver"))?;
    with_policy(&bed, &site, policy)?;
    let load = bed.start_load(100)?;
    let since = bed.note_rows_before()?;
    let plan = site.planned(&bed)?;
    let ran = site.as_person(&bed, 0, OLA, &["apply", &plan, "--yes"])?;
    ensure!(ran.code == 0, "apply ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);

    // Told by PostgreSQL's own log, which needs no session: the door is shut.
    wait_for("the first migration step", ROLLOUT_WITHIN, || Ok(bed.postgres.step_begun(24)?.then_some(())))?;
    let grant = site.json(&bed, 0, &["status", "--json"])?["rollout"]["grant"]["main"].clone();
    let holder = grant["member"].as_str().context("somebody holds the grant")?.to_owned();
    let frozen = bed.members.iter().position(|m| m.name() == holder).context("the holder is a member")?;
    let awake = (frozen + 1) % bed.members.len();
    let host = &bed.members[frozen].host;
    whole_host(host, "STOP")?;
    ensure!(!bed.postgres.step_begun(25)?, "the fault missed the first step");
    fs::copy(credential(host)?, host.directory().join("etc/kinto/late.ini"))?;

    let rollout = || -> Result<serde_json::Value> {
        Ok(site.json(&bed, awake, &["status", "--json"])?["rollout"].clone())
    };
    if policy == "halt" {
        let halted = wait_for("the holder to be proven out", ROLLOUT_WITHIN, || {
            let Ok(rollout) = rollout() else { return Ok(None) };
            let out = rollout["state"] == "halted" && rollout["grant"]["main"]["state"] == "closed";
            Ok(out.then_some(rollout))
        })?;
        let remedy = halted["why"][0]["remedy"].as_str().unwrap_or_default();
        ensure!(remedy == "lockkeeper takeover main --reason R", "why names {remedy:?}: {:#}", halted["why"]);
        let words = ["takeover", "main", "--reason", "its host is frozen"];
        let ran = site.as_person(&bed, awake, OLA, &words)?;
        ensure!(ran.code == 0, "takeover ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
    }
    let begun = wait_for("the other one's second step", ROLLOUT_WITHIN, || {
        Ok(bed.postgres.step_begun(25)?.then_some(()))
    });
    if let Err(error) = begun {
        return Err(error.context(format!("{:#}", rollout()?["why"])));
    }
    whole_host(host, "CONT")?;
    site.agents[frozen].as_ref().context("its agent was started")?.signal("CONT")?;
    // Beside what the thawed tool still tries by itself: somebody starts it again with what it was given.
    let program = format!("/opt/kinto/releases/{NEW}/bin/kinto");
    let late = host.run(Duration::from_secs(60), &[&program, "migrate", "--ini", "/etc/kinto/late.ini"])?;
    ensure!(late.code != 0, "the login of the lost grant still works:\n{}", late.stdout);

    let ended = wait_for("the rollout's end", ROLLOUT_WITHIN, || {
        let Ok(rollout) = rollout() else { return Ok(None) };
        ensure!(rollout["state"] != "halted", "halted: {:#}", rollout["why"]);
        Ok(["completed", "aborted"].iter().any(|end| rollout["state"] == *end).then_some(rollout))
    })?;
    ensure!(ended["state"] == "completed", "{ended:#}");
    let owed = ended["owed"].as_array().context("owed")?;
    ensure!(!owed.is_empty() && owed.iter().all(|o| o["state"] == "restored"), "owed: {owed:?}");
    ensure!(
        ended["grant"]["main"]["member"] != holder.as_str()
            && ended["grant"]["main"]["token"] != grant["token"]
    );
    load.wait_acknowledged(50)?;
    load.stop()?;
    let verdict = bed.evidence(&since)?.judge_taken_over()?;
    println!(
        "\n{policy}: {holder} was frozen, {} took over\n{}",
        ended["grant"]["main"]["member"], verdict.table
    );
    ensure!(verdict.ok, "{:?} in\n{}", verdict.violated(), verdict.table);
    ensure!(bed.postgres.schema_version()? == NEW_SCHEMA);
    bed.passed();
    Ok(())
}

#[test]
fn a_frozen_kinto_upgrader_is_replaced_by_a_person_and_refused_when_it_thaws() -> Result<()> {
    taken_over("halt")
}

#[test]
fn a_frozen_kinto_upgrader_is_replaced_by_the_plan_and_refused_when_it_thaws() -> Result<()> {
    taken_over("regrant-if-untouched")
}
