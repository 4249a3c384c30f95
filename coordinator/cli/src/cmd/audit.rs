//! `lockkeeper audit show` and `audit verify`.

use super::Scene;
use crate::{
    args::Reading,
    error::CliError,
    exit::Exit,
    files::{Existing, read_text, write_text},
    out,
    render::{audit, json, moment::Moment},
};
use clap::Subcommand;
use lockkeeper_coordinator::{
    machine::StateMachine,
    raft::{Offline, Upto},
};
use lockkeeper_core::{
    audit::{self as chain, AuditHead},
    time::Millis,
    view::AuditView,
};
use lockkeeper_proto::client::operator::ViewKind;
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

/// The audit: every command that was applied or rejected, with who, when, why and the answer, chained by digests.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the entries one agent keeps, or write them to an audit file.
    ///
    /// Every voter keeps the newest 8,192 entries; the first line says if older ones were dropped. Keep what you need
    /// longer with -o: the file can be verified without a cluster, also years later.
    #[command(after_long_help = SHOW_HELP)]
    Show {
        #[command(flatten)]
        reading: Reading,
        /// Only entries younger than this (90s, 30min, 2h), or from this entry number on.
        #[arg(long, value_name = "AGE|NUMBER", conflicts_with = "output")]
        since: Option<Since>,
        /// Write all kept entries to this audit file.
        #[arg(short, long, value_name = "FILE", conflicts_with = "json")]
        output: Option<PathBuf>,
        /// Replace the file if it holds something else.
        #[arg(long, requires = "output")]
        force: bool,
    },
    /// Follow the chain from its first kept entry to the head, and say where it breaks.
    ///
    /// Without FILE and --data an agent is asked, and its entries must end at the head in the replicated state. With
    /// FILE the file alone is checked; with --data as well, the file's head must lie on that node's chain.
    #[command(after_long_help = VERIFY_HELP)]
    Verify {
        /// An audit file, written by audit show -o.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// The data directory of an agent that does not run, such as /var/lib/lockkeeper.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        #[command(flatten)]
        reading: Reading,
    },
}

const SHOW_HELP: &str = "\
Changes: nothing on any host; with -o one file here.
Ctrl-C: ends this command only; no half-written file is left.
Exit codes: 0 shown; 1 nobody answered, or the entries do not form a chain (nothing is written then).
Example:
  lockkeeper audit show --since 2h
  lockkeeper audit show -o 2026-11.audit";

const VERIFY_HELP: &str = "\
Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 the chain is whole; 1 it is broken (where is said), or error.
Example:
  lockkeeper audit verify
  lockkeeper audit verify 2026-11.audit
  lockkeeper audit verify 2026-11.audit --data /var/lib/lockkeeper";

/// From when on entries are shown.
#[derive(Debug, Clone, Copy)]
pub enum Since {
    /// Not older than this.
    Age(Millis),
    /// From this entry on.
    Number(u64),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) => Ok(Since::Number(number)),
            Err(_) => {
                Millis::parse(text).map(Since::Age).map_err(|e| format!("{e}, or the number of an entry"))
            }
        }
    }
}

/// What was verified.
#[derive(Debug, Serialize)]
struct Report {
    cluster_id: String,
    source: String,
    entries: u64,
    after: AuditHead,
    head: AuditHead,
}

pub async fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    match args.command {
        Command::Show { reading, since, output, force } => {
            let (text, view) = ask(scene, reading).await?;
            match output {
                Some(path) => save(&path, &view, if force { Existing::Replace } else { Existing::Keep }),
                None => show(&text, view, since, reading.json),
            }
        }
        Command::Verify { file, data, reading } => {
            let report = match (file, data) {
                (None, None) => of_agent(&ask(scene, reading).await?.1)?,
                (None, Some(data)) => of_data(&data, None)?,
                (Some(file), None) => of_file(&file)?,
                (Some(file), Some(data)) => {
                    let report = of_file(&file)?;
                    of_data(&data, Some(&report))?;
                    report
                }
            };
            tell(&report, reading.json)
        }
    }
}

async fn ask(scene: &Scene, reading: Reading) -> Result<(String, AuditView), CliError> {
    let text = scene.session()?.view(ViewKind::Audit, reading.linearizable).await?;
    let view = super::parse("audit", &text)?;
    Ok((text, view))
}

fn show(text: &str, mut view: AuditView, since: Option<Since>, as_json: bool) -> Result<Exit, CliError> {
    let moment = Moment::system();
    let dropped = view.after.count;
    match since {
        None if as_json => {
            out::data(&json::pretty(text))?;
            return Ok(Exit::Done);
        }
        None => {}
        Some(Since::Number(number)) => view.entries.retain(|e| e.number >= number),
        Some(Since::Age(age)) => view.entries.retain(|e| e.time.0.saturating_add(age.0) >= moment.now),
    }
    if let Some(first) = view.entries.first() {
        view.after.count = first.number - 1;
    }
    if as_json {
        let text = serde_json::to_string(&view);
        let text = text.map_err(|e| CliError::BadAnswer { what: "audit", reason: e.to_string() })?;
        out::data(&json::pretty(&text))?;
    } else {
        out::data(&audit::text(&view, dropped, &moment))?;
    }
    Ok(Exit::Done)
}

fn save(path: &Path, view: &AuditView, existing: Existing) -> Result<Exit, CliError> {
    view.verify().map_err(|e| broken(&view.stamp.source, e.code(), &e))?;
    let text = chain::render(&view.cluster_id, &view.stamp.source, &view.trail());
    write_text(path, &text, 0o640, existing)?;
    out::say(&format!(
        "{} entries written to {}; head {}",
        view.entries.len(),
        path.display(),
        view.head.digest
    ));
    Ok(Exit::Done)
}

fn broken(whose: &str, code: &'static str, error: &dyn std::fmt::Display) -> CliError {
    let text = crate::render::failure::without_code(&error.to_string()).to_owned();
    CliError::Audit { whose: whose.to_owned(), code, text }
}

fn of_agent(view: &AuditView) -> Result<Report, CliError> {
    view.verify().map_err(|e| broken(&view.stamp.source, e.code(), &e))?;
    Ok(Report {
        cluster_id: view.cluster_id.0.clone(),
        source: view.stamp.source.clone(),
        entries: view.entries.len() as u64,
        after: view.after.clone(),
        head: view.head.clone(),
    })
}

fn of_file(path: &Path) -> Result<Report, CliError> {
    let text = read_text(path)?;
    let whose = path.display().to_string();
    let found = chain::verify(text.as_bytes()).map_err(|e| {
        let text = format!("line {}: {}", e.line, crate::render::failure::without_code(&e.fault.to_string()));
        CliError::Audit { whose, code: e.fault.code(), text }
    })?;
    Ok(Report {
        cluster_id: found.cluster.0,
        source: found.source,
        entries: found.entries,
        after: found.after,
        head: found.head,
    })
}

/// Replays what a node's store holds and follows its chain; the head of a file must lie on it.
fn of_data(data: &Path, file: Option<&Report>) -> Result<Report, CliError> {
    let whose = data.display().to_string();
    let fail =
        |error: &dyn std::fmt::Display| CliError::Data { path: data.to_owned(), reason: error.to_string() };
    let store = Offline::read(&data.join("raft.redb")).map_err(|e| fail(&e))?;
    let (mut machine, seen) = StateMachine::new();
    store.replay(&mut machine, Upto::Committed).map_err(|e| fail(&e))?;
    let (trail, state) = (machine.trail().read(), seen.borrow().clone());
    trail.verify(&state.audit).map_err(|e| broken(&whose, e.code(), &e))?;
    if let Some(file) = file {
        let mine = trail.digest_at(file.head.count);
        if mine != Some(file.head.digest.as_str()) {
            let found = match mine {
                None => "this node does not keep that entry".to_owned(),
                Some(digest) => format!("on this node it has the digest {digest}"),
            };
            let text =
                format!("entry {} of the file has the digest {}; {found}", file.head.count, file.head.digest);
            return Err(CliError::Audit { whose, code: "LK3607", text });
        }
    }
    Ok(Report {
        cluster_id: state.group.as_ref().map(|g| g.cluster.0.clone()).unwrap_or_default(),
        source: whose,
        entries: trail.entries().len() as u64,
        after: trail.after().clone(),
        head: state.audit.clone(),
    })
}

fn tell(report: &Report, as_json: bool) -> Result<Exit, CliError> {
    if as_json {
        out::data(&format!("{:#}", serde_json::json!(report)))?;
        return Ok(Exit::Done);
    }
    let begin = match report.after.count {
        0 => "from the first".to_owned(),
        count => format!("behind entry {count} ({}), older ones are not kept there", report.after.digest),
    };
    out::data(&format!(
        "the chain is whole: {} entries {begin}, up to entry {}\nhead {}\nsource: {}\n",
        report.entries, report.head.count, report.head.digest, report.source
    ))?;
    Ok(Exit::Done)
}
