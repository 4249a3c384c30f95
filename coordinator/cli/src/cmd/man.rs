//! `lockkeeper man`.

use crate::{
    args::Cli,
    error::CliError,
    exit::Exit,
    files::{Existing, write_text},
    out,
};
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use std::path::{Path, PathBuf};

/// Print a manual page, or write all of them.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// Of which command, such as `plan` or `owed accept`; none: of lockkeeper itself.
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands into this directory instead.
    #[arg(short, long, value_name = "DIR", conflicts_with = "command")]
    output: Option<PathBuf>,
}

const HELP: &str = "\
Changes: nothing; with -o files named lockkeeper*.1 in that directory.
Ctrl-C: ends this command only.
Exit codes: 0 printed or written; 1 a file could not be written; 64 no such command.
Example:
  lockkeeper man apply | man -l -
  lockkeeper man -o /usr/local/share/man/man1";

pub fn run(args: Args) -> Result<Exit, CliError> {
    let mut top = Cli::command().disable_help_subcommand(true);
    top.build();
    if let Some(directory) = args.output {
        let count = write(&top, &directory)?;
        out::say(&format!("{count} pages written to {}", directory.display()));
        return Ok(Exit::Done);
    }
    let mut found = &top;
    for word in &args.command {
        match found.find_subcommand(word) {
            Some(inner) => found = inner,
            None => {
                out::say(&format!("there is no command {:?}; see lockkeeper --help", args.command.join(" ")));
                return Ok(Exit::Usage);
            }
        }
    }
    out::data(&page(found)?.1)?;
    Ok(Exit::Done)
}

fn write(command: &Command, directory: &Path) -> Result<usize, CliError> {
    let (name, text) = page(command)?;
    write_text(&directory.join(name), &text, 0o644, Existing::Replace)?;
    let mut count = 1;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        count += write(inner, directory)?;
    }
    Ok(count)
}

/// A page's file name and text.
fn page(command: &Command) -> Result<(String, String), CliError> {
    let man = Man::new(command.clone());
    let mut text = Vec::new();
    man.render(&mut text).map_err(CliError::Output)?;
    Ok((man.get_filename(), String::from_utf8_lossy(&text).into_owned()))
}
