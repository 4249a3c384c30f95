//! One rollout, with at most one kill in it.

use super::{
    place::{Place, Victim},
    site::{KillSite, NAMES},
};
use anyhow::{Context, Result, bail, ensure};
use lockkeeper_proto::{
    client::operator::{OperatorClient, ViewKind},
    transport::unix_channel,
};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A rollout nobody disturbs takes two seconds, one with an election four; many run at once.
const ROLLOUT_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks at the victim: shorter than a commit.
const LOOK: Duration = Duration::from_micros(300);
/// Between two looks at the outcome.
const OUTCOME: Duration = Duration::from_millis(20);
/// Largest answer: a status of three members has some ten kilobytes.
const ANSWER_MAX: usize = 1 << 22;

/// How a rollout ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Entries of the log from the one that started it to its end.
    pub entries: u64,
    /// Acts of services and the migration in it.
    pub effects: u64,
    /// What people had to do.
    pub helped: Vec<String>,
}

/// Takes the site to its next release, and kills an agent at `place`. Everything must then be as it was, one version on.
pub async fn play(site: &mut KillSite, place: Option<Place>) -> Result<Ended> {
    together(site).await?;
    let to = site.prepare_next()?;
    let before = site.turned()?;
    let plan = site.path().join(format!("to-{to}.plan")).display().to_string();
    let ran = site.group.run(&["plan", "--to", &to, "-o", &plan])?;
    ensure!(ran.code == 2, "plan ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
    let start = status(site, 0).await?;
    let (base, effects) = (applied(&start)?, site.effects()?);
    let leader = NAMES.iter().position(|name| start["leader"] == *name).context("somebody leads")?;
    if let Some(Place::Effect { effect, done }) = place {
        site.choose(effect, done)?;
    }
    let struck = match place {
        Some(Place::Entry { entry, victim }) => {
            let at = if victim == Victim::Leader { leader } else { (leader + 1) % NAMES.len() };
            let pid = site.group.agents[at].pid()?;
            let client = client(site, at);
            Some((at, tokio::spawn(kill_at(client, base + entry, to.clone(), pid))))
        }
        Some(Place::Effect { .. }) | None => None,
    };
    let applying = site.group.later(&["apply", &plan, "--yes"]);
    // The agent that was asked may have been the one that died; what it was asked is then seen in the group.
    let ran = tokio::task::spawn_blocking(applying).await??;
    ensure!(
        ran.code == 0 || place.is_some(),
        "apply ended with {}:\n{}{}",
        ran.code,
        ran.stdout,
        ran.stderr
    );
    if let Some((at, kill)) = struck {
        kill.await??;
        site.group.agents[at].end(Signal::KILL)?;
        site.group.spawn(at)?;
    }
    let (ended, helped) = end(site, &to).await?;
    if let Some(Place::Effect { .. }) = place {
        ensure!(site.has_struck(), "the fault missed the rollout");
    }
    site.version += 1;
    site.judge()?;
    let after = site.turned()?;
    ensure!(before == after, "turned and not given back:\nbefore {before:?}\nafter  {after:?}");
    let owed = &ended["rollout"]["owed"];
    let open = owed.as_array().context("owed")?.iter().filter(|owed| owed["state"] != "restored").count();
    ensure!(open == 0, "still owed: {owed}");
    Ok(Ended { entries: applied(&ended)? - base, effects: site.effects()? - effects, helped })
}

/// Until the rollout to `to` is completed; agents that died are started again, as a supervisor does, and people do what
/// `status --why` tells them.
async fn end(site: &mut KillSite, to: &str) -> Result<(Value, Vec<String>)> {
    let begun = Instant::now();
    let mut helped = Vec::new();
    let mut asked = 0;
    let mut last = Value::Null;
    while begun.elapsed() < ROLLOUT_WITHIN {
        for at in 0..NAMES.len() {
            if site.group.agents[at].has_ended()? {
                site.group.spawn(at)?;
            }
        }
        sleep(OUTCOME).await;
        asked += 1;
        let Ok(seen) = status(site, asked % NAMES.len()).await else { continue };
        let rollout = &seen["rollout"];
        match rollout["state"].as_str() {
            Some("completed") if rollout["to"] == to && seen["stale"] == false => return Ok((seen, helped)),
            Some("halted") if rollout["to"] == to => {
                if let Some((help, text, subject)) = remedy(rollout) {
                    // Its start was ended with its agent, and it runs all the same: "mend the cause" is to stop it.
                    if text.starts_with("world-differs") {
                        for name in NAMES.iter().filter(|name| subject.contains(&format!("start-service {name}"))) {
                            site.stop_by_hand(name)?;
                            helped.push(format!("stop {name} by hand"));
                        }
                    }
                    let words: Vec<&str> = help.split_whitespace().skip(1).collect();
                    // Refused when it was overtaken; what is needed then is seen next time.
                    let ran = site.group.run(&words)?;
                    helped.push(format!("{help} ({}), as {text}", ran.code));
                    ensure!(helped.len() < 20, "people had to help too often: {helped:?}");
                }
            }
            Some(_) | None => {}
        }
        last = seen;
    }
    bail!("it did not end: {last:#}")
}

/// The first line a person is told to write, why, and about what.
fn remedy(rollout: &Value) -> Option<(String, String, String)> {
    let text = |why: &Value, key: &str| why[key].as_str().unwrap_or_default().to_owned();
    let mut lines = rollout["why"].as_array()?.iter().map(|why| (text(why, "remedy"), why));
    let (line, why) = lines.find(|(line, _)| line.starts_with("lockkeeper "))?;
    // What stands in brackets behind it is another way.
    let line = line.split(" (").next().unwrap_or(&line).to_owned();
    Some((line, text(why, "text"), text(why, "subject")))
}

/// Until every agent hears of a leader: the last rollout's victim may just have come back.
async fn together(site: &KillSite) -> Result<()> {
    let begun = Instant::now();
    for at in 0..NAMES.len() {
        loop {
            let seen = status(site, at).await;
            if seen.as_ref().is_ok_and(|seen| seen["stale"] == false && seen["leader"].is_string()) {
                break;
            }
            ensure!(begun.elapsed() < ROLLOUT_WITHIN, "{} is not in the group: {seen:?}", NAMES[at]);
            sleep(OUTCOME).await;
        }
    }
    Ok(())
}

/// At an entry, or at the end of the rollout to `to`: how many entries it has differs by a few, as reports of who waits do.
async fn kill_at(client: OperatorClient, entry: u64, to: String, pid: rustix::process::Pid) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < ROLLOUT_WITHIN {
        // What it knows itself, whatever the others know.
        let json = client.view(ViewKind::Status, false).await.context("the victim does not answer")?;
        let seen: Value = serde_json::from_str(&json)?;
        let ended = seen["rollout"]["state"] == "completed" && seen["rollout"]["to"] == *to;
        if ended || applied(&seen)? >= entry {
            return Ok(kill_process(pid, Signal::KILL)?);
        }
        sleep(LOOK).await;
    }
    bail!("entry {entry} did not come")
}

fn client(site: &KillSite, at: usize) -> OperatorClient {
    OperatorClient::new(unix_channel(site.group.agents[at].socket()), ANSWER_MAX)
}

async fn status(site: &KillSite, at: usize) -> Result<Value> {
    Ok(serde_json::from_str(&client(site, at).view(ViewKind::Status, false).await?)?)
}

fn applied(status: &Value) -> Result<u64> {
    status["applied"].as_u64().context("applied")
}
