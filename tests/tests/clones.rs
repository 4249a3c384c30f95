//! The clone drill: a member's disk is copied and booted while production is up and reachable. It gives no vote, starts
//! nothing, and what it sends is counted where it would arrive.

use anyhow::{Context as _, Result, ensure};
use lockkeeper_tests::{
    bed::process::wait_for,
    clone_bed::{Arrived, CloneBed, DATABASE, DESK, Kept, Signs},
};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// Nothing was voted, nothing was started, production goes on as one group.
fn harmless(bed: &CloneBed) -> Result<()> {
    let changed = bed.changed()?;
    ensure!(changed.is_empty(), "the copy changed {changed:?}");
    for name in ["n1", "n2", "n3", "db"] {
        ensure!(bed.arrived(name)?.others == 0, "{name} got {:?} of the copy", bed.arrived(name)?);
    }
    bed.must("n1", &["status", "--linearizable"]).map(drop)
}

#[test]
fn a_copy_under_another_hypervisor_id_sends_nothing_at_all() -> Result<()> {
    let mut bed = CloneBed::start(Signs::Hypervisor)?;
    bed.copy("n2", Kept::Nothing)?;
    ensure!(bed.reaches("copy", DATABASE)?, "before its agent boots the copy reaches production");
    ensure!(bed.arrived("db")?.others > 0, "and the counter on the production side sees it");
    bed.count("db")?;

    bed.start_agent("copy")?;
    let said = bed.quarantined("copy", "LK6207")?;
    ensure!(said.contains("SMBIOS UUID differs"), "{said}");
    harmless(&bed)?;
    for name in ["n1", "n2", "n3"] {
        ensure!(bed.arrived(name)? == Arrived::default(), "{name}: {:?}", bed.arrived(name)?);
    }

    let proof = bed.must("copy", &["isolation", "prove", "n2", "--json"])?.stdout;
    let proof: serde_json::Value = serde_json::from_str(&proof)?;
    ensure!(
        proof["refused"].as_array().map(Vec::len) == Some(3),
        "the database and both peers were tried: {proof}"
    );
    ensure!(proof["reached"][0]["target"] == DESK, "{proof}");
    ensure!(!bed.reaches("copy", DATABASE)? && bed.reaches("copy", DESK)?);
    harmless(&bed)?;

    // A hole is closed again by the agent, and while it is open the proof fails.
    bed.host("copy")
        .run(SOON, &["nft", "add", "rule", "inet", "lockkeeper_isolation", "output", "accept"])?
        .ok()?;
    let ran = bed.run("copy", &["isolation", "prove", "n2"])?;
    ensure!(ran.code == 1 && ran.stderr.contains("LK5602"), "{}{}", ran.stdout, ran.stderr);
    wait_for("the hole to be closed", SOON, || {
        Ok((bed.run("copy", &["isolation", "prove", "n2"])?.code == 0).then_some(()))
    })?;

    let ran = bed.run("copy", &["isolation", "lift", "n2", "--reference", "CHG-1"])?;
    ensure!(ran.code == 3 && ran.stderr.contains("LK7022"), "{}{}", ran.stdout, ran.stderr);
    let ran = bed.run("copy", &["isolate", "n1"])?;
    ensure!(ran.code == 1 && ran.stderr.contains("LK7021"), "nobody cuts off the wrong one: {}", ran.stderr);
    harmless(&bed)
}

#[test]
fn a_copy_with_another_card_only_asks_the_agents_and_stands() -> Result<()> {
    let mut bed = CloneBed::start(Signs::CardOnly)?;
    bed.copy("n2", Kept::Nothing)?;
    bed.start_agent("copy")?;
    bed.quarantined("copy", "LK6212")?;
    wait_for("a peer says that the original lives", SOON, || {
        Ok(bed.data("copy").join("quarantine").exists().then_some(()))
    })?;
    ensure!(bed.arrived("n1")?.agents + bed.arrived("n3")?.agents > 0, "its peers were asked");
    harmless(&bed)?;

    // It is not forgotten when the original dies.
    bed.kill_agent("copy")?;
    bed.kill_agent("n2")?;
    bed.start_agent("copy")?;
    bed.quarantined("copy", "LK6215")?;
    harmless(&bed)?;

    // The original is not harmed by it: it is back in its group. Its own card may change: its peers know that nobody
    // else has its name.
    std::fs::write(
        bed.host("n2").directory().join("opt/machine/sys/class/net/eth0/address"),
        "02:00:00:00:00:77\n",
    )?;
    bed.start_agent("n2")?;
    bed.answers("n2")?;
    harmless(&bed)
}

/// The second line, alone: nothing tells the copy from the original, and it does not know whom to ask. It opens its store
/// (which shows that the oracle of the other tests sees it), but the group does not hear it.
#[test]
fn a_copy_that_cannot_ask_is_not_heard_and_stops() -> Result<()> {
    let mut bed = CloneBed::start(Signs::CardOnly)?;
    bed.copy("n2", Kept::All)?;
    std::fs::remove_file(bed.data("copy").join("peers.json"))?;
    let term = |bed: &CloneBed| -> Result<u64> {
        let status: serde_json::Value = serde_json::from_str(&bed.must("n1", &["status", "--json"])?.stdout)?;
        status["term"].as_u64().context("a term")
    };
    let before = term(&bed)?;
    bed.start_agent("copy")?;
    let (status, log) = bed.ends("copy")?;
    ensure!(status == 1 && log.contains("LK7116"), "{status}: {log}");
    ensure!(!bed.changed()?.is_empty(), "the oracle must see an opened store");
    ensure!(term(&bed)? == before, "no vote was won and none was held for it");
    bed.answers("n2")?;
    bed.start_agent("copy")?;
    bed.quarantined("copy", "LK6215").map(drop)
}

#[test]
fn a_machine_taken_back_to_a_snapshot_rejoins_with_an_empty_log() -> Result<()> {
    let mut bed = CloneBed::start(Signs::Hypervisor)?;
    let kept = bed.keep("n2")?;
    bed.must("n1", &["token", "create", "n4"])?;
    bed.take_back("n2", &kept)?;
    bed.start_agent("n2")?;
    let said = bed.quarantined("n2", "LK6207")?;
    ensure!(said.contains("snapshot") && said.contains("VM generation id differs"), "{said}");
    ensure!(!bed.reaches("n2", DATABASE)?, "it cut its own network");
    bed.lend_context("n1", "n2")?;
    let lift = ["--context", "library", "isolation", "lift", "n2", "--reference", "CHG-2"];
    let said = bed.must("n2", &lift)?.stdout;
    ensure!(said.contains("approved by admin (CHG-2)"), "{said}");
    ensure!(bed.reaches("n2", DATABASE)?, "and it was lifted");
    bed.enrol_anew("n2")?;
    bed.whole()?;
    bed.must("n2", &["status", "--linearizable"]).map(drop)
}
