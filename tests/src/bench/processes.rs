//! What real agents cost and how fast they recover: three processes of the real binary on loopback.

use super::{
    Figure, Samples,
    usage::{Meter, resident_mb},
};
use crate::small_site::SmallSite;
use anyhow::{Context, Result, bail, ensure};
use lockkeeper_core::ids::RequestId;
use lockkeeper_proto::{
    client::operator::{Answer, Control, OperatorClient, ViewKind},
    transport::unix_channel,
};
use rustix::process::Signal;
use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

/// Names of the three.
const NAMES: [&str; 3] = ["n1", "n2", "n3"];
/// Until a restarted agent is in the group again, or a new leader commits; above every budget, so that a figure over
/// budget is measured and not cut.
const AGAIN_WITHIN: Duration = Duration::from_secs(30);
/// Between two tries to commit. Short against the smallest budget (50 ms).
const RETRY: Duration = Duration::from_millis(5);
/// How long an idle agent is watched: processor time is counted in ticks of 10 ms, so this tells 0.03 %.
pub const IDLE: Duration = Duration::from_secs(30);
/// Largest answer: a status of three members has some kilobytes.
const ANSWER_MAX: usize = 1 << 20;

static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// The three processes, voters all.
pub struct Processes {
    site: SmallSite,
}

impl Processes {
    /// Starts them with a cluster file in force, as after a usual beginning.
    pub fn start() -> Result<Self> {
        Ok(Self { site: SmallSite::start(&NAMES, &[])? })
    }

    fn socket(&self, at: usize) -> PathBuf {
        self.site.group.agents[at].socket()
    }

    fn client(&self, at: usize) -> OperatorClient {
        OperatorClient::new(unix_channel(self.socket(at)), ANSWER_MAX)
    }

    /// Who leads, by the word of whoever answers.
    pub async fn leader(&self) -> Result<usize> {
        let begun = Instant::now();
        while begun.elapsed() < AGAIN_WITHIN {
            for at in 0..NAMES.len() {
                // Linearizable: the leader itself has confirmed it.
                let Ok(json) = self.client(at).view(ViewKind::Status, true).await else { continue };
                let status: serde_json::Value = serde_json::from_str(&json)?;
                let leader = NAMES.iter().position(|name| status["leader"] == *name);
                if let Some(leader) = leader {
                    return Ok(leader);
                }
            }
            sleep(RETRY).await;
        }
        bail!("nobody leads")
    }

    /// Until this agent commits through its own socket.
    async fn in_the_group(&self, at: usize) -> Result<()> {
        timeout(AGAIN_WITHIN, committed(self.client(at)))
            .await
            .with_context(|| format!("{} is not back", NAMES[at]))
    }

    /// Kills the leader so many times; each time from the kill to the next committed command, through the survivors.
    pub async fn leader_loss(&mut self, kills: usize) -> Result<Samples> {
        let mut samples = Samples::default();
        for _ in 0..kills {
            let leader = self.leader().await?;
            let begun = Instant::now();
            self.site.group.agents[leader].end(Signal::KILL)?;
            self.survivors_commit(leader).await?;
            samples.push(begun.elapsed());
            self.site.group.spawn(leader)?;
            self.in_the_group(leader).await?;
        }
        Ok(samples)
    }

    async fn survivors_commit(&self, gone: usize) -> Result<()> {
        let mut tries = JoinSet::new();
        for at in (0..NAMES.len()).filter(|at| *at != gone) {
            tries.spawn(committed(self.client(at)));
        }
        timeout(AGAIN_WITHIN, tries.join_next()).await.context("nobody commits")?.context("two tries")??;
        Ok(())
    }

    /// Ends the leader in good order so many times, while commands are committed through the others all the time; each
    /// time the longest pause between two commits, and the longest one before the end began.
    pub async fn hand_over(&mut self, times: usize) -> Result<(Samples, Samples)> {
        let (mut pauses, mut usual) = (Samples::default(), Samples::default());
        for _ in 0..times {
            let leader = self.leader().await?;
            let (send, mut commits) = tokio::sync::mpsc::unbounded_channel();
            let mut writers = JoinSet::new();
            for at in (0..NAMES.len()).filter(|at| *at != leader) {
                let (client, send) = (self.client(at), send.clone());
                writers.spawn(async move {
                    while send.send(Instant::now()).is_ok() {
                        committed(client.clone()).await;
                    }
                });
            }
            let mut all = gather(&mut commits, 40).await?;
            let begun = Instant::now();
            let mut agent = self.site.group.agents.remove(leader);
            let ended = tokio::task::spawn_blocking(move || agent.end(Signal::TERM).map(|()| agent));
            let agent = ended.await??;
            self.site.group.agents.insert(leader, agent);
            all.extend(drain(&mut commits));
            all.extend(gather(&mut commits, 40).await?);
            writers.shutdown().await;
            // One commit before the end began belongs to the pause that spans it.
            let first = all.iter().rposition(|at| *at < begun).unwrap_or(0);
            pauses.push(longest(&all[first..]));
            usual.push(longest(&all[..first]));
            self.site.group.spawn(leader)?;
            self.in_the_group(leader).await?;
        }
        Ok((pauses, usual))
    }

    /// Memory and processor of the idle group, then with one of its followers dead.
    pub async fn idle(&mut self) -> Result<Vec<Figure>> {
        let leader = self.leader().await?;
        let (follower, victim) = ((leader + 1) % NAMES.len(), (leader + 2) % NAMES.len());
        let mut figures = self.watched(leader, follower, "").await?;
        self.site.group.agents[victim].end(Signal::KILL)?;
        figures.extend(self.watched(leader, follower, ", one peer dead").await?);
        ensure!(self.leader().await? == leader, "the leader has changed while it was watched");
        self.site.group.spawn(victim)?;
        self.in_the_group(victim).await?;
        Ok(figures)
    }

    async fn watched(&self, leader: usize, follower: usize, how: &str) -> Result<Vec<Figure>> {
        // What the moments before left to do is no part of being idle.
        sleep(Duration::from_secs(2)).await;
        let pids = [self.site.group.agents[leader].pid()?, self.site.group.agents[follower].pid()?];
        let meters = [Meter::start(pids[0])?, Meter::start(pids[1])?];
        sleep(IDLE).await;
        let mut figures = Vec::new();
        for (at, (who, budget)) in [("leader", 1.5), ("follower", 0.5)].into_iter().enumerate() {
            let (resident, anonymous) = resident_mb(pids[at])?;
            let percent = Figure::of(format!("idle {who}{how}: share of a core"), meters[at].percent()?, "%");
            let memory = Figure::of(format!("idle {who}{how}: resident memory"), resident, "MB");
            figures.push(percent.within(budget).note(format!("over {} s", IDLE.as_secs())));
            figures.push(memory.within(30.0).note(format!("{anonymous:.1} MB of it not backed by a file")));
        }
        Ok(figures)
    }
}

/// Tries until a command was committed. What is committed changes nothing: there is no rollout to pause, which the
/// log says only after the command went through it.
async fn committed(client: OperatorClient) {
    loop {
        let id = RequestId(format!("bench-{}", REQUESTS.fetch_add(1, Ordering::Relaxed)));
        match client.control(id.0, Control::Pause, "bench".to_owned()).await {
            Ok(Answer::Reply(_)) => return,
            Ok(Answer::Faults(_)) | Err(_) => sleep(RETRY).await,
        }
    }
}

/// The next so many moments.
async fn gather(
    commits: &mut tokio::sync::mpsc::UnboundedReceiver<Instant>,
    count: usize,
) -> Result<Vec<Instant>> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(
            timeout(AGAIN_WITHIN, commits.recv()).await.context("commits have ended")?.context("writers")?,
        );
    }
    Ok(all)
}

/// Those that came meanwhile.
fn drain(commits: &mut tokio::sync::mpsc::UnboundedReceiver<Instant>) -> Vec<Instant> {
    std::iter::from_fn(|| commits.try_recv().ok()).collect()
}

fn longest(moments: &[Instant]) -> Duration {
    moments.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max().unwrap_or_default()
}
