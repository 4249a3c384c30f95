//! `lockkeeper recover`: a new generation on the longest surviving log, or new seals after all machines moved.

use super::{Scene, home};
use crate::{
    error::CliError,
    exit::Exit,
    node::{Recovery, recover, reseal},
    out,
};
use clap::ArgGroup;
use lockkeeper_agent::data::DataDir;
use lockkeeper_core::ids::MemberName;
use std::path::PathBuf;

/// Found a new generation of the group when its quorum is gone for good.
///
/// With --survivors: run it on the survivor with the longest log, agents of all survivors stopped. This node becomes
/// the only voter of a new generation; the old one is refused on every call and in the databases' ledgers. An active
/// rollout is HALTed, and what it had seen is looked at anew. All other nodes, surviving or not, join with a token and
/// an empty data directory.
///
/// With --all-moved: every machine of the group was restored or moved elsewhere as a whole, logs included, and each
/// refuses to start because it is another machine. Run it on each; it seals this node's identity anew.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP, group = ArgGroup::new("what").required(true))]
pub struct Args {
    /// The nodes that are left, this one included.
    #[arg(long, value_name = "MEMBER,…", value_delimiter = ',', group = "what")]
    survivors: Vec<MemberName>,
    /// All machines of the group moved together.
    #[arg(long, group = "what")]
    all_moved: bool,
    /// You answer for it that every other node (with --all-moved: every original machine) is powered off and stays so.
    #[arg(long, required = true)]
    lost_are_powered_off: bool,
    /// Where the log of another survivor ends, as `breakglass show` on it says (TERM.INDEX); one for each.
    #[arg(long, value_name = "MEMBER=TERM.INDEX", value_parser = log_of)]
    log_of: Vec<(MemberName, (u64, u64))>,
    /// Why; kept in the audit.
    #[arg(long)]
    reason: String,
    /// This node's settings.
    #[arg(long, value_name = "FILE", default_value = "/etc/lockkeeper/agent.toml")]
    config: PathBuf,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

const HELP: &str = "\
Changes: this node's log store and identity; the old store is kept beside as raft.redb.generation-N. Nothing outside
  this directory: drains, doors and services stay as they are.
Ctrl-C: before the question is answered nothing has changed; afterwards run it again, it goes on where it was.
Exit codes: 0 done; 1 error (LK7403 not a survivor or not known, LK7404 another log is longer, LK7405 the survivors are
  a quorum: nothing has to be recovered); 64 wrong usage or nobody to ask.
Example:
  lockkeeper recover --survivors n1 --lost-are-powered-off --reason 'fire in room 2'
  lockkeeper recover --survivors n1,n3 --log-of n3=4.711 --lost-are-powered-off --reason 'fire in room 2'
  lockkeeper recover --all-moved --lost-are-powered-off --reason 'restored in the second data centre'";

fn log_of(text: &str) -> Result<(MemberName, (u64, u64)), String> {
    let wrong = || format!("{text:?} is not MEMBER=TERM.INDEX, such as n3=4.711");
    let (name, end) = text.split_once('=').ok_or_else(wrong)?;
    let (term, index) = end.split_once('.').ok_or_else(wrong)?;
    let name = MemberName::new(name).map_err(|error| error.to_string())?;
    Ok((name, (term.parse().map_err(|_| wrong())?, index.parse().map_err(|_| wrong())?)))
}

pub fn run(scene: &Scene, args: Args) -> Result<Exit, CliError> {
    let settings = match home::settings(scene, &args.config)? {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    // Keeps an agent out until this is done, and refuses while one runs.
    let data = DataDir::open(&settings.data)?;
    if args.all_moved {
        if !args.yes {
            out::confirm(
                "seal this node's identity to this machine: are all original machines powered off?",
            )?;
        }
        let sealed = reseal(&data, &settings)?;
        out::data(&format!("{} of cluster {} is sealed to this machine", sealed.name, sealed.cluster))?;
        out::say(&format!(
            "next: the same on every other machine, then lockkeeper agent run --config {}",
            args.config.display()
        ));
        return Ok(Exit::Done);
    }
    let wish = Recovery {
        survivors: args.survivors.into_iter().collect(),
        logs: args.log_of.into_iter().collect(),
        reason: args.reason,
        advertise: settings.advertise.clone(),
    };
    let ready = recover(&data, &settings, wish)?;
    if !args.yes {
        out::confirm(&format!("{}\nare the lost nodes powered off, and shall they stay so?", ready.text()))?;
    }
    let text = ready.text();
    let done = ready.carry_out()?;
    out::data(&format!("{text}\ngeneration {} is founded on {}", done.0, settings.name))?;
    out::say(&format!(
        "next: lockkeeper agent run --config {}\n      lockkeeper status --why\n      lockkeeper token create MEMBER, for every other node: move its old data directory away, then lockkeeper join",
        args.config.display()
    ));
    Ok(Exit::Done)
}
