//! Prints what Lockkeeper costs beside what it may cost. Build the binary first:
//! `cargo build --release && cargo run --release -p lockkeeper-tests --bin bench`. See `docs/benchmarks.md`.

use anyhow::{Context, Result, bail};
use lockkeeper_tests::{
    bench::{
        Figure, demo,
        disk::{self, Processors},
        head, planning,
        processes::Processes,
        rollouts,
        trio::Trio,
    },
    loopback::binary,
};
use std::{
    fs,
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

/// Kills of the leader; the budget speaks of the worst of 30.
const KILLS: usize = 30;
/// Planned hand-overs of each kind.
const HAND_OVERS: usize = 10;
/// Syncs and commits: enough for a 99th percentile.
const COMMITS: usize = 1000;
/// Commits with a pause before each, and the pause: about what a step of a rollout takes with two commits in it.
const PACED: usize = 300;
/// See [`PACED`].
const PACE: Duration = Duration::from_millis(20);
/// Rollouts of some 30 steps each.
const ROLLOUTS: u32 = 8;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let kills = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => KILLS,
        [word, count] if word == "--kills" => count.parse().context("--kills N")?,
        other => bail!("unknown arguments {other:?}; allowed: --kills N"),
    };
    let mut figures = Table::begin();
    let directory = tempfile::tempdir()?;
    in_one_process(directory.path(), &mut figures).await?;
    for members in [10, 100, 1000] {
        let (samples, steps) = planning::times(members, 5)?;
        let figure = Figure::ms(format!("planning {members} members"), samples.median());
        let figure = figure.note(format!("{steps} steps; median of {}", samples.len()));
        figures.push(if members == 1000 { figure.within(100.0) } else { figure });
    }
    figures.growth("planning 100 members", "planning 1000 members");
    sizes(&mut figures)?;
    for figure in demo::figures(&directory.path().join("demo"))? {
        figures.push(figure);
    }
    let mut processes = Processes::start()?;
    for figure in processes.idle().await? {
        figures.push(figure);
    }
    let losses = processes.leader_loss(kills).await?;
    let note = format!("{} times kill -9; through the survivors' API", losses.len());
    figures
        .push(Figure::ms("leader killed to next commit, median", losses.median()).within(1300.0).note(note));
    figures.push(Figure::ms("leader killed to next commit, worst", losses.worst()).within(3000.0));
    let (pauses, usual) = processes.hand_over(HAND_OVERS).await?;
    let note = format!("{} times SIGTERM; pauses are up to {:.1?} without", pauses.len(), usual.worst());
    figures.push(
        Figure::ms("leader stopped: longest pause of commits, median", pauses.median())
            .within(50.0)
            .note(note),
    );
    figures.push(Figure::ms("leader stopped: longest pause of commits, worst", pauses.worst()));
    Ok(if figures.all_ok() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// Disk, commits, coordination and hand-over, three voters in this process.
async fn in_one_process(directory: &Path, figures: &mut Table) -> Result<()> {
    for (processors, word) in [(Processors::Idle, "idle"), (Processors::Busy, "busy")] {
        let syncs = disk::syncs(directory, COMMITS, processors)?;
        let note = format!("{} times; p99 {:.1?}", syncs.len(), syncs.quantile(0.99));
        figures.push(
            Figure::ms(format!("fdatasync of 4 KiB, processors {word}, p50"), syncs.median()).note(note),
        );
    }
    let names: Vec<String> = (1..=3).map(|n| format!("m{n}")).collect();
    let mut text = String::new();
    let mut trio = Trio::start(directory, |addresses| {
        text = planning::cluster_file(&names, addresses);
        text.clone()
    })
    .await?;
    let commits = rollouts::commits(&mut trio, COMMITS, Duration::ZERO).await?;
    let note = format!("{} times, one after the other", commits.len());
    figures.push(Figure::ms("commit in a group of 3 voters, p50", commits.median()).note(note));
    figures.push(Figure::ms("commit in a group of 3 voters, p99", commits.quantile(0.99)));
    let paced = rollouts::commits(&mut trio, PACED, PACE).await?;
    let note = format!("{} times, one every {} ms, as steps come", paced.len(), PACE.as_millis());
    figures.push(Figure::ms("commit at the pace of steps, p50", paced.median()).note(note));
    figures.push(Figure::ms("commit at the pace of steps, p99", paced.quantile(0.99)));
    let overhead = rollouts::overhead(&mut trio, &text, ROLLOUTS).await?;
    let (p50, steps) = (overhead.steps.median(), overhead.steps.len());
    let note = format!("{steps} steps of {} rollouts, {} missed", overhead.rollouts.len(), overhead.missed);
    figures.push(Figure::ms("coordination of a step, p50", p50).within(20.0).note(note));
    figures.push(Figure::ms("coordination of a step, p99", overhead.steps.quantile(0.99)));
    let ratio = |commit: Duration| p50.as_secs_f64() / commit.as_secs_f64();
    figures.push(Figure::of("coordination over commits at its pace", ratio(paced.median()), "x").within(4.0));
    figures.push(Figure::of("coordination over commits without pause", ratio(commits.median()), "x"));
    let mut hand_overs = lockkeeper_tests::bench::Samples::default();
    for _ in 0..HAND_OVERS {
        hand_overs.push(trio.hand_over().await?);
    }
    let note = format!("{} times, until the successor commits", hand_overs.len());
    figures.push(Figure::ms("planned hand-over, median", hand_overs.median()).within(50.0).note(note));
    figures.push(Figure::ms("planned hand-over, worst", hand_overs.worst()));
    trio.stop().await
}

/// The binary as it is installed: without symbols. The one of `--profile dist` if it was built.
fn sizes(figures: &mut Table) -> Result<()> {
    let release = binary()?;
    let stripped = tempfile::NamedTempFile::new()?;
    let strip = Command::new("strip").arg("-o").arg(stripped.path()).arg(&release).status();
    if !strip.context("strip, of binutils, is needed")?.success() {
        bail!("strip has failed");
    }
    let mut size = |name: &str, path: &Path, note: String| -> Result<()> {
        let bytes = fs::metadata(path)?.len();
        #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
        figures.push(Figure::of(name, bytes as f64 / 1e6, "MB").within(25.0).note(note));
        Ok(())
    };
    size("release binary, stripped", stripped.path(), release.display().to_string())?;
    let dist = release.parent().and_then(Path::parent).map(|target| target.join("dist/lockkeeper"));
    if let Some(dist) = dist.filter(|dist| dist.exists()) {
        size("dist binary", &dist, "as packaged".to_owned())?;
    }
    Ok(())
}

/// Figures, printed as they come.
struct Table(Vec<Figure>);

impl Table {
    fn begin() -> Self {
        say(&head());
        Self(Vec::new())
    }

    fn push(&mut self, figure: Figure) {
        say(&figure.to_string());
        self.0.push(figure);
    }

    /// Ten times as many members may take ten times as long, and half as much again for what the machine does besides.
    fn growth(&mut self, small: &str, large: &str) {
        let value = |name: &str| self.0.iter().find(|f| f.name == name).map(|f| f.value);
        if let (Some(small), Some(large)) = (value(small), value(large)) {
            let figure = Figure::of("planning 1000 over 100 members", large / small, "x").within(15.0);
            self.push(figure.note("linear is 10"));
        }
    }

    fn all_ok(&self) -> bool {
        self.0.iter().all(Figure::ok)
    }
}

#[expect(clippy::print_stdout, reason = "its output is what this program is for")]
fn say(line: &str) {
    println!("{line}");
}
