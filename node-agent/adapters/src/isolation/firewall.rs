//! Puts the ruleset in force, cuts what was connected, reads it back, and takes it away.

use super::rules::{Isolation, Shown, TABLE, shown};
use crate::{
    code::HostCode,
    exec::{End, Job, RunResult, direct},
};
use lockkeeper_agent::host::Failure;
use lockkeeper_core::{
    plan::action::{CommandSpec, OnAgentLoss},
    time::Millis,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    path::Path,
};

/// `nft` and `ss` answer in milliseconds; more means that the kernel is stuck.
const LIMIT: Millis = Millis::from_secs(10);

/// What stands in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// No table of ours.
    Absent,
    /// Exactly what was wanted; outgoing packets refused so far.
    Whole(u64),
    /// Something else; what is missing and what is too much.
    Differs(String),
}

/// Puts it in force: checked, in one transaction, read back, and established connections cut.
pub async fn raise(isolation: &Isolation, scratch: &Path) -> Result<(), Failure> {
    let file = scratch.join("isolation.nft");
    let path = file.display().to_string();
    std::fs::write(&file, isolation.script()).map_err(|e| HostCode::Files.failure(format!("{path}: {e}")))?;
    told(&["nft", "-c", "-f", &path]).await?;
    told(&["nft", "-f", &path]).await?;
    match standing(isolation).await? {
        Standing::Whole(_) => {}
        Standing::Absent => return Err(HostCode::IsolationReadBack.failure("nothing of it is there")),
        Standing::Differs(how) => return Err(HostCode::IsolationReadBack.failure(how)),
    }
    cut(isolation).await
}

/// Takes it away. Nothing to take is a success.
pub async fn lower() -> Result<(), Failure> {
    if table().await?.is_none() {
        return Ok(());
    }
    told(&["nft", "delete", "table", "inet", TABLE]).await?;
    match table().await? {
        None => Ok(()),
        Some(_) => Err(HostCode::IsolationReadBack.failure("the table is still there")),
    }
}

/// Compares what stands in the kernel with what is wanted.
pub async fn standing(isolation: &Isolation) -> Result<Standing, Failure> {
    let Some(read) = table().await? else { return Ok(Standing::Absent) };
    let expected = isolation.expected();
    if read.lines == expected {
        return Ok(Standing::Whole(read.refused));
    }
    let listed = |lines: BTreeSet<&String>| lines.into_iter().cloned().collect::<Vec<_>>().join(", ");
    Ok(Standing::Differs(format!(
        "missing: [{}]; too much: [{}]",
        listed(expected.difference(&read.lines).collect()),
        listed(read.lines.difference(&expected).collect())
    )))
}

async fn table() -> Result<Option<Shown>, Failure> {
    let ran = run(&["nft", "-j", "list", "table", "inet", TABLE]).await?;
    if ran.end == End::Exited(1) && ran.stderr.contains("No such file or directory") {
        return Ok(None);
    }
    ran.judge("nft -j list table", &[])?;
    let read =
        shown(&ran.stdout).map_err(|e| HostCode::IsolationReadBack.failure(format!("nft's answer: {e}")))?;
    Ok(Some(read))
}

/// Ends every TCP connection to somebody who is not allowed. The rules stop its packets already; this ends the waiting
/// at both programs on this side.
async fn cut(isolation: &Isolation) -> Result<(), Failure> {
    let listed = told(&["ss", "-H", "-t", "-n", "state", "connected"]).await?;
    let peers: BTreeSet<IpAddr> = listed.lines().filter_map(peer).collect();
    for address in peers {
        if isolation.lets_through(&SocketAddr::new(address, 0)) {
            continue;
        }
        let address = address.to_string();
        let ran = run(&["ss", "-K", "-t", "dst", &address]).await?;
        // A kernel without socket destruction says so; then the connection dies of its own time-outs.
        if !matches!(ran.end, End::Exited(0)) {
            tracing::warn!(%address, said = ran.stderr.trim(), "connections were not cut; their packets are dropped");
        }
    }
    Ok(())
}

/// The far end of a line of `ss -H -t -n state ...`: state, queues, local, peer; the state is missing with one state.
fn peer(line: &str) -> Option<IpAddr> {
    let end = line.split_whitespace().filter(|word| word.contains(':')).nth(1)?;
    let (address, _) = end.rsplit_once(':')?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    // A link-local address carries its interface.
    let address: IpAddr = address.split('%').next()?.parse().ok()?;
    Some(address.to_canonical())
}

async fn told(argv: &[&str]) -> Result<String, Failure> {
    let ran = run(argv).await?;
    match ran.judge(&argv.join(" "), &[]) {
        Ok(()) => Ok(ran.stdout),
        Err(failure) => Err(HostCode::IsolationRefused.failure(failure.text)),
    }
}

async fn run(argv: &[&str]) -> Result<RunResult, Failure> {
    let command = CommandSpec {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env: BTreeMap::new(),
        dir: String::new(),
        shell: false,
        timeout: LIMIT,
        success: Vec::new(),
        on_agent_loss: OnAgentLoss::Kill,
    };
    direct::run(&Job::new(&command, Vec::new())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_far_end_is_read_off_every_form_of_line() {
        for (line, address) in [
            ("ESTAB 0 0 10.77.0.12:40000 10.77.0.20:5432", Some("10.77.0.20")),
            ("0 0 10.77.0.12:40000 10.77.0.20:5432 ", Some("10.77.0.20")),
            ("ESTAB 0 0 [::1]:1 [fe80::2%eth0]:7440", Some("fe80::2")),
            ("ESTAB 0 0 [::ffff:10.0.0.1]:1 [::ffff:10.0.0.2]:80", Some("10.0.0.2")),
            ("", None),
        ] {
            assert_eq!(peer(line), address.map(|a| a.parse().unwrap()), "{line}");
        }
    }
}
