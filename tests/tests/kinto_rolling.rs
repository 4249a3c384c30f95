//! Three Kinto members behind HAProxy are restarted one by one under load, and no client notices.

use anyhow::{Context, Result, ensure};
use lockkeeper_tests::bed::{
    Bed, OLD, Options,
    process::wait_for,
    site::{BEA, OLA, Site},
};
use std::{collections::BTreeMap, fs, time::Duration};

const ROLLOUT_WITHIN: Duration = Duration::from_secs(120);

#[test]
fn kinto_is_restarted_one_by_one_and_no_request_fails() -> Result<()> {
    let mut bed = Bed::start(Options::default())?;
    let mut site = Site::start(&bed, env!("CARGO_BIN_EXE_otlp-receiver"))?;
    let schema = bed.postgres.schema_version()?;
    let load = bed.start_load(100)?;
    let plan = "/etc/lockkeeper/restart.plan";
    let ran = site.as_person(&bed, 0, OLA, &["plan", "--to", OLD, "--strategy", "rolling", "-o", plan])?;
    ensure!(ran.code == 2, "plan ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
    println!("{}", ran.stdout);
    let ran = site.as_person(&bed, 0, BEA, &["approve", plan, "--as", "approver"])?;
    ensure!(ran.code == 0, "approve ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
    let ran = site.as_person(&bed, 0, OLA, &["apply", plan, "--yes"])?;
    ensure!(ran.code == 0, "apply ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
    let mut fewest = bed.members.len();
    let status = wait_for("the rollout's end", ROLLOUT_WITHIN, || {
        // HAProxy itself says who takes traffic: running, and neither drained nor in maintenance.
        let serving = bed.haproxy.servers()?.iter().filter(|(_, s)| s.op == 2 && s.admin == 0).count();
        fewest = fewest.min(serving);
        let status = site.json(&bed, 0, &["status", "--json"])?;
        let state = status["rollout"]["state"].as_str().unwrap_or_default().to_owned();
        ensure!(state != "halted", "halted: {}", serde_json::to_string_pretty(&status["rollout"]["why"])?);
        Ok((state == "completed").then_some(status))
    })?;
    load.wait_acknowledged(50)?;
    load.stop()?;
    let owed = status["rollout"]["owed"].as_array().context("owed")?;
    ensure!(!owed.is_empty() && owed.iter().all(|o| o["state"] == "restored"), "owed: {owed:?}");
    ensure!(fewest + 1 == bed.members.len(), "{fewest} of {} served at the least", bed.members.len());
    ensure!(bed.postgres.schema_version()? == schema, "a restart leaves the schema as it is");
    let (answered, failed) = requests(&fs::read_to_string(bed.path().join("client.jsonl"))?)?;
    println!("{answered} requests answered, {} failed; at least {fewest} members served", failed.len());
    ensure!(answered > 500 && failed.is_empty(), "of {answered} requests failed: {failed:#?}");
    site.stop_agents()?;
    bed.passed();
    Ok(())
}

/// How many requests the client has an answer to, and those that failed.
fn requests(log: &str) -> Result<(usize, Vec<String>)> {
    let mut count = BTreeMap::new();
    let mut failed = Vec::new();
    for line in log.lines() {
        let entry: serde_json::Value = serde_json::from_str(line)?;
        let Some(ok) = entry["ok"].as_bool() else { continue };
        *count.entry(ok).or_insert(0) += 1;
        if !ok {
            failed.push(line.to_owned());
        }
    }
    Ok((count.get(&true).copied().unwrap_or(0), failed))
}
