//! A member: Kinto in release directories on a host of its own, its ini file, the template of that file for another
//! login, and a small control script. Knows Kinto; decides nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::host::Host;
use super::postgres::{APP, DATABASE, Postgres};
use super::process::{Ran, wait_for};
use super::tools::{self, Releases};
use super::{NEW, OLD};

/// Kinto's port on every member.
pub const PORT: u16 = 8888;
/// Kinto starts in 1.5 to 2 s on an idle machine; three at once beside a compiler take longer.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A migration takes 2 to 3.5 s plus what the trigger adds.
const MIGRATE_WITHIN: Duration = Duration::from_secs(120);
/// One question, or one act of the control script.
const ASK_WITHIN: Duration = Duration::from_secs(40);

/// The ini file. `{credential.user}` and `{credential.password}` stand for the login.
pub const TEMPLATE: &str = include_str!("../../bed/kinto.ini.template");
const CONTROL: &str = include_str!("../../bed/kintoctl.sh");

/// One member.
#[derive(Debug)]
pub struct Member {
    /// Its host.
    pub host: Host,
}

impl Member {
    /// Lays out `/opt/kinto` (both releases, `current` on the old one, `kintoctl`) and `/etc/kinto` (`kinto.ini` with
    /// the application's login, `kinto.ini.template`). Starts nothing.
    pub fn install(host: Host, releases: &Releases, postgres: &Postgres) -> Result<Self> {
        let opt = host.directory().join("opt/kinto");
        for version in [OLD, NEW] {
            let bin = opt.join("releases").join(version).join("bin");
            fs::create_dir_all(&bin)?;
            let environment = releases.environment(version);
            let program = environment.join("bin/kinto").canonicalize().context("the installed release")?;
            // Without compiled files every start costs 4 s; a variable of the caller's must not switch them off.
            let text =
                format!("#!/bin/sh\nunset PYTHONDONTWRITEBYTECODE\nexec {} \"$@\"\n", tools::path(&program)?);
            script(&bin.join("kinto"), &text)?;
            fs::write(opt.join("releases").join(version).join("VERSION"), format!("{version}\n"))?;
        }
        symlink(format!("releases/{OLD}"), opt.join("current"))?;
        script(&opt.join("kintoctl"), CONTROL)?;

        let etc = host.directory().join("etc/kinto");
        fs::create_dir_all(&etc)?;
        let template = TEMPLATE.replace("{bed.database}", &format!("{}/{DATABASE}", postgres.address()?));
        fs::write(etc.join("kinto.ini.template"), &template)?;
        fs::write(etc.join("kinto.ini"), rendered(&template, APP))?;
        Ok(Self { host })
    }

    /// Its name, also its server's name in the balancer.
    pub fn name(&self) -> &str {
        self.host.name()
    }

    /// Runs a release's migration with the application's own login (setting up; or the mistakes of a wiki page).
    pub fn migrate_as_owner(&self, version: &str) -> Result<String> {
        self.migrate(version, "/etc/kinto/kinto.ini")?.ok()
    }

    /// Runs a release's migration with another login: the template is rendered for it.
    pub fn migrate_as(&self, version: &str, login: (&str, &str)) -> Result<Ran> {
        let etc = self.host.directory().join("etc/kinto");
        let template = fs::read_to_string(etc.join("kinto.ini.template"))?;
        // Kinto chooses its loader by the file's extension: anything but `.ini` is refused.
        fs::write(etc.join("attempt.ini"), rendered(&template, login))?;
        self.migrate(version, "/etc/kinto/attempt.ini")
    }

    fn migrate(&self, version: &str, ini: &str) -> Result<Ran> {
        let program = format!("/opt/kinto/releases/{version}/bin/kinto");
        self.host.run(MIGRATE_WITHIN, &[&program, "migrate", "--ini", ini])
    }

    /// Points `current` at a release, by rename.
    pub fn switch(&self, version: &str) -> Result<()> {
        let opt = self.host.directory().join("opt/kinto");
        symlink(format!("releases/{version}"), opt.join("current.new"))?;
        Ok(fs::rename(opt.join("current.new"), opt.join("current"))?)
    }

    /// Starts the current release; does not wait for it to answer.
    pub fn start(&self) -> Result<()> {
        self.control("start")
    }

    /// Stops it and waits until the process is gone.
    pub fn stop(&self) -> Result<()> {
        self.control("stop")
    }

    fn control(&self, verb: &str) -> Result<()> {
        self.host.run(ASK_WITHIN, &["/opt/kinto/kintoctl", verb])?.ok()?;
        Ok(())
    }

    /// Waits until the heartbeat is good and the given version answers.
    pub fn wait_ready(&self, version: &str) -> Result<()> {
        wait_for(&format!("Kinto {version} on {}", self.name()), READY_WITHIN, || {
            self.get("/v1/__heartbeat__")?;
            Ok((self.served_version()? == version).then_some(()))
        })
    }

    /// The version that answers on this member.
    pub fn served_version(&self) -> Result<String> {
        let root: serde_json::Value = serde_json::from_str(&self.get("/v1/")?)?;
        match &root["project_version"] {
            serde_json::Value::String(version) => Ok(version.clone()),
            other => bail!("project_version is {other}"),
        }
    }

    fn get(&self, path: &str) -> Result<String> {
        let url = format!("http://127.0.0.1:{PORT}{path}");
        self.host.run(ASK_WITHIN, &["curl", "-sSf", "-m", "5", &url])?.ok()
    }
}

fn rendered(template: &str, login: (&str, &str)) -> String {
    template.replace("{credential.user}", login.0).replace("{credential.password}", login.1)
}

fn script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o755))?)
}
