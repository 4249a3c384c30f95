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
    /// Changes whenever a virtual machine is restored or cloned. Linux shows it to no program yet.
    pub vm_generation: Option<String>,
    /// Addresses of network cards that are backed by a device.
    pub macs: BTreeSet<String>,
}

/// A value longer than this is not one of these values.
const VALUE_MAX: u64 = 4096;

/// Reads the signals of the machine whose file system begins at `root`.
pub fn signals(root: &Path) -> Signals {
    Signals {
        machine_id: value(&root.join("etc/machine-id")),
        smbios: value(&root.join("sys/class/dmi/id/product_uuid")),
        cloud: value(&root.join("var/lib/cloud/data/instance-id")),
        vm_generation: None,
        macs: macs(&root.join("sys/class/net")).unwrap_or_default(),
    }
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

    #[test]
    fn what_is_there_is_read_and_what_is_not_is_absent() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(signals(root), Signals::default());
        put(root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        put(root, "sys/class/dmi/id/product_uuid", "03000200-0400-0500-0006-000700080009\n");
        put(root, "sys/class/net/eth0/address", "02:00:00:00:00:0A\n");
        put(root, "sys/class/net/eth0/device/uevent", "");
        put(root, "sys/class/net/docker0/address", "02:42:00:00:00:01\n");
        put(root, "proc/sys/kernel/random/boot_id", "b1-b2\n");
        let found = signals(root);
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
            assert_eq!(signals(root.path()).smbios, None, "{placeholder}");
        }
        put(root.path(), "etc/machine-id", "uninitialized\n");
        assert_eq!(signals(root.path()).machine_id, None);
    }
}
