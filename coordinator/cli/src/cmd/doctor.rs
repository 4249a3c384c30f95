//! `lockkeeper doctor`.

use super::{Scene, breakglass::Data, parse};
use crate::{
    error::CliError,
    exit::Exit,
    offline, out,
    render::{doctor, moment::Moment},
};
use lockkeeper_adapters::system::machine;
use lockkeeper_coordinator::{
    doctor::{DoctorView, Seen, diagnose, machine as of_machine},
    planning::Looks,
    preflight::{Finding, FindingVerdict},
};
use lockkeeper_core::{ids::LogIndex, time::LogTime, view::Stamp};
use lockkeeper_proto::client::operator::ViewKind;
use std::path::Path;

/// Say what is wrong and what to do about it, also when only one agent answers, or none.
///
/// Looks at the group (quorum, silent voters, certificates), at every machine (identity, clock, room), at every database
/// (whether it can be reached, other tools' locks, sessions nobody knows), at every balancer (members left out while
/// nothing is going on), and at what a halted rollout needs and still owes. What could not be looked at is listed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// Print the diagnosis as JSON, with documented and stable keys (`docs/command-line.md`).
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: Data,
}

const HELP: &str = "\
Without any agent's answer it reads this machine's data directory (--data), as breakglass show does.
Remedies are commands for a person; none is run. SQL is for the database that is named.

Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 nothing is wrong; 1 error; 2 warnings only; 3 something stands in the way, or no agent answered.
Example:
  lockkeeper doctor
  lockkeeper doctor --json | jq '.findings[] | select(.verdict == \"blocked\")'";

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let asked = async { scene.session()?.view(ViewKind::Doctor, false).await };
    let json = match asked.await {
        Ok(json) => json,
        // Which cluster is meant must be said; anything else is part of what is wrong.
        Err(error @ (CliError::Ambiguous { .. } | CliError::NoContext { .. } | CliError::NoHome)) => {
            return Err(error);
        }
        Err(error) => match args.data.directory(scene)? {
            Ok(data) => {
                let view = alone(&data, &error).await;
                serde_json::to_string(&view)
                    .map_err(|e| CliError::BadAnswer { what: "doctor", reason: e.to_string() })?
            }
            Err(exit) => return Ok(exit),
        },
    };
    let view: DoctorView = parse("doctor", &json)?;
    out::data(&if args.json {
        crate::render::json::pretty(&json)
    } else {
        doctor::text(&view, &Moment::system())
    })?;
    let has = |verdict| view.findings.iter().any(|finding| finding.verdict == verdict);
    Ok(match (has(FindingVerdict::Blocked), has(FindingVerdict::Warning)) {
        (true, _) => Exit::Blocked,
        (false, true) => Exit::Changes,
        (false, false) => Exit::Done,
    })
}

/// What can be said without any agent: why none answers, what this machine's data directory holds, and its room.
async fn alone(data: &Path, error: &CliError) -> DoctorView {
    let before = LogTime(Moment::system().now);
    let machine = machine::look(data.to_owned(), Vec::new()).await;
    let now = LogTime(Moment::system().now);
    let mut view = match offline::read(data) {
        Ok(left) => {
            // All it holds: of the newest entries it cannot say alone whether they were committed, and a doctor rather
            // tells too much.
            let stamp =
                Stamp { source: left.source.node, as_of: left.source.written, ..nobody(left.last.applied) };
            let looks = Looks::new();
            diagnose(Seen { state: &left.last, stamp, voters: &[], looks: &looks, asked: (now, now) })
        }
        Err(why) => {
            let unseen = vec![
                format!("the group's state: {}: {why}", why.code()),
                "members, databases and balancers: nothing says which there are".to_owned(),
            ];
            DoctorView { stamp: Stamp { as_of: now.0, ..nobody(LogIndex(0)) }, findings: Vec::new(), unseen }
        }
    };
    let here = "this machine";
    if data.exists() {
        of_machine(here, &machine, (here, (before, now)), &mut view.findings, &mut view.unseen);
    }
    let agent = Finding {
        subject: "agent".to_owned(),
        verdict: FindingVerdict::Blocked,
        text: format!("no agent answers: {error}"),
        code: error.code().into_owned(),
        remedy: format!("systemctl status lockkeeper; lockkeeper explain {}", error.advice()),
    };
    view.findings.insert(0, agent);
    view
}

fn nobody(applied: LogIndex) -> Stamp {
    Stamp { source: String::new(), as_of: 0, applied, leader: None, term: 0, stale: true }
}
