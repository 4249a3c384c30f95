//! The texts an operator would write: `cluster.toml` and each node's `agent.toml`. Knows the demo's application, not
//! what Lockkeeper does with it.

use super::layout::Layout;
use lockkeeper_core::{ids::MemberName, version::Version};
use std::{fmt::Write as _, net::SocketAddr, path::Path};

/// The demo's cluster, by name.
pub const CLUSTER: &str = "demo";

/// The backend's name at the balancer.
pub const BACKEND: &str = "front";

/// How long every proof must hold without a break. A product's is longer; here it is watched.
pub const SETTLE_MS: u64 = 300;

/// Where one member listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The member.
    pub member: MemberName,
    /// Its agent.
    pub agent: SocketAddr,
    /// Where the others and the commands reach the agent: the same, or a relay in front of it.
    pub address: SocketAddr,
    /// Its application.
    pub app: SocketAddr,
}

/// The versions of the demo's upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// Installed at first.
    pub from: Version,
    /// Wanted.
    pub to: Version,
}

impl Versions {
    /// 1.0 and 2.0.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { from: Version::new("1.0")?, to: Version::new("2.0")? })
    }
}

/// The command line of a member's application. Member, addresses and paths are filled in by the caller: the cluster
/// file has placeholders there.
pub fn serve(program: &Path, release: &str, listen: &str, name: &str, log: &str) -> Vec<String> {
    let program = program.display().to_string();
    let words = ["demo-part", "app", "serve", "--release", release, "--listen", listen, "--name", name];
    std::iter::once(program.as_str()).chain(words).chain(["--log", log]).map(str::to_owned).collect()
}

/// `cluster.toml`.
pub fn cluster(layout: &Layout, seats: &[Seat], program: &Path, lost_after: &str) -> String {
    let root = layout.root().display();
    let mut text = format!("cluster = \"{CLUSTER}\"\nprofile = \"generic\"\nvoters  = \"auto\"\n\n");
    for Seat { member, address, app, .. } in seats {
        let home = quoted(&layout.home(member).display().to_string());
        // Writing into a text cannot fail.
        let _ = writeln!(
            text,
            "[members.{member}]\naddress = \"{address}\"\nvalues  = {{ port = {}, home = {home} }}\n",
            app.port()
        );
    }
    let servers: Vec<String> = seats.iter().map(|s| format!("{m} = \"{m}\"", m = s.member)).collect();
    let release = quoted(&format!("{root}/releases/{{version}}"));
    let log = format!("{root}/app-{{member.name}}.log");
    let command =
        list(&serve(program, "{release.link}", "{member.host}:{member.port}", "{member.name}", &log));
    let migrate = list(&[
        program.display().to_string(),
        "demo-part".to_owned(),
        "app".to_owned(),
        "migrate".to_owned(),
        "--release".to_owned(),
        format!("{root}/releases/{{to}}"),
        "--log".to_owned(),
        root.to_string(),
    ]);
    let environment =
        "{ LOCKKEEPER_DATABASE_MAIN = \"{database.main.path}\", LOCKKEEPER_TOKEN = \"{token}\" }";
    let _ = write!(
        text,
        r#"[policy]
four_eyes        = true
on_upgrader_loss = "halt"
lost_after       = "{lost_after}"

[balancers.front]
kind    = "haproxy"
socket  = {socket}
backend = "{BACKEND}"
servers = {{ {servers} }}
drain   = {{ wait = "2s", then = "maint" }}

[databases.main]
engine    = "sqlite"
instances = [{db}]
name      = "library"
backups   = {backups}

[parameters]
release.directory = "{{member.home}}/app"
release.source    = {release}
version.file      = "{{release.link}}/VERSION"
schema.query      = "select case verdict when 'touched' then 'half way' else version end from judge, schema_version"
schema.after      = "2"

service.kind      = "process"
service.command   = {command}
service.env       = {environment}
service.log       = "{{member.home}}/app.out"
service.stop_wait = "5s"

upgrade.command   = {migrate}
upgrade.env       = {environment}
upgrade.resumes   = true
upgrade.hard      = "2min"
upgrade.estimate  = "1500ms"

ready.http        = "http://{{member.host}}:{{member.port}}/health"
ready.json        = {{ "/version" = "{{version}}" }}
ready.old_json    = {{ "/version" = "{{version}}" }}
ready.settle      = "{SETTLE_MS}ms"
ready.interval    = "50ms"
ready.within      = "30s"
"#,
        socket = quoted(&format!("unix:{}", layout.balancer_socket().display())),
        servers = servers.join(", "),
        db = quoted(&layout.db().display().to_string()),
        backups = quoted(&layout.backups().display().to_string()),
    );
    text
}

/// One node's `agent.toml`.
pub fn agent(layout: &Layout, seat: &Seat) -> String {
    agent_at(seat, &layout.agent_data(&seat.member), &layout.agent_socket(&seat.member))
}

/// One node's `agent.toml`, with its data and its socket at these places.
pub fn agent_at(seat: &Seat, data: &Path, socket: &Path) -> String {
    let data = quoted(&data.display().to_string());
    let socket = quoted(&socket.display().to_string());
    format!(
        "name   = \"{}\"\nlisten = \"{}\"\nadvertise = \"{}\"\ndata   = {data}\n\n[socket]\npath  = {socket}\ngroup = \"\"\n\n\
         [metrics]\nlisten = \"\"\n\n[log]\nfilter = \"info\"\nformat = \"json\"\n",
        seat.member, seat.agent, seat.address
    )
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockkeeper_agent::settings::{Fragment, SocketGroup, from_file};
    use lockkeeper_core::{cluster::read_cluster, profile::ProfileCatalog};

    fn seats() -> Vec<Seat> {
        let seat = |n: u16| Seat {
            member: MemberName::new(format!("n{n}")).unwrap(),
            agent: format!("127.0.0.1:{}", 20_000 + n).parse().unwrap(),
            address: format!("127.0.0.1:{}", 22_000 + n).parse().unwrap(),
            app: format!("127.0.0.1:{}", 21_000 + n).parse().unwrap(),
        };
        (1..=3).map(seat).collect()
    }

    #[test]
    fn both_files_are_read_without_a_fault() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::create(Some(&home.path().join("a \"b\" c"))).unwrap();
        let text = cluster(&layout, &seats(), Path::new("/usr/bin/lockkeeper"), "2s");
        let read = read_cluster("cluster.toml", &text, &ProfileCatalog::built_in());
        let (read, _warnings) = read.unwrap_or_else(|report| panic!("{}\n{text}", report.text()));
        assert_eq!(read.members.len(), 3);
        let text = agent(&layout, &seats()[1]);
        let (settings, warnings) =
            from_file("agent.toml", &text, Fragment::default()).unwrap_or_else(|r| panic!("{}", r.text()));
        assert!(warnings.faults.is_empty(), "{}", warnings.text());
        assert_eq!(settings.socket.group, SocketGroup::RootOnly);
    }
}
