//! Resolving references to secrets on the node that needs them.
//!
//! `file:PATH`, `env:NAME`, `systemd-credential:NAME`, `cmd:PROGRAM ARGS`. Knows nothing about what a secret opens, and
//! never puts one, or the output of a command that was to print one, into an error.

use crate::{
    code::HostCode,
    exec::{End, Job, direct},
};
use lockkeeper_agent::host::Failure;
use lockkeeper_core::{
    cluster::SecretRef,
    plan::action::{CommandSpec, OnAgentLoss},
    time::Millis,
};
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

/// The longest secret, in bytes. A password is shorter; a private key fits.
pub const SECRET_MAX: u64 = 16 * 1024;

/// How long a `cmd:` reference may take: a vault on the network answers in that time or is down.
const COMMAND_LIMIT: Millis = Millis::from_secs(10);

/// Resolves a reference. One newline at the end is not part of a secret; an empty secret is refused.
pub async fn resolve(reference: &SecretRef) -> Result<SecretString, Failure> {
    let (kind, rest) = reference.0.split_once(':').unwrap_or((&reference.0, ""));
    let secret = match kind {
        "file" => file(Path::new(rest))?,
        "env" => environment(rest)?,
        "systemd-credential" => credential(rest)?,
        "cmd" => command(rest).await?,
        _ => {
            return Err(HostCode::SecretUnresolved.failure(format!(
                "{kind:?} is not a kind of reference; allowed: file, env, systemd-credential, cmd"
            )));
        }
    };
    let secret = secret.strip_suffix('\n').map(|s| s.strip_suffix('\r').unwrap_or(s)).unwrap_or(&secret);
    if secret.is_empty() {
        return Err(HostCode::SecretUnresolved.failure(format!("the secret behind {kind}: is empty")));
    }
    Ok(SecretString::from(secret))
}

fn file(path: &Path) -> Result<String, Failure> {
    let unresolved =
        |e: std::io::Error| HostCode::SecretUnresolved.failure(format!("{}: {e}", path.display()));
    let file = File::open(path).map_err(unresolved)?;
    let meta = file.metadata().map_err(unresolved)?;
    let mode = meta.permissions().mode() & 0o777;
    if !meta.is_file() {
        return Err(HostCode::SecretUnresolved.failure(format!("{} is not a file", path.display())));
    }
    if mode & 0o137 != 0 {
        return Err(HostCode::SecretExposed
            .failure(format!("{} has mode {mode:04o}; allowed: 0600, 0640 or less", path.display())));
    }
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != 0 && meta.uid() != me {
        return Err(HostCode::SecretExposed.failure(format!(
            "{} belongs to user {}; allowed: root and the agent's own user {me}",
            path.display(),
            meta.uid()
        )));
    }
    let mut text = String::new();
    file.take(SECRET_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|e| HostCode::SecretUnresolved.failure(format!("{}: {}", path.display(), e.kind())))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > SECRET_MAX {
        return Err(HostCode::SecretUnresolved
            .failure(format!("{} is larger than {SECRET_MAX} bytes", path.display())));
    }
    Ok(text)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the reference itself names the variable; this is no hidden input"
)]
fn variable(name: &str) -> Result<String, Failure> {
    std::env::var(name).map_err(|_| {
        HostCode::SecretUnresolved.failure(format!("the agent's environment has no readable {name}"))
    })
}

fn environment(name: &str) -> Result<String, Failure> {
    if name.is_empty() {
        return Err(HostCode::SecretUnresolved.failure("env: names no variable"));
    }
    variable(name)
}

/// Credentials are in a directory of the unit, one file each; systemd sees to their permissions.
fn credential(name: &str) -> Result<String, Failure> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(HostCode::SecretUnresolved.failure(format!("{name:?} is not the name of a credential")));
    }
    file(&Path::new(&variable("CREDENTIALS_DIRECTORY")?).join(name))
}

async fn command(line: &str) -> Result<String, Failure> {
    let spec = CommandSpec {
        argv: line.split_ascii_whitespace().map(str::to_owned).collect(),
        env: BTreeMap::new(),
        dir: String::new(),
        shell: false,
        timeout: COMMAND_LIMIT,
        success: vec![0],
        on_agent_loss: OnAgentLoss::Kill,
    };
    let program = spec.argv.first().cloned().unwrap_or_default();
    let result = direct::run(&Job::new(&spec, Vec::new())).await?;
    match result.end {
        End::Exited(0) => Ok(result.stdout),
        other => {
            Err(HostCode::SecretUnresolved
                .failure(format!("cmd:{program} did not print a secret: {other:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn file_with(mode: u32, text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).unwrap();
        file
    }

    async fn get(reference: String) -> Result<String, Failure> {
        resolve(&SecretRef(reference)).await.map(|s| s.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn a_file_is_read_only_if_nobody_else_can() {
        for mode in [0o600, 0o640, 0o400] {
            let file = file_with(mode, "pässword\n");
            assert_eq!(get(format!("file:{}", file.path().display())).await.unwrap(), "pässword");
        }
        for mode in [0o644, 0o660, 0o604, 0o601] {
            let file = file_with(mode, "hidden");
            let refused = get(format!("file:{}", file.path().display())).await.unwrap_err();
            assert_eq!(refused.code, "LK5402", "{mode:o}");
            assert!(!refused.text.contains("hidden"));
        }
    }

    #[tokio::test]
    async fn commands_variables_and_nonsense() {
        assert_eq!(get("cmd:echo s3cret".into()).await.unwrap(), "s3cret");
        let silent = get("cmd:sh -c leak".into()).await.unwrap_err();
        assert_eq!(silent.code, "LK5401");
        for bad in
            ["plain", "env:", "env:LK_NO_SUCH_VARIABLE", "systemd-credential:../x", "cmd:true", "file:/none"]
        {
            assert_eq!(get(bad.into()).await.unwrap_err().code, "LK5401", "{bad}");
        }
        let large = file_with(0o600, &"x".repeat(usize::try_from(SECRET_MAX).unwrap() + 1));
        assert_eq!(get(format!("file:{}", large.path().display())).await.unwrap_err().code, "LK5401");
    }
}
