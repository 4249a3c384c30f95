//! What version of the application is installed, as a file, a link or a command says it.

use super::{failed, switch};
use crate::{
    code::HostCode,
    exec::{Job, direct},
};
use lockkeeper_agent::host::{Failure, VersionQuery};
use std::{fs::File, io::Read, path::Path};

/// The longest version file read, in bytes: only its first line is used.
const FILE_MAX: u64 = 4096;

/// Reads the version. Placeholders are filled already.
pub async fn version(query: &VersionQuery) -> Result<String, Failure> {
    match query {
        VersionQuery::File(path) => {
            let path = Path::new(path);
            let mut text = String::new();
            let file = File::open(path).map_err(failed("opening", path))?;
            file.take(FILE_MAX).read_to_string(&mut text).map_err(failed("reading", path))?;
            line(&text, &path.display().to_string())
        }
        VersionQuery::Link(link) => {
            let target = switch::target(Path::new(link))?
                .ok_or_else(|| HostCode::Files.failure(format!("{link} is not there")))?;
            let last = Path::new(&target).file_name().map(|n| n.to_string_lossy().into_owned());
            last.ok_or_else(|| {
                HostCode::Files.failure(format!("{link} points to {target}, which has no last part"))
            })
        }
        VersionQuery::Command(command) => {
            let result = direct::run(&Job::new(command, Vec::new())).await?;
            let what = command.argv.join(" ");
            result.judge(&what, &command.success)?;
            line(&result.stdout, &what)
        }
    }
}

fn line(text: &str, what: &str) -> Result<String, Failure> {
    match text.lines().next().map(str::trim) {
        Some(first) if !first.is_empty() => Ok(first.to_owned()),
        Some(_) | None => Err(HostCode::Files.failure(format!("the first line of {what} is empty"))),
    }
}
