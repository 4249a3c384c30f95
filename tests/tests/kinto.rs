//! A real cluster goes from one release to the next under Lockkeeper: three Kinto members on PostgreSQL behind HAProxy,
//! under load, by the command line alone, judged by logs that are not Lockkeeper's.

use anyhow::{Context, Result, ensure};
use lockkeeper_tests::bed::{Bed, NEW, NEW_SCHEMA, OLD, Options, kinto::Member, process::wait_for, site::{OLA, Site}};
use std::{collections::BTreeMap, time::Duration};

const ROLLOUT_WITHIN: Duration = Duration::from_secs(60);

/// Plans, approves, applies, and waits for the end; `during` is called once the database upgrade has begun.
fn upgrade(bed: &Bed, site: &mut Site, during: impl FnOnce(&Bed, &mut Site) -> Result<()>) -> Result<serde_json::Value> {
    let plan = site.planned(bed)?;
    let ran = site.as_person(bed, 0, OLA, &["apply", &plan, "--yes"])?;
    ensure!(ran.code == 0, "apply ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
    // Told by PostgreSQL's own log, which needs no session: the door is shut.
    let begun = wait_for("the first migration step", ROLLOUT_WITHIN, || Ok(bed.postgres.step_begun(24)?.then_some(())));
    if let Err(error) = begun {
        let why = site.as_person(bed, 0, OLA, &["status", "--why"])?;
        return Err(error.context(why.stdout));
    }
    during(bed, site)?;
    wait_for("the rollout's end", ROLLOUT_WITHIN, || {
        let at = site.agents.iter().position(Option::is_some).context("an agent runs")?;
        let Ok(status) = site.json(bed, at, &["status", "--json"]) else { return Ok(None) };
        let state = status["rollout"]["state"].as_str().unwrap_or_default().to_owned();
        ensure!(state != "halted", "halted: {}", serde_json::to_string_pretty(&status["rollout"]["why"])?);
        Ok(["completed", "aborted"].contains(&state.as_str()).then_some(status))
    })
}

fn judge(bed: &mut Bed, site: &Site, since: &str, status: &serde_json::Value) -> Result<()> {
    ensure!(status["rollout"]["state"] == "completed", "{status}");
    let owed = status["rollout"]["owed"].as_array().context("owed")?;
    ensure!(!owed.is_empty() && owed.iter().all(|o| o["state"] == "restored"), "owed: {owed:?}");
    let again = site.as_person(bed, 0, OLA, &["plan", "--to", NEW])?;
    ensure!(again.code == 0, "one more plan changes nothing, but: {}\n{}{}", again.code, again.stdout, again.stderr);
    let verdict = bed.evidence(since)?.judge()?;
    println!("\n{}", verdict.table);
    ensure!(verdict.ok, "{:?} in\n{}", verdict.violated(), verdict.table);
    ensure!(bed.postgres.schema_version()? == NEW_SCHEMA);
    Ok(())
}

#[test]
fn kinto_is_upgraded_once_and_nobody_notices_outside_the_outage() -> Result<()> {
    let mut bed = Bed::start(Options::default())?;
    let mut site = Site::start(&bed, env!("CARGO_BIN_EXE_otlp-receiver"))?;
    let load = bed.start_load(100)?;
    let since = bed.note_rows_before()?;
    let status = upgrade(&bed, &mut site, |_, _| Ok(()))?;
    load.wait_acknowledged(50)?;
    load.stop()?;
    judge(&mut bed, &site, &since, &status)?;
    site.stop_agents()?;
    trace_is_whole(&mut site, &status)?;
    bed.passed();
    Ok(())
}

#[test]
fn kinto_is_upgraded_although_the_leader_is_killed_in_the_middle() -> Result<()> {
    let mut bed = Bed::start(Options::default())?;
    let mut site = Site::start(&bed, env!("CARGO_BIN_EXE_otlp-receiver"))?;
    let load = bed.start_load(100)?;
    let since = bed.note_rows_before()?;
    let mut killed = None;
    let status = upgrade(&bed, &mut site, |bed, site| {
        let leader = site.leader(bed)?;
        site.kill_agent(leader)?;
        ensure!(!bed.postgres.step_begun(26)?, "the fault missed the migration");
        killed = Some(leader);
        // A supervisor starts it again.
        site.start_agent(bed, leader)
    })?;
    let leader = killed.context("the fault landed")?;
    println!("killed {} with kill -9 during the migration", bed.members[leader].name());
    load.wait_acknowledged(50)?;
    load.stop()?;
    judge(&mut bed, &site, &since, &status)?;
    bed.passed();
    Ok(())
}

/// A member that is in no cluster file still has sessions when the door is to be shut: it blocks and is named, nothing of it
/// is ended, and the rollout goes on by itself once a person has stopped it.
fn blocks_until_stopped(bed: &Bed, site: &Site, forgotten: &Member) -> Result<()> {
    let address = forgotten.host.address().context("it has an address")?.to_string();
    let why = wait_for("the forgotten node is named", ROLLOUT_WITHIN, || {
        let why = site.as_person(bed, 0, OLA, &["status", "--why"])?.stdout;
        Ok(why.contains("forgotten-node").then_some(why))
    })?;
    println!("{why}");
    ensure!(why.contains(&address) && why.contains("login kinto"), "it is not named: {why}");
    ensure!(!bed.postgres.step_begun(24)?, "the database is upgraded beside it");
    forgotten.wait_ready(OLD)?;
    forgotten.stop()
}

/// The migration breaks half-way, the schema is touched: the whole set leads back, and the old release serves again
/// with every row that was ever acknowledged. Before that, a fourth Kinto stood in the way.
#[test]
fn kinto_is_restored_after_a_migration_that_broke_half_way() -> Result<()> {
    let mut bed = Bed::start(Options { slow_step: Duration::from_millis(200), ..Options::default() })?;
    let mut site = Site::start(&bed, env!("CARGO_BIN_EXE_otlp-receiver"))?;
    bed.postgres.break_migration(25)?;
    let load = bed.start_load(100)?;
    let since = bed.note_rows_before()?;
    let plan = site.planned(&bed)?;
    let early = site.as_person(&bed, 0, OLA, &["restore", "--reason", "too early"])?;
    ensure!(early.code == 4, "a restore without a rollout ended with {}", early.code);
    let forgotten = bed.start_forgotten()?;
    let ran = site.as_person(&bed, 0, OLA, &["apply", &plan, "--yes"])?;
    ensure!(ran.code == 0, "apply ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
    blocks_until_stopped(&bed, &site, &forgotten)?;
    let state = |site: &Site, bed: &Bed, wanted: &str| {
        wait_for(wanted, ROLLOUT_WITHIN, || {
            let status = site.json(bed, 0, &["status", "--json"])?;
            Ok((status["rollout"]["state"] == wanted).then_some(status))
        })
    };
    state(&site, &bed, "halted")?;
    let touched = wait_for("the advice to restore", ROLLOUT_WITHIN, || {
        let why = site.as_person(&bed, 0, OLA, &["status", "--why"])?.stdout;
        Ok(why.contains("lockkeeper restore --reason").then_some(why))
    })?;
    println!("{touched}");
    ensure!(bed.postgres.schema_version()? == 24, "the schema is touched");
    let ran = site.as_person(&bed, 0, OLA, &["restore", "--reason", "the migration broke half-way"])?;
    ensure!(ran.code == 0, "restore ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
    let status = state(&site, &bed, "restored").inspect_err(|_| {
        let why = site.as_person(&bed, 0, OLA, &["status", "--why"]).map(|ran| ran.stdout);
        println!("{why:?}");
    })?;
    let owed = status["rollout"]["owed"].as_array().context("owed")?;
    ensure!(!owed.is_empty() && owed.iter().all(|o| o["state"] == "restored"), "owed: {owed:?}");
    load.wait_acknowledged(50)?;
    load.stop()?;
    let databases = bed.postgres.databases()?;
    ensure!(databases.len() == 2 && databases[1].starts_with("kinto_failed_lk-main-"), "{databases:?}");
    let verdict = bed.evidence(&since)?.judge_restored()?;
    println!("\n{}", verdict.table);
    ensure!(verdict.ok, "{:?} in\n{}", verdict.violated(), verdict.table);
    site.stop_agents()?;
    bed.passed();
    Ok(())
}

/// One rollout is one trace: rollout -> member -> step -> attempt, complete and in order.
fn trace_is_whole(site: &mut Site, status: &serde_json::Value) -> Result<()> {
    let spans = site.spans()?;
    let text = |span: &serde_json::Value, key: &str| span[key].as_str().unwrap_or_default().to_owned();
    let by_id: BTreeMap<String, &serde_json::Value> = spans.iter().map(|s| (text(s, "span"), s)).collect();
    let roots: Vec<_> = spans.iter().filter(|s| s["name"] == "rollout").collect();
    ensure!(roots.len() == 1, "{} rollout spans", roots.len());
    let trace = text(roots[0], "trace");
    let within = |inner: &serde_json::Value, outer: &serde_json::Value| {
        let at = |span: &serde_json::Value, key: &str| span[key].as_u64().unwrap_or_default();
        // Attempts are timed by the agents' clocks, the rest by the log's: 1 s of play.
        at(inner, "start") + 1_000_000_000 >= at(outer, "start") && at(inner, "end") <= at(outer, "end") + 1_000_000_000
    };
    let mut count = BTreeMap::new();
    for span in spans.iter().filter(|s| text(s, "trace") == trace) {
        let attributes = &span["attributes"];
        let kind = if span["name"] == "rollout" {
            "rollout"
        } else if text(span, "name").starts_with("member ") {
            "member"
        } else if span["name"] == "attempt" {
            "attempt"
        } else if !attributes["lockkeeper.step"].is_null() {
            "step"
        } else {
            continue;
        };
        *count.entry(kind).or_insert(0_usize) += 1;
        let wanted = match kind {
            "member" => "rollout",
            "step" => "member",
            "attempt" => "step",
            _ => continue,
        };
        let parent = by_id.get(&text(span, "parent")).with_context(|| format!("{kind} {} has no parent", span["name"]))?;
        let fits = match wanted {
            "rollout" => parent["name"] == "rollout",
            "member" => text(parent, "name").starts_with("member "),
            _ => !parent["attributes"]["lockkeeper.step"].is_null(),
        };
        ensure!(fits, "{kind} {} hangs below {}", span["name"], parent["name"]);
        ensure!(within(span, parent), "{kind} {} is outside of {}", span["name"], parent["name"]);
    }
    let steps = status["rollout"]["steps"].as_array().context("steps")?;
    let done = steps.iter().filter(|s| s["state"] == "done").count();
    let attempts: u64 = steps.iter().filter_map(|s| s["attempts"].as_u64()).sum();
    println!("trace {trace}: {count:?} of {done} steps, {attempts} attempts");
    ensure!(count.get("step") == Some(&done), "{count:?}, but {done} steps were done");
    ensure!(count.get("attempt").copied().unwrap_or(0) as u64 == attempts, "{count:?}, but {attempts} attempts were made");
    ensure!(count.get("member").copied().unwrap_or(0) == 3, "{count:?}");
    Ok(())
}
