//! `app seed`: a database in schema 1 with notes, and how much work a row is on this machine.

use super::store::{self, COMMON_TABLES};
use super::work::{self, Split};
use anyhow::Context as _;
use rusqlite::{Connection, params};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Schema 1: a note is one text.
const NOTES_1: &str =
    "create table notes (id integer primary key autoincrement, text text not null, at integer not null);";

/// Texts hashed to measure the machine.
const SAMPLES: u32 = 16;

/// What to create.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to create; must not exist.
    #[arg(long)]
    database: PathBuf,
    /// How many notes.
    #[arg(long, default_value_t = 4_000)]
    rows: u32,
    /// How long hashing all rows is to take in `migrate` on this machine when idle; commits come on top.
    #[arg(long, default_value_t = 1_350)]
    migrate_ms: u64,
    /// How long a member's warm-up is to take, likewise.
    #[arg(long, default_value_t = 350)]
    warm_up_ms: u64,
}

const OPENINGS: [&str; 8] =
    ["On", "Notes on", "A short history of", "Against", "The end of", "Why", "Letters about", "Inside"];
const SUBJECTS: [&str; 12] = [
    "canals",
    "locks",
    "sluice gates",
    "low water",
    "barges",
    "lock keepers",
    "the night shift",
    "towpaths",
    "high summer",
    "rust",
    "patience",
    "bells",
];
const AUTHORS: [&str; 7] = ["A. Weir", "B. Sluys", "C. Paddle", "D. Boom", "E. Reach", "F. Quay", "G. Basin"];

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Creating the file by itself makes "must not exist" certain; SQLite takes an empty file as a new database.
    std::fs::File::create_new(&args.database)
        .with_context(|| format!("cannot create {}", args.database.display()))?;
    let mut connection = store::open(&args.database)?;
    fill(&mut connection, args).context("cannot fill the new database")?;
    Ok(ExitCode::SUCCESS)
}

fn fill(connection: &mut Connection, args: &Args) -> rusqlite::Result<()> {
    // Spread over all rows: a longer text is another block to hash.
    let samples: Vec<String> = (1..=SAMPLES).map(|n| text(args.rows / SAMPLES * n)).collect();
    let per_row = |ms| work::calibrate(&samples, args.rows, Duration::from_millis(ms)).0;
    let change = connection.transaction()?;
    change.execute_batch(COMMON_TABLES)?;
    change.execute_batch(NOTES_1)?;
    change.execute("insert into schema_version (version) values (1)", [])?;
    for (name, value) in [
        ("seeded", args.rows),
        ("rounds", per_row(args.migrate_ms)),
        ("warm_rounds", per_row(args.warm_up_ms)),
    ] {
        change.execute("insert into settings (name, value) values (?1, ?2)", params![name, value])?;
    }
    let at = store::now();
    let mut insert = change.prepare("insert into notes (text, at) values (?1, ?2)")?;
    for n in 1..=args.rows {
        insert.execute(params![text(n), at])?;
    }
    drop(insert);
    change.commit()
}

fn text(n: u32) -> String {
    let pick = |list: &[&'static str], step: u32| list[(n / step) as usize % list.len()];
    let title = format!("{} {}, part {n}", pick(&OPENINGS, 1), pick(&SUBJECTS, 8));
    let author = pick(&AUTHORS, 3);
    let body =
        format!("{author} writes about {} and comes back to {}.", pick(&SUBJECTS, 8), pick(&SUBJECTS, 1));
    work::join(&Split { title: &title, author, body: &body })
}
