//! Real agents on loopback: certificates renewed, revoked and rolled over while everything runs.

use anyhow::{Context, Result, ensure};
use lockkeeper_coordinator::pki::{PkiStore, PrivateKey, Validity};
use lockkeeper_core::{
    identity::Role,
    ids::{ActorName, ClusterId, Incarnation, MemberName},
    time::LogTime,
};
use lockkeeper_proto::transport::{Credentials, channel, lifetime};
use lockkeeper_tests::{
    access::{
        caller::Shown,
        raw::{self, Door, Heard},
    },
    bed::process::wait_for,
    loopback::{CLUSTER, Loopback},
};
use rustix::process::Signal;
use std::{
    fs, io,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};
use tonic::{Code, transport::Channel};

const DAY: u64 = 24 * 3_600_000;
/// Three debug builds on a busy machine of two cores.
const WITHIN: Duration = Duration::from_secs(60);

fn wall() -> Result<u64> {
    Ok(u64::try_from(UNIX_EPOCH.elapsed()?.as_millis())?)
}

fn pki(group: &Loopback, at: usize) -> Result<PkiStore> {
    Ok(PkiStore::open(group.agents[at].data().join("pki"))?)
}

fn cluster(group: &Loopback) -> Result<ClusterId> {
    Ok(pki(group, 0)?.load_node()?.context("n1 has a certificate")?.cluster)
}

/// Replaces the certificate of an agent that is down.
fn replace_leaf(group: &Loopback, at: usize, validity: Validity) -> Result<()> {
    let (store, cluster) = (pki(group, at)?, cluster(group)?);
    let issuing = pki(group, 0)?.load_issuing(&cluster)?.context("n1 holds the issuing key")?;
    let key = PrivateKey::generate()?;
    let name = MemberName::new(group.agents[at].name.clone())?;
    let chain = issuing.issue_node(&key.request()?, &name, Incarnation(1), validity)?.chain;
    let roots = store.load_roots()?;
    Ok(store.save_node(&Credentials { cluster, chain, key: key.to_der(), roots })?)
}

/// One connection of a caller, which is not made again.
async fn connection(address: &str, shown: &Shown) -> Result<Result<Channel, &'static str>> {
    Ok(match raw::knock(address, raw::config(Some(shown), raw::H2)?).await? {
        Door::Open(wire) => {
            let wire = Mutex::new(Some(wire));
            Ok(channel(move || {
                let wire = wire.lock().map(|mut wire| wire.take()).unwrap_or_default();
                async move { wire.ok_or_else(|| io::Error::other("the connection has ended")) }
            }))
        }
        Door::Alert(alert) => Err(alert),
    })
}

async fn status(connection: Channel) -> Result<Heard> {
    raw::call(connection, "/lockkeeper.v1.Operator/Status", Vec::new()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_and_identities_revoked_while_agents_run() -> Result<()> {
    let mut group = Loopback::start(&["n1", "n2", "n3"])?;
    let cluster = cluster(&group)?;

    // n2 was off for too long (its end lies within the authority's life, which began five minutes before `init`), n3 is past its third: both renew as they start.
    let (minute, day) = (60_000, i64::try_from(DAY)?);
    for (at, age, left) in [(1, 40, -minute), (2, 11, 19 * day)] {
        group.agents[at].end(Signal::TERM)?;
        let not_before = LogTime(wall()? - age * DAY);
        let not_after = LogTime(wall()?.saturating_add_signed(left));
        replace_leaf(&group, at, Validity { not_before, not_after })?;
        group.spawn(at)?;
    }
    for at in [1, 2] {
        wait_for("a renewed certificate", WITHIN, || {
            let leaf = pki(&group, at)?.load_node()?.context("a certificate")?.chain.remove(0);
            Ok((lifetime(&leaf).context("a lifetime")?.not_after_ms > wall()? + 29 * DAY).then_some(()))
        })?;
    }
    wait_for("the members' view to tell it", WITHIN, || {
        let view = group.json(&["members", "--json"])?;
        let all = view["members"].as_array().context("members")?;
        let late = wall()? + 29 * DAY;
        Ok(all.iter().all(|m| m["certificate_expires"].as_u64().is_some_and(|at| at > late)).then_some(()))
    })?;

    // An operator is refused from the moment of the entry, also on a connection that is open.
    let issuing = pki(&group, 0)?.load_issuing(&cluster)?.context("the issuing key")?;
    let key = PrivateKey::generate()?;
    let eve = ActorName::new("eve")?;
    let leaf = Validity::leaf(LogTime(wall()?));
    let chain = issuing.issue_operator(&key.request()?, &eve, Role::Admin, leaf)?.chain;
    let shown = Shown { chain, key: key.to_der() };
    let mut open = Vec::new();
    for agent in &group.agents {
        let connection = connection(&agent.address, &shown).await?.map_err(anyhow::Error::msg)?;
        ensure!(matches!(status(connection.clone()).await?, Heard::Message(_)));
        open.push((agent.address.clone(), connection));
    }
    group.must(&["operator", "revoke", "eve", "--reason", "left"])?;
    for (address, connection) in open {
        // A follower applies it with the next heartbeat.
        let mut refused = false;
        for _ in 0..600 {
            refused =
                matches!(status(connection.clone()).await?, Heard::Status { code, .. } if code != Code::Ok);
            if refused {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        ensure!(refused, "the open connection to {address} goes on");
        ensure!(self::connection(&address, &shown).await?.err() == Some("revoked"), "a new one to {address}");
    }
    let again = group.run(&["operator", "create", "eve", "--role", "viewer", "-o", "eve"])?;
    ensure!(again.code != 0 && again.stderr.contains("LK3064"), "{again:?}");
    let list = group.json(&["operator", "list", "--json"])?;
    ensure!(list["operators"][0]["name"] == "eve" && list["operators"][0]["revoked"].is_u64(), "{list:#}");

    // A member is out, and its identity with it; under a new token it comes back as another.
    let own = pki(&group, 2)?.load_node()?.context("n3's certificate")?;
    let shown = Shown { chain: own.chain, key: own.key };
    let removed = group.must(&["member", "remove", "n3", "--reason", "scrapped"])?;
    ensure!(removed.stderr.contains("ca rotate"), "{}", removed.stderr);
    for at in [0, 1] {
        let address = group.agents[at].address.clone();
        let mut alert = None;
        for _ in 0..600 {
            alert = connection(&address, &shown).await?.err();
            if alert.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        ensure!(alert == Some("revoked"), "{address}: {alert:?}");
    }
    group.agents[2].end(Signal::KILL)?;
    fs::remove_dir_all(group.agents[2].data())?;
    group.join(2)?;
    wait_for("n3 to be back", WITHIN, || {
        let view = group.json(&["members", "--json"])?;
        let n3 = view["members"].as_array().context("members")?.iter().find(|m| m["name"] == "n3").cloned();
        Ok(n3.filter(|m| m["certificate_expires"].is_u64()).map(drop))
    })?;
    let only = group.run(&["member", "remove", "n1", "--reason", "x"])?;
    ensure!(only.code == 4 && only.stderr.contains("LK3061"), "the only voter: {only:?}");
    Ok(())
}

/// Tokens made while an authority is rolled over: fewer than may be open at a time.
const TOKENS: u32 = 120;
/// Between two of them, so that they last for the whole roll-over, which takes some seconds.
const PACE: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_is_rolled_over_while_commands_are_committed() -> Result<()> {
    let group = Loopback::start(&["n1", "n2", "n3"])?;
    wait_for("every build to be announced", WITHIN, || {
        Ok((group.json(&["ca", "show", "--json"])?["feature_floor"] == 2).then_some(()))
    })?;
    // A context that is never told of the new root.
    let old = group.path().join("old");
    let contexts = group.context().parent().context("contexts")?.to_owned();
    fs::create_dir(&old)?;
    for entry in fs::read_dir(&contexts)? {
        let entry = entry?;
        fs::copy(entry.path(), old.join(entry.file_name()))?;
    }
    let old = old.join(format!("{CLUSTER}.toml")).display().to_string();
    let root = group.root().display().to_string();
    let done = AtomicBool::new(false);
    let (stages, commits) = std::thread::scope(|scope| -> Result<_> {
        // Commits by turns through the context that learned the new root and the one that did not.
        let busy = scope.spawn(|| -> Result<u32> {
            let mut count = 0;
            while !done.load(Ordering::SeqCst) && count < TOKENS {
                let member = format!("x{count}");
                if count % 2 == 0 {
                    group.must(&["token", "create", &member])?;
                } else {
                    group.must(&["--context", &old, "token", "create", &member])?;
                }
                count += 1;
                std::thread::sleep(PACE);
            }
            Ok(count)
        });
        let rolled = (|| -> Result<Vec<String>> {
            let new = group.path().join("root-2.pem").display().to_string();
            group.must(&["ca", "rotate", "--ca-out", &new, "--old-root", &root])?;
            let twice = group.path().join("root-3.pem");
            let second = group.run(&["ca", "rotate", "--ca-out", &twice.display().to_string()])?;
            ensure!(second.code == 4 && second.stderr.contains("LK3063"), "{second:?}");
            ensure!(!twice.exists(), "a root that is nobody's was left behind");
            let mut stages = Vec::new();
            wait_for("every agent to move", WITHIN * 2, || {
                let view = group.json(&["ca", "show", "--json"])?;
                let stage = view["roll_over"]["stage"].as_str().context("a stage")?.to_owned();
                if stages.last() != Some(&stage) {
                    stages.push(stage.clone());
                }
                Ok((stage == "overlap").then_some(()))
            })?;
            Ok(stages)
        })();
        done.store(true, Ordering::SeqCst);
        let commits = busy.join().map_err(|_| anyhow::anyhow!("the commits panicked"))?;
        Ok((rolled?, commits?))
    })?;
    println!("stages seen {stages:?}, {commits} commands committed, 0 failed");
    ensure!(commits > 0);
    // The present context's certificate is of the old authority; the next one is of the new.
    group.must(&["operator", "create", "ada", "--role", "admin", "-o", "ada"])?;
    group.must(&["ca", "finish"])?;
    let ada = group.path().join(format!("ada/{CLUSTER}.toml")).display().to_string();
    wait_for("one root on every agent", WITHIN, || {
        for at in 0..group.agents.len() {
            ensure!(pki(&group, at)?.load_roots()?.len() == 1, "{}", group.agents[at].name);
        }
        Ok(Some(()))
    })?;
    group.must(&["--context", &ada, "token", "create", "last"])?;
    let refused = group.run(&["token", "create", "never"])?;
    ensure!(refused.code == 1, "a certificate of the old authority still counts: {refused:?}");
    for agent in &group.agents {
        let log = agent.log()?;
        let distrust: Vec<&str> = log.lines().filter(|l| l.contains("peer does not answer")).collect();
        // LK4012: nobody listened yet, which says nothing of certificates.
        let distrusts = |line: &&str| line.contains("LK40") && !line.contains("LK4012");
        ensure!(!distrust.iter().any(distrusts), "{}: {distrust:#?}", agent.name);
    }
    Ok(())
}
