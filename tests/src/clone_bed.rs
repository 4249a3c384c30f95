//! Three hosts with an agent each, a host that stands for production's database, and machines whose disk is a copy of
//! a member's: each in namespaces of its own, every packet of a copy counted where it arrives.

use crate::bed::{
    host::{Daemon, Host},
    network::{Guard, Switch},
    process::{self, Ran, wait_for},
    site::binary,
    tools,
};
use anyhow::{Context as _, Result, ensure};
use std::{
    collections::BTreeMap, fs, fs::File, net::Ipv4Addr, os::unix::fs::PermissionsExt as _, path::Path,
    time::Duration,
};

/// Any command.
const WITHIN: Duration = Duration::from_secs(60);
/// An agent's start until its socket answers, one way or the other.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Production's database.
pub const DATABASE: &str = "10.77.0.20:5432";
/// The operator's desk, which a copy may talk to.
pub const DESK: &str = "10.77.0.30:8080";
/// Where agents listen.
const AGENTS: u16 = 7440;

const HOSTS: [(&str, [u8; 4]); 6] = [
    ("n1", [10, 77, 0, 11]),
    ("n2", [10, 77, 0, 12]),
    ("n3", [10, 77, 0, 13]),
    ("db", [10, 77, 0, 20]),
    ("desk", [10, 77, 0, 30]),
    ("copy", [10, 77, 0, 40]),
];

/// Which signs a machine shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signs {
    /// A hypervisor's UUID beside machine id and card.
    Hypervisor,
    /// Machine id and card only.
    CardOnly,
}

/// What a copy keeps of the signs that lie outside its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nothing, as usual.
    Nothing,
    /// All: nothing tells it from the original.
    All,
}

/// Everything. Fields drop in order: programs end with their hosts.
pub struct CloneBed {
    hosts: BTreeMap<&'static str, Host>,
    agents: BTreeMap<String, Daemon>,
    _listeners: Vec<Daemon>,
    binary: String,
    signs: Signs,
    switch: Switch,
    _guard: Guard,
    _directory: tempfile::TempDir,
    _lock: File,
}

/// Packets of the copy that reached one production host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrived {
    /// At the agents' port.
    pub agents: u64,
    /// Anywhere else.
    pub others: u64,
}

impl CloneBed {
    /// Three agents in one group, a database that listens, a desk that listens.
    pub fn start(signs: Signs) -> Result<Self> {
        tools::require_root()?;
        let lock = tools::exclusive()?;
        let directory = tempfile::Builder::new().prefix("lk-clones-").tempdir()?;
        tools::let_all_pass(directory.path())?;
        let guard = Guard::set()?;
        let switch = Switch::start(directory.path())?;
        let mut bed = Self {
            hosts: BTreeMap::new(),
            agents: BTreeMap::new(),
            _listeners: Vec::new(),
            binary: binary()?,
            signs,
            switch,
            _guard: guard,
            _directory: directory,
            _lock: lock,
        };
        for (name, address) in HOSTS.into_iter().filter(|(name, _)| *name != "copy") {
            bed.plug(name, address.into())?;
        }
        for (name, at) in [("db", DATABASE), ("desk", DESK)] {
            let (address, port) = at.split_once(':').context("an address with a port")?;
            let argv = ["python3", "-m", "http.server", port, "--bind", address, "--directory", "/opt"];
            let daemon = bed.host(name).daemon("listener", &argv)?;
            bed._listeners.push(daemon);
        }
        for (name, card) in [("n1", 1), ("n2", 2), ("n3", 3)] {
            machine(bed.host(name), signs, card)?;
            settings(bed.host(name), name)?;
        }
        bed.found()?;
        Ok(bed)
    }

    fn plug(&mut self, name: &'static str, address: Ipv4Addr) -> Result<()> {
        let all: Vec<(&str, Ipv4Addr)> = HOSTS.into_iter().map(|(name, at)| (name, at.into())).collect();
        let host = Host::start(name, address, self._directory.path(), &all)?;
        self.switch.plug(&host)?;
        self.hosts.insert(name, host);
        Ok(())
    }

    fn found(&mut self) -> Result<()> {
        let cluster = cluster_file();
        fs::write(self.host("n1").directory().join("etc/lockkeeper/cluster.toml"), cluster)?;
        self.must(
            "n1",
            &["init", "--cluster", "library", "--name", "n1", "--ca-out", "/etc/lockkeeper/root.pem"],
        )?;
        self.start_agent("n1")?;
        self.answers("n1")?;
        wait_for("a leader", START_WITHIN, || {
            let ran = self.run("n1", &["cluster", "apply", "/etc/lockkeeper/cluster.toml"])?;
            Ok((ran.code == 0).then_some(()))
        })?;
        for name in ["n2", "n3"] {
            self.joined(name)?;
        }
        self.whole()
    }

    fn joined(&mut self, name: &str) -> Result<()> {
        let token = self.must("n1", &["token", "create", name])?.stdout;
        let file = self.host(name).directory().join("etc/lockkeeper/token");
        fs::write(&file, token)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        self.must(name, &["join", "--token-file", "/etc/lockkeeper/token"])?;
        self.start_agent(name)?;
        self.answers(name)
    }

    /// Waits until all three vote and each knows the two others.
    pub fn whole(&self) -> Result<()> {
        wait_for("three voters whose peers are noted", START_WITHIN, || {
            let view: serde_json::Value =
                serde_json::from_str(&self.must("n1", &["members", "--json"])?.stdout)?;
            let voters =
                view["members"].as_array().map_or(0, |all| all.iter().filter(|m| m["voter"] == true).count());
            let noted = |name| fs::read_to_string(self.data(name).join("peers.json")).unwrap_or_default();
            let whole = ["n1", "n2", "n3"].iter().all(|name| noted(name).matches(":7440").count() == 2);
            Ok((voters == 3 && whole).then_some(()))
        })
    }

    /// A machine whose disk is that of `member` as it is now. Unless its `signs` are kept too its cards are others, and
    /// where there is a hypervisor it has another UUID.
    pub fn copy(&mut self, member: &str, signs: Kept) -> Result<()> {
        self.plug("copy", Ipv4Addr::new(10, 77, 0, 40))?;
        let (from, to) = (self.host(member).directory(), self.host("copy").directory());
        for part in ["opt", "lib/lockkeeper", "etc/lockkeeper", "etc/machine-id"] {
            let (source, target) = (from.join(part), to.join(part));
            if source.is_dir() {
                fs::create_dir_all(&target)?;
                copied(&source.join("."), &target)?;
            } else {
                copied(&source, &target)?;
            }
        }
        if signs == Kept::Nothing {
            machine(self.host("copy"), self.signs, 40)?;
        }
        for name in ["n1", "n2", "n3", "db"] {
            self.count(name)?;
        }
        // Kept beside the host, where nothing of it comes: what the copy was at its first boot.
        copied(&to.join("lib/lockkeeper"), &self.before())
    }

    fn before(&self) -> std::path::PathBuf {
        self._directory.path().join("before")
    }

    /// What of the copy's store and journal changed since the copying: nothing is voted and nothing is started without a
    /// record there first.
    pub fn changed(&self) -> Result<Vec<String>> {
        let mut changed = Vec::new();
        for part in ["raft.redb", "journal", "spool", "services"] {
            let (was, is) = (self.before().join(part), self.data("copy").join(part));
            if !was.exists() && !is.exists() {
                continue;
            }
            let ran = process::run(WITHIN, &["diff", "-r", tools::path(&was)?, tools::path(&is)?])?;
            if ran.code != 0 {
                changed.push(format!("{part}: {}{}", ran.stdout, ran.stderr));
            }
        }
        Ok(changed)
    }

    /// Counts the copy's packets on a production host, from now on.
    pub fn count(&self, name: &str) -> Result<()> {
        let rules = format!(
            "table inet drill {{\n}}\ndelete table inet drill\ntable inet drill {{\n  chain in {{\n    type filter hook input \
             priority -200;\n    ip saddr 10.77.0.40 tcp dport {AGENTS} counter comment \"agents\"\n    ip saddr 10.77.0.40 \
             tcp dport != {AGENTS} counter comment \"others\"\n    ip saddr 10.77.0.40 meta l4proto != tcp counter comment \
             \"others\"\n  }}\n}}\n"
        );
        fs::write(self.host(name).directory().join("opt/drill.nft"), rules)?;
        self.host(name).run(WITHIN, &["nft", "-f", "/opt/drill.nft"])?.ok()?;
        Ok(())
    }

    /// What arrived.
    pub fn arrived(&self, name: &str) -> Result<Arrived> {
        let json = self.host(name).run(WITHIN, &["nft", "-j", "list", "table", "inet", "drill"])?.ok()?;
        let value: serde_json::Value = serde_json::from_str(&json)?;
        let mut arrived = Arrived::default();
        let rules = value["nftables"].as_array().context("rules")?.iter().filter_map(|item| item.get("rule"));
        let mut rows = 0;
        for rule in rules {
            let counted =
                rule["expr"].as_array().into_iter().flatten().find_map(|e| e["counter"]["packets"].as_u64());
            let counted = counted.context("a counter")?;
            rows += 1;
            match rule["comment"].as_str() {
                Some("agents") => arrived.agents += counted,
                _others => arrived.others += counted,
            }
        }
        ensure!(rows == 3, "the counters on {name} are not whole: {json}");
        Ok(arrived)
    }

    /// A host.
    pub fn host(&self, name: &str) -> &Host {
        &self.hosts[name]
    }

    /// A host's data directory, seen from the machine.
    pub fn data(&self, name: &str) -> std::path::PathBuf {
        self.host(name).directory().join("lib/lockkeeper")
    }

    /// Boots an agent.
    pub fn start_agent(&mut self, name: &str) -> Result<()> {
        let argv = [self.binary.as_str(), "agent", "run", "--config", "/etc/lockkeeper/agent.toml"];
        let daemon = self.host(name).daemon("agent", &argv)?;
        self.agents.insert(name.to_owned(), daemon);
        Ok(())
    }

    /// `kill -9` of an agent.
    pub fn kill_agent(&mut self, name: &str) -> Result<()> {
        let daemon = self.agents.remove(name).context("the agent runs")?;
        daemon.signal("KILL")?;
        daemon.wait(WITHIN).map(drop)
    }

    /// Puts a member's data back to what `keep` returned, under another generation id, as a hypervisor does.
    pub fn take_back(&mut self, name: &str, to: &Path) -> Result<()> {
        self.kill_agent(name)?;
        fs::remove_dir_all(self.data(name))?;
        copied(to, &self.data(name))?;
        generation(self.host(name), 99)
    }

    /// Gives the people of one host's contexts to another, as somebody who carries them there.
    pub fn lend_context(&self, from: &str, to: &str) -> Result<()> {
        let place = |name: &str| self.host(name).directory().join("etc/lockkeeper/operators/.config");
        copied(&place(from), &place(to))
    }

    /// A snapshot of a member's data.
    pub fn keep(&self, name: &str) -> Result<std::path::PathBuf> {
        let kept = self._directory.path().join(format!("kept-{name}"));
        copied(&self.data(name), &kept)?;
        Ok(kept)
    }

    /// Wipes a member and enrols it anew, with a new token.
    pub fn enrol_anew(&mut self, name: &str) -> Result<()> {
        self.kill_agent(name)?;
        fs::remove_dir_all(self.data(name))?;
        self.joined(name)
    }

    /// Waits for an agent to end by itself; answers its exit status and its log.
    pub fn ends(&mut self, name: &str) -> Result<(i32, String)> {
        let status = self.agents.remove(name).context("the agent runs")?.wait(WITHIN)?;
        Ok((status, fs::read_to_string(self.host(name).directory().join("log/agent.err"))?))
    }

    /// Waits until an agent answers a status.
    pub fn answers(&self, name: &str) -> Result<()> {
        wait_for(&format!("the agent of {name} answers"), START_WITHIN, || {
            Ok((self.run(name, &["status", "--json"])?.code == 0).then_some(()))
        })
    }

    /// Waits until an agent answers that it stands in quarantine, and gives its words.
    pub fn quarantined(&self, name: &str, code: &str) -> Result<String> {
        wait_for(&format!("{name} stands in quarantine by {code}"), START_WITHIN, || {
            let ran = self.run(name, &["status"])?;
            Ok((ran.code == 3 && ran.stderr.contains(code)).then_some(ran.stderr))
        })
    }

    /// A command by the socket of a host.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Result<Ran> {
        let argv: Vec<&str> = ["env", "HOME=/etc/lockkeeper/operators", &self.binary]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        self.host(name).run(WITHIN, &argv)
    }

    /// One that must succeed.
    pub fn must(&self, name: &str, arguments: &[&str]) -> Result<Ran> {
        let ran = self.run(name, arguments)?;
        ensure!(
            ran.code == 0,
            "{arguments:?} on {name} ended with {}:\n{}{}",
            ran.code,
            ran.stdout,
            ran.stderr
        );
        Ok(ran)
    }

    /// Whether a host gets an answer from an address.
    pub fn reaches(&self, name: &str, at: &str) -> Result<bool> {
        let ran = self
            .host(name)
            .run(WITHIN, &["curl", "-s", "-m", "2", "-o", "/dev/null", &format!("http://{at}/")])?;
        Ok(ran.code == 0)
    }
}

fn copied(from: &Path, to: &Path) -> Result<()> {
    process::run(WITHIN, &["cp", "-a", tools::path(from)?, tools::path(to)?])?.ok().map(drop)
}

/// The signs of a machine, in a directory that stands for its `/sys` and `/etc`; `card` is its number.
fn machine(host: &Host, signs: Signs, card: u8) -> Result<()> {
    let root = host.directory().join("opt/machine");
    let put = |path: &str, text: String| -> Result<()> {
        let path = root.join(path);
        fs::create_dir_all(path.parent().context("a parent")?)?;
        Ok(fs::write(path, text)?)
    };
    fs::create_dir_all(root.join("sys/class/net/eth0/device"))?;
    put("sys/class/net/eth0/address", format!("02:00:00:00:00:{card:02x}\n"))?;
    if signs == Signs::Hypervisor {
        put("sys/class/dmi/id/product_uuid", format!("03000200-0400-0500-0006-0007000800{card:02}\n"))?;
        generation(host, card)?;
    }
    let id = root.join("etc/machine-id");
    if !id.exists() {
        put("etc/machine-id", format!("{card:02}23456789abcdef0123456789abcdef\n"))?;
    }
    Ok(())
}

/// What QEMU shows of the generation id: 16 bytes in the middle of a page.
fn generation(host: &Host, number: u8) -> Result<()> {
    let path = host.directory().join("opt/machine/sys/firmware/qemu_fw_cfg/by_name/etc/vmgenid_guid/raw");
    fs::create_dir_all(path.parent().context("a parent")?)?;
    let mut page = vec![0; 4096];
    page[40..56].fill(number);
    Ok(fs::write(path, page)?)
}

fn settings(host: &Host, name: &str) -> Result<()> {
    let etc = host.directory().join("etc/lockkeeper");
    fs::create_dir_all(etc.join("operators"))?;
    let address = host.address().context("a member has an address")?;
    let text = format!(
        r#"name      = "{name}"
listen    = "0.0.0.0:{AGENTS}"
advertise = "{address}:{AGENTS}"

[socket]
group = ""

[identity]
root = "/opt/machine"

[isolation]
allow     = ["{DESK}"]
forbidden = ["{DATABASE}"]
"#
    );
    Ok(fs::write(etc.join("agent.toml"), text)?)
}

fn cluster_file() -> String {
    let members: String = [("n1", 11), ("n2", 12), ("n3", 13)]
        .iter()
        .map(|(name, at)| format!("[members.{name}]\naddress = \"10.77.0.{at}:{AGENTS}\"\n"))
        .collect();
    format!(
        r#"cluster = "library"
profile = "generic"

{members}
[databases.main]
engine    = "sqlite"
instances = ["/opt/db"]
name      = "library"
backups   = "/opt/backups"

[parameters]
release = {{ directory = "/opt/app" }}
version = {{ file = "{{release.link}}/VERSION" }}
schema  = {{ query = "select version from schema_version", after = "2" }}
service = {{ kind = "process", command = ["/opt/app/run"], log = "/opt/app.out" }}
upgrade = {{ command = ["/opt/app/migrate"] }}
ready   = {{ http = "http://127.0.0.1:9/health" }}
"#
    )
}
