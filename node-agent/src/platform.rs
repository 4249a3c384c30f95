//! Facts of this machine that come from its operating system. Everything that differs between systems is here.
//!
//! Knows Linux. What a system lacks, or what may not be read, is an absence and never a guess.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// What tells one machine from another, as it can be read now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signals {
    /// Made at installation: `/etc/machine-id`. Copied with the disk.
    pub machine_id: Option<String>,
    /// The mainboard's or virtual machine's UUID; root reads it.
    pub smbios: Option<String>,
    /// The cloud's name for this instance.
    pub cloud: Option<String>,
    /// Changes whenever a virtual machine is restored or cloned. Under QEMU the firmware's configuration shows it;
    /// elsewhere Linux shows it to no program.
    pub vm_generation: Option<String>,
    /// Addresses of network cards that are backed by a device.
    pub macs: BTreeSet<String>,
}

/// A value longer than this is not one of these values.
const VALUE_MAX: u64 = 4096;

/// A kind of fact that tells one machine from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The virtual machine's generation id.
    VmGeneration,
    /// The board's or virtual machine's UUID.
    Smbios,
    /// The installation's id.
    MachineId,
    /// Addresses of network cards.
    Macs,
    /// The cloud's name for the instance.
    Cloud,
}

impl Source {
    /// All of them, the strongest first.
    pub const ALL: [Source; 5] =
        [Source::VmGeneration, Source::Smbios, Source::MachineId, Source::Macs, Source::Cloud];

    /// The word of `agent.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::VmGeneration => "vm-generation",
            Source::Smbios => "smbios",
            Source::MachineId => "machine-id",
            Source::Macs => "macs",
            Source::Cloud => "cloud",
        }
    }

    /// Where Linux shows it, below the root of the file system.
    const fn path(self) -> &'static str {
        match self {
            Source::VmGeneration => "sys/firmware/qemu_fw_cfg/by_name/etc/vmgenid_guid/raw",
            Source::Smbios => "sys/class/dmi/id/product_uuid",
            Source::MachineId => "etc/machine-id",
            Source::Macs => "sys/class/net",
            Source::Cloud => "var/lib/cloud/data/instance-id",
        }
    }
}

/// Why a machine does not show a fact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// This system has no such thing.
    #[error("LK6213: this system does not show {}: there is no {}", source_kind.as_str(), path.display())]
    NotThere {
        /// Which fact.
        source_kind: Source,
        /// Where it would be.
        path: PathBuf,
    },
    /// It is there, but this process may not read it or it is a placeholder.
    #[error("LK6214: {} cannot be read from {}, or is a placeholder", source_kind.as_str(), path.display())]
    Unreadable {
        /// Which fact.
        source_kind: Source,
        /// Where it is.
        path: PathBuf,
    },
}

impl Unsupported {
    /// The code, which is the name of its page.
    pub const fn code(&self) -> &'static str {
        match self {
            Unsupported::NotThere { .. } => "LK6213",
            Unsupported::Unreadable { .. } => "LK6214",
        }
    }
}

/// Reads the chosen signals of the machine whose file system begins at `root`.
pub fn signals(root: &Path, sources: &BTreeSet<Source>) -> Signals {
    let chosen = |source: Source| sources.contains(&source).then(|| root.join(source.path()));
    let line = |source: Source| chosen(source).and_then(|path| value(&path));
    Signals {
        machine_id: line(Source::MachineId),
        smbios: line(Source::Smbios),
        cloud: line(Source::Cloud),
        vm_generation: chosen(Source::VmGeneration).and_then(|path| vm_generation(&path)),
        macs: chosen(Source::Macs).and_then(|net| macs(&net).ok()).unwrap_or_default(),
    }
}

/// What of the chosen sources this machine does not show, and why.
pub fn unsupported(root: &Path, sources: &BTreeSet<Source>) -> Vec<Unsupported> {
    let read = signals(root, sources);
    let missing = |source: &Source| match source {
        Source::VmGeneration => read.vm_generation.is_none(),
        Source::Smbios => read.smbios.is_none(),
        Source::MachineId => read.machine_id.is_none(),
        Source::Macs => read.macs.is_empty(),
        Source::Cloud => read.cloud.is_none(),
    };
    let why = |source: &Source| {
        let (source_kind, path) = (*source, root.join(source.path()));
        if path.exists() {
            Unsupported::Unreadable { source_kind, path }
        } else {
            Unsupported::NotThere { source_kind, path }
        }
    };
    sources.iter().filter(|source| missing(source)).map(why).collect()
}

/// The number of a group of users, from the machine's own list; none if there is no such group.
pub fn group_id(root: &Path, name: &str) -> Option<u32> {
    let list = std::fs::read_to_string(root.join("etc/group")).ok()?;
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let id = fields.nth(1)?;
        if found { id.parse().ok() } else { None }
    })
}

/// Names one boot of this machine; different after every start.
pub fn boot_id(root: &Path) -> Option<String> {
    value(&root.join("proc/sys/kernel/random/boot_id"))
}

/// One line of text; none when it cannot be read, is empty, or is a placeholder that many machines share.
fn value(path: &PathBuf) -> Option<String> {
    let length = fs::metadata(path).ok()?.len();
    if length > VALUE_MAX {
        return None;
    }
    let text = fs::read_to_string(path).ok()?.trim().to_ascii_lowercase();
    let digits: BTreeSet<char> = text.chars().filter(char::is_ascii_alphanumeric).collect();
    // Boards without a UUID show all zeros or all f; an image waiting for its first boot says "uninitialized".
    (digits.len() > 1 && text != "uninitialized").then_some(text)
}

/// Where the 16 bytes of the id are in QEMU's page.
const GENERATION: std::ops::Range<usize> = 40..56;

fn vm_generation(path: &Path) -> Option<String> {
    let page = fs::read(path).ok().filter(|page| page.len() as u64 <= VALUE_MAX)?;
    let id = page.get(GENERATION)?;
    // All zeros: no id was ever set.
    id.iter().any(|byte| *byte != 0).then(|| id.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Only cards with a device behind them: bridges and virtual cards of containers come and go.
fn macs(net: &Path) -> io::Result<BTreeSet<String>> {
    let mut macs = BTreeSet::new();
    for card in fs::read_dir(net)? {
        let card = card?.path();
        if card.join("device").exists() {
            macs.extend(value(&card.join("address")));
        }
    }
    Ok(macs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn all() -> BTreeSet<Source> {
        Source::ALL.into()
    }

    #[test]
    fn a_source_that_is_not_chosen_is_not_read_and_one_that_is_not_there_is_named() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        put(root, "sys/class/dmi/id/product_uuid", "00000000-0000-0000-0000-000000000000\n");
        let mut page = vec![0; 4096];
        put(root, Source::VmGeneration.path(), "");
        fs::write(root.join(Source::VmGeneration.path()), &page).unwrap();
        assert_eq!(signals(root, &all()).vm_generation, None, "no id was set");
        page[GENERATION].copy_from_slice(&[0xab; 16]);
        fs::write(root.join(Source::VmGeneration.path()), &page).unwrap();
        assert_eq!(signals(root, &all()).vm_generation.as_deref(), Some("ab".repeat(16).as_str()));
        assert_eq!(signals(root, &BTreeSet::from([Source::Macs])), Signals::default());
        let said: Vec<_> = unsupported(root, &all()).iter().map(|u| u.to_string()[..6].to_owned()).collect();
        assert_eq!(said, ["LK6214", "LK6213", "LK6213"], "smbios is a placeholder; no cards, no cloud");
    }

    #[test]
    fn what_is_there_is_read_and_what_is_not_is_absent() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(signals(root, &all()), Signals::default());
        put(root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        put(root, "sys/class/dmi/id/product_uuid", "03000200-0400-0500-0006-000700080009\n");
        put(root, "sys/class/net/eth0/address", "02:00:00:00:00:0A\n");
        put(root, "sys/class/net/eth0/device/uevent", "");
        put(root, "sys/class/net/docker0/address", "02:42:00:00:00:01\n");
        put(root, "proc/sys/kernel/random/boot_id", "b1-b2\n");
        let found = signals(root, &all());
        assert_eq!(found.machine_id.as_deref(), Some("0123456789abcdef0123456789abcdef"));
        assert_eq!(found.smbios.as_deref(), Some("03000200-0400-0500-0006-000700080009"));
        assert_eq!(found.macs, BTreeSet::from(["02:00:00:00:00:0a".to_owned()]));
        assert_eq!(boot_id(root).as_deref(), Some("b1-b2"));
    }

    #[test]
    fn placeholders_count_as_absent() {
        let root = tempfile::tempdir().unwrap();
        for placeholder in
            ["", "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"]
        {
            put(root.path(), "sys/class/dmi/id/product_uuid", placeholder);
            assert_eq!(signals(root.path(), &all()).smbios, None, "{placeholder}");
        }
        put(root.path(), "etc/machine-id", "uninitialized\n");
        assert_eq!(signals(root.path(), &all()).machine_id, None);
    }
}
