//! Audit and flight recorder of real agents, running and stopped: what three voters keep is one chain, a record replays
//! to the bit, and what was changed on disk or in a file is named.

use anyhow::{Context as _, Result, ensure};
use lockkeeper_tests::loopback::Loopback;
use rustix::process::Signal;
use std::fs;

#[test]
fn audit_and_record_of_running_and_stopped_agents_agree() -> Result<()> {
    let mut group = Loopback::start(&["n1", "n2", "n3"])?;
    // Something that loses is in the audit as well.
    let refused = group.run(&["pause", "--reason", "nothing runs"])?;
    ensure!(refused.code == 4, "{}{}", refused.stdout, refused.stderr);

    let live = group.must(&["audit", "verify", "--linearizable"])?.stdout;
    ensure!(live.contains("the chain is whole") && live.contains("from the first"), "{live}");
    let shown = group.json(&["audit", "show", "--linearizable", "--json"])?;
    let entries = shown["entries"].as_array().context("entries")?;
    let lost = entries.iter().find(|e| e["what"] == "pause").context("the pause")?;
    ensure!(lost["answer"] == "LK3002" && lost["why"] == "nothing runs", "{lost:#}");
    ensure!(lost["who"]["role"] == "admin", "{lost:#}");
    ensure!(entries.iter().any(|e| e["what"] == "enrol" && e["answer"] == "applied"), "{shown:#}");

    group.must(&["audit", "show", "-o", "all.audit", "--linearizable"])?;
    group.must(&["audit", "verify", "all.audit"])?;
    group.must(&["record", "export", "-o", "live.record", "--linearizable"])?;
    let played = group.json(&["replay", "live.record", "--json"])?;
    ensure!(
        played["record"]["from"] == 0 && played["played"]["entries"].as_u64() >= Some(entries.len() as u64)
    );
    ensure!(played["played"]["audited"] == entries.len(), "{played:#}");

    for agent in &mut group.agents {
        agent.end(Signal::TERM)?;
    }
    // Every voter's own directory leads to the same chain, and none needs an agent.
    let mut on_chain = 0;
    for at in 0..group.agents.len() {
        let data = group.agents[at].data().display().to_string();
        let name = format!("{at}.record");
        group.must(&["audit", "verify", "all.audit", "--data", &data])?;
        group.must(&["record", "export", "-o", &name, "--data", &data])?;
        group.must(&["replay", &name])?;
        on_chain += 1;
    }

    // One changed word, and a chain written for another history.
    let file = group.path().join("all.audit");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replace("nothing runs", "nothing rues"))?;
    let changed = group.run(&["audit", "verify", "all.audit"])?;
    let line = text.lines().position(|l| l.contains("nothing runs")).context("the line")? + 1;
    ensure!(changed.code == 1 && changed.stderr.contains("LK3602"), "{}", changed.stderr);
    ensure!(changed.stderr.contains(&format!("line {line}:")), "{}", changed.stderr);
    let record = fs::read_to_string(group.path().join("live.record"))?;
    fs::write(
        group.path().join("bad.record"),
        record.replacen("\"what\":\"Enrol\"", "\"what\":\"Enrob\"", 1),
    )?;
    let changed = group.run(&["replay", "bad.record"])?;
    ensure!(changed.code == 1 && changed.stderr.contains("LK3616"), "{}", changed.stderr);
    println!(
        "{} entries, {on_chain} voters' directories on one chain, their records replay identically",
        entries.len()
    );
    Ok(())
}
