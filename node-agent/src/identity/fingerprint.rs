//! The sealed fingerprint: what this machine was when it was enrolled, as digests.
//!
//! Knows how to compare then with now. Does not know how the signals are read.

use crate::platform::{Signals, Source};
use lockkeeper_core::ids::{ClusterId, Digest};
use std::{collections::BTreeSet, fmt};

/// Digests of a machine's signals. Digests, because the file travels in backups and the values are nobody's business;
/// bound to the cluster, so that two clusters' files cannot be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// Digest of each signal that could be read.
    pub signals: Vec<(Signal, Digest)>,
    /// Digests of the network cards' addresses.
    pub macs: BTreeSet<Digest>,
}

/// A kind of signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// The installation's id.
    MachineId,
    /// The board's or virtual machine's UUID.
    Smbios,
    /// The cloud's instance id.
    Cloud,
    /// The virtual machine's generation id.
    VmGeneration,
}

impl Signal {
    /// Whether it stays behind when a disk is copied.
    pub(super) const fn outside_the_disk(self) -> bool {
        match self {
            Signal::MachineId => false,
            Signal::Smbios | Signal::Cloud | Signal::VmGeneration => true,
        }
    }
}

impl Signal {
    /// Where it is read from.
    pub(super) const fn source(self) -> Source {
        match self {
            Signal::MachineId => Source::MachineId,
            Signal::Smbios => Source::Smbios,
            Signal::Cloud => Source::Cloud,
            Signal::VmGeneration => Source::VmGeneration,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Signal::MachineId => "machine id",
            Signal::Smbios => "SMBIOS UUID",
            Signal::Cloud => "cloud instance id",
            Signal::VmGeneration => "VM generation id",
        })
    }
}

/// How much an unchanged fingerprint proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Nothing that was sealed lies outside the disk: a copied disk would look the same.
    Weak,
    /// A copy of the disk would be recognised.
    Strong,
}

/// What people are told of a weak identity; begins with its code.
pub const WEAK: &str =
    "LK6216: this machine shows nothing that a copy of its disk would not show too; its identity is weak";

/// What changed since the sealing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Signals that read differently.
    pub differ: Vec<Signal>,
    /// Signals that were sealed and cannot be read now.
    pub gone: Vec<Signal>,
    /// Sealed network cards that are not there.
    pub macs_gone: usize,
    /// Network cards that were not sealed.
    pub macs_new: usize,
}

impl Fingerprint {
    /// Seals what was read.
    pub fn seal(cluster: &ClusterId, signals: &Signals) -> Self {
        let digest = |kind: &str, value: &str| Digest::of(format!("{cluster}/{kind}/{value}").as_bytes());
        let all = [
            (Signal::MachineId, &signals.machine_id),
            (Signal::Smbios, &signals.smbios),
            (Signal::Cloud, &signals.cloud),
            (Signal::VmGeneration, &signals.vm_generation),
        ];
        let read = all.into_iter().filter_map(|(signal, value)| {
            value.as_ref().map(|value| (signal, digest(&signal.to_string(), value)))
        });
        Self { signals: read.collect(), macs: signals.macs.iter().map(|mac| digest("mac", mac)).collect() }
    }

    /// The digest of the whole, which enrolment puts into the replicated state.
    pub fn digest(&self) -> Digest {
        let mut text = String::new();
        for (signal, digest) in &self.signals {
            text.push_str(&format!("{signal}={digest}\n"));
        }
        for mac in &self.macs {
            text.push_str(&format!("mac={mac}\n"));
        }
        Digest::of(text.as_bytes())
    }

    /// How much an unchanged fingerprint proves.
    pub fn strength(&self) -> Strength {
        let outside = self.signals.iter().any(|(signal, _)| signal.outside_the_disk());
        if outside { Strength::Strong } else { Strength::Weak }
    }

    /// How `now` differs, as far as the chosen sources go.
    pub(super) fn changes(&self, now: &Fingerprint, chosen: &BTreeSet<Source>) -> Changes {
        let (mut differ, mut gone) = (Vec::new(), Vec::new());
        for (signal, sealed) in self.signals.iter().filter(|(signal, _)| chosen.contains(&signal.source())) {
            match now.read(*signal) {
                Some(found) if found == sealed => {}
                Some(_) => differ.push(*signal),
                None => gone.push(*signal),
            }
        }
        let macs = chosen.contains(&Source::Macs);
        let macs_gone = if macs { self.macs.difference(&now.macs).count() } else { 0 };
        let macs_new = if macs { now.macs.difference(&self.macs).count() } else { 0 };
        Changes { differ, gone, macs_gone, macs_new }
    }

    /// The digest of one signal.
    pub(super) fn read(&self, signal: Signal) -> Option<&Digest> {
        self.signals.iter().find(|(kind, _)| *kind == signal).map(|(_, digest)| digest)
    }
}

impl Changes {
    /// Nothing at all.
    pub fn is_none(&self) -> bool {
        self.differ.is_empty() && self.gone.is_empty() && self.macs_gone == 0 && self.macs_new == 0
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.differ.iter().map(|signal| format!("{signal} differs")).collect();
        parts.extend(self.gone.iter().map(|signal| format!("{signal} cannot be read any more")));
        if self.macs_gone > 0 {
            parts.push(format!("{} network cards are gone", self.macs_gone));
        }
        if self.macs_new > 0 {
            parts.push(format!("{} network cards are new", self.macs_new));
        }
        f.pad(&if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") })
    }
}
