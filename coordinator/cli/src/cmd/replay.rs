//! `lockkeeper replay`.

use crate::{error::CliError, exit::Exit, files::read_text_upto, out, render::failure::without_code};
use lockkeeper_core::record;
use std::path::PathBuf;

/// The largest record that is read. The log holds at most some 12,000 commands of mostly 300 bytes, twice that in
/// hexadecimal, beside a few plans and the state.
const RECORD_BYTES_MAX: u64 = 256 << 20;

/// Play a record: apply every command and make every decision of the leader anew, and compare. Needs no cluster.
///
/// Bit-exact: the state's digest after every command, the audit's head as the node wrote it, and every decision must be
/// what the record says; the first difference is named. A difference with the build that wrote the record means that a
/// node's memory or disk failed; with another build, that it decides otherwise.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The record.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print what was compared as JSON.
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Changes: nothing.
Ctrl-C: ends this command only.
Exit codes: 0 everything is as recorded; 1 not a record, or the first difference is named.
Example:
  lockkeeper replay night.record";

pub fn run(args: &Args) -> Result<Exit, CliError> {
    let text = read_text_upto(&args.file, RECORD_BYTES_MAX)?;
    let whose = args.file.display().to_string();
    let broken = |code, text: String| CliError::Record {
        whose: whose.clone(),
        code,
        text: without_code(&text).to_owned(),
    };
    let script = record::parse(&text).map_err(|e| {
        let text = format!("line {}: {}", e.line, e.reason);
        broken(e.code(), text)
    })?;
    let played = record::play(&script).map_err(|e| broken(e.code(), e.to_string()))?;
    let head = &script.head;
    if args.json {
        out::data(&format!("{:#}", serde_json::json!({ "record": head, "played": played })))?;
        return Ok(Exit::Done);
    }
    let live = if head.live.is_some() { "and that of the node at the end " } else { "" };
    out::data(&format!(
        "identical: {} commands from entry {} to {}, the state's digest after each {live}compared, {} with the audit of \
         the time, {} decisions made anew\nrecorded by {} {}\n",
        played.entries, head.from, head.to, played.audited, played.decisions, head.source, head.build,
    ))?;
    Ok(Exit::Done)
}
