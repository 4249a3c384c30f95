use super::*;
use crate::platform::Signals;
use lockkeeper_core::ids::ClusterId;

/// What becomes of one signal between the sealing and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Never,
    Same,
    Differs,
    Gone,
}

const FATES: [Fate; 4] = [Fate::Never, Fate::Same, Fate::Differs, Fate::Gone];

fn values(fate: Fate) -> (Option<String>, Option<String>) {
    match fate {
        Fate::Never => (None, None),
        Fate::Same => (Some("a".into()), Some("a".into())),
        Fate::Differs => (Some("a".into()), Some("b".into())),
        Fate::Gone => (Some("a".into()), None),
    }
}

fn verdict(generation: Fate, hypervisor: (Source, Fate), machine: Fate, card: Fate) -> Verdict {
    let (mut sealed, mut now) = (Signals::default(), Signals::default());
    (sealed.vm_generation, now.vm_generation) = values(generation);
    (sealed.machine_id, now.machine_id) = values(machine);
    let pair = values(hypervisor.1);
    match hypervisor.0 {
        Source::Cloud => (sealed.cloud, now.cloud) = pair,
        _ => (sealed.smbios, now.smbios) = pair,
    }
    let (before, after) = values(card);
    (sealed.macs, now.macs) = (before.into_iter().collect(), after.into_iter().collect());
    let cluster = ClusterId("c".into());
    compare(&Fingerprint::seal(&cluster, &sealed), &Fingerprint::seal(&cluster, &now), &Source::ALL.into())
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Same(Strength::Strong) => "same",
        Verdict::Same(Strength::Weak) => "same, weak",
        Verdict::Tolerated(_) => "tolerated",
        Verdict::Changed { reverted: false, .. } => "QUARANTINE: another machine",
        Verdict::Changed { reverted: true, .. } => "QUARANTINE: reverted or cloned",
        Verdict::Weak(_) => "QUARANTINE until a running peer confirms",
    }
}

#[test]
fn the_whole_table() {
    let mut table = String::from("VM generation | SMBIOS UUID | machine id | MAC set: verdict\n");
    for generation in FATES {
        for smbios in FATES {
            for machine in FATES {
                for card in FATES {
                    let found = verdict(generation, (Source::Smbios, smbios), machine, card);
                    assert_eq!(
                        word(&found),
                        word(&verdict(generation, (Source::Cloud, smbios), machine, card)),
                        "the cloud's id counts like the SMBIOS UUID"
                    );
                    let line =
                        format!("{generation:?} | {smbios:?} | {machine:?} | {card:?}: {}\n", word(&found));
                    table.push_str(&line);
                }
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_source_that_is_not_chosen_neither_accuses_nor_vouches() {
    let cluster = ClusterId("c".into());
    let seal = |smbios: &str, mac: &str| {
        let signals =
            Signals { smbios: Some(smbios.into()), macs: [mac.to_owned()].into(), ..Signals::default() };
        Fingerprint::seal(&cluster, &signals)
    };
    let only_cards = [Source::Macs].into();
    assert_eq!(compare(&seal("a", "m"), &seal("b", "m"), &only_cards), Verdict::Same(Strength::Weak));
    assert!(matches!(compare(&seal("a", "m"), &seal("a", "n"), &only_cards), Verdict::Weak(_)));
    assert!(matches!(compare(&seal("a", "m"), &seal("a", "n"), &Source::ALL.into()), Verdict::Tolerated(_)));
}
