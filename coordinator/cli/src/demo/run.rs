//! One demo from an empty directory to its report: a system is installed, Lockkeeper is put beside it, version 2.0 is
//! planned, approved and applied by the commands an operator types, something may be broken on purpose, and everything
//! is judged from what is left behind.

use super::{
    agents::{APPROVER, Agents, OPERATOR},
    cluster_file::{CLUSTER, Seat, Versions},
    commands::Typist,
    copy,
    evidence::{self, Evidence, Noted, tree_hash},
    fault::{FaultKind, FaultReport, Nemesis},
    figures::{self, Figures},
    initial::Installed,
    invariants,
    layout::Layout,
    ports::Ports,
    processes::{Processes, Role},
    progress,
    relay::Relays,
    report,
    result::{DemoResult, Told},
    say::Say,
    sight::Sight,
};
use crate::connect::Session;
use anyhow::Context as _;
use lockkeeper_core::{
    ids::{LogIndex, MemberName, RolloutId},
    plan::{Plan, read_plan},
    view::StatusView,
};
use lockkeeper_proto::client::operator::ViewKind;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::Instant,
};

/// Users are served this much longer after the end, so that the picture shows how it is afterwards.
const AFTERWARDS: Duration = Duration::from_millis(800);

/// For agents to learn the end of the log; one that was paused or killed first has to find its leader.
const CATCH_UP: Duration = Duration::from_secs(5);

/// What is wished for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// How many members.
    pub members: u16,
    /// What is broken.
    pub fault: FaultKind,
    /// Where files stay.
    pub keep: Option<PathBuf>,
}

/// A demo that came to its end, whatever it was.
#[derive(Debug)]
pub struct Finished {
    /// The result.
    pub result: DemoResult,
    /// The report, for people.
    pub text: String,
}

/// How a demo was ended from outside.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; everything it started is ended")]
pub struct Interrupted;

/// Runs one demo. Whatever happens, no process outlives it.
///
/// # Errors
/// [`Interrupted`] after SIGINT or SIGTERM; else why no rollout came about or nothing could be read afterwards.
pub async fn run(wish: &Wish, say: &Say) -> anyhow::Result<Finished> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let finished = tokio::select! {
        finished = whole(wish, say) => finished,
        _ = interrupt.recv() => Err(Interrupted.into()),
        _ = terminate.recv() => Err(Interrupted.into()),
    };
    say.still();
    finished
}

/// Dropped half-way, it ends what it started: `processes` goes before `layout`.
async fn whole(wish: &Wish, say: &Say) -> anyhow::Result<Finished> {
    let program = std::env::current_exe().context("the path of this program is not known")?;
    let layout = Layout::create(wish.keep.as_deref())?;
    let versions = Versions::new()?;
    let relayed = wish.fault == FaultKind::Partition;
    // Held to the end: an application's port stays its own while it is stopped.
    let ports = ports_for(wish.members, relayed)?;
    let (front, seats) = seats(&ports, wish.members, relayed)?;
    let relays = if relayed { Some(Relays::start(&seats)?) } else { None };
    let members: Vec<MemberName> = seats.iter().map(|seat| seat.member.clone()).collect();
    let processes = Processes::new(&layout, &members);
    let typist = Typist::new(program.clone(), &layout, say.clone());
    let (layout, seats) = (&layout, seats.as_slice());
    // Whoever watches a demo does not want to wait for the usual 10 s.
    let lost_after = if wish.fault.hits_upgrader() { "2s" } else { "10s" };
    let agents =
        Agents { layout, seats, program: &program, processes: &processes, typist: &typist, say, lost_after };
    let installed =
        Installed {
        layout,
        seats,
        versions: &versions,
        program: &program,
        processes: &processes,
        front,
        slows: wish.fault.slows(),
    };

    say.line(&format!("{} members of version {} behind a balancer at {front}", wish.members, versions.from));
    installed.install().await?;
    let system = async {
        installed.start_members().await?;
        installed.start_balancer().await
    };
    let (session, ()) = tokio::try_join!(agents.found(), system)?;
    installed.start_client().await?;
    let mut old_releases = BTreeMap::new();
    for member in &members {
        old_releases.insert(member.clone(), tree_hash(&layout.installed(member, &versions.from))?);
    }

    let sight = Sight::begin(&session);
    let (plan, rollout) = applied(layout, &typist, &versions).await?;
    let (over, struck) = watch::channel(false);
    let nemesis = Nemesis { agents: agents.clone(), leaders: sight.leaders(), views: sight.views(), over, relays: relays.as_ref() };
    let (last, fault) =
        tokio::join!(progress::until_end(sight.views(), struck, rollout, say), nemesis.act(wish.fault));
    let (last, fault) = (last?, fault?);
    tokio::time::sleep(AFTERWARDS).await;
    processes.end(&Role::Client)?;
    caught_up(&session, last.stamp.applied).await;
    let leads = sight.leads();
    keep_views(layout, &session).await?;
    say.still();

    drop(sight);
    for member in &members {
        processes.end(&Role::Copy(member.clone()))?;
    }
    for member in &members {
        processes.end(&Role::Agent(member.clone()))?;
    }
    processes.end_detached()?;
    processes.end(&Role::Balancer)?;
    let noted = Noted { plan, rollout: rollout_of(&last)?, old_releases };
    judge(layout, noted, &leads, fault, wish.keep.as_deref())
}

fn ports_for(members: u16, relayed: bool) -> anyhow::Result<Ports> {
    Ports::reserve((2 + usize::from(relayed)) * usize::from(members) + 1)
}

fn seats(ports: &Ports, members: u16, relayed: bool) -> anyhow::Result<(SocketAddr, Vec<Seat>)> {
    let mut free = ports.addresses()?.into_iter();
    let mut next = || free.next().context("too few free ports");
    let front = next()?;
    let mut seats = Vec::with_capacity(members.into());
    for number in 1..=members {
        let (agent, app) = (next()?, next()?);
        let address = if relayed { next()? } else { agent };
        seats.push(Seat { member: MemberName::new(format!("n{number}"))?, agent, address, app });
    }
    Ok((front, seats))
}

/// `apply --json`.
#[derive(Deserialize)]
struct Accepted {
    rollout: RolloutId,
}

/// Plans, approves by somebody else, applies.
async fn applied(layout: &Layout, typist: &Typist, versions: &Versions) -> anyhow::Result<(Plan, RolloutId)> {
    let to = &versions.to;
    let (olga, rita) = (format!("{OPERATOR}/{CLUSTER}.toml"), format!("{APPROVER}/{CLUSTER}.toml"));
    typist.run(&format!("--context {olga} plan --to {to} -o demo.plan"), &[2]).await?;
    let approve = format!("--context {rita} approve demo.plan --as approver --reference DEMO-1");
    typist.run(&approve, &[0]).await?;
    let answer = typist.run(&format!("--context {olga} apply demo.plan --yes --json"), &[0]).await?;
    let Accepted { rollout } = serde_json::from_str(&answer).context("cannot read the answer of apply")?;
    let path = layout.operators("demo.plan");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let plan = read_plan("demo.plan", &text).map_err(|report| anyhow::anyhow!("{}", report.text()))?;
    Ok((plan, rollout))
}

/// Waits until every agent knows the log up to `index`, or as long as that may take: the stores are compared later.
async fn caught_up(session: &Session, index: LogIndex) {
    let deadline = Instant::now() + CATCH_UP;
    for way in session.ways() {
        while Instant::now() < deadline {
            let view = tokio::time::timeout(CATCH_UP, way.client.view(ViewKind::Status, false)).await;
            let known = view
                .ok()
                .and_then(Result::ok)
                .and_then(|json| serde_json::from_str::<StatusView>(&json).ok());
            if known.is_some_and(|view| view.stamp.applied >= index) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Leaves what the group says beside the logs.
async fn keep_views(layout: &Layout, session: &Session) -> anyhow::Result<()> {
    for (kind, name) in [(ViewKind::Status, "status.json"), (ViewKind::History, "history.json")] {
        let json = session.view(kind, false).await?;
        super::agents::write(&layout.root().join(name), &json)?;
    }
    Ok(())
}

fn rollout_of(view: &StatusView) -> anyhow::Result<lockkeeper_core::view::RolloutView> {
    view.rollout.clone().context("the group knows no rollout")
}

fn judge(
    layout: &Layout,
    noted: Noted,
    leads: &[super::sight::Lead],
    fault: FaultReport,
    kept: Option<&Path>,
) -> anyhow::Result<Finished> {
    let figures: Figures = figures::of(layout.root())?;
    let evidence = Evidence::gather(layout, noted, figures)?;
    let result = DemoResult::new(Told {
        plan: &evidence.plan,
        rollout: &evidence.rollout,
        leads,
        figures: &evidence.figures,
        tokens: evidence.tokens(),
        late_writes: evidence::late_writes(&evidence),
        fault: copy::judged(layout, fault.judged(evidence.upgrade_at(), &evidence.rollout.steps))?,
        invariants: invariants::check(&evidence),
    });
    let json = serde_json::to_string_pretty(&result).context("cannot write the result")?;
    super::agents::write(&layout.result(), &json)?;
    let text = report::text(&result, &evidence.figures, kept);
    Ok(Finished { result, text })
}
