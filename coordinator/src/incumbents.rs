//! Who is heard under which name: one living agent a name. The incumbent keeps the name, the newcomer is refused.
//!
//! A certificate proves whose copy speaks, not which of two copies. What tells them apart is the running (boot and a
//! random number) and where it speaks from. Silence ends an incumbency: an agent that runs is heard at least once a
//! second by whoever leads, and by everybody while it leads itself.

use lockkeeper_core::{
    ids::{Incarnation, MemberName},
    time::{BootTime, Millis},
};
use lockkeeper_proto::port::Instance;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// After so long without a word an incumbent may be followed by another running: three signs of life missed. Short
/// enough that a restarted agent whose peers could not be asked is heard soon.
pub const SILENCE: Millis = Millis(3_000);

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// Which making of the identity.
    pub incarnation: Incarnation,
    /// Which running.
    pub instance: Instance,
    /// From where; none where the transport does not tell.
    pub from: Option<IpAddr>,
}

/// Another agent has the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("LK3311: another running agent has the name {name}; it was heard {} ms ago and keeps it", silent.0)]
pub struct Rivalry {
    /// The name.
    pub name: MemberName,
    /// Since when the incumbent has said nothing.
    pub silent: Millis,
}

#[derive(Debug, Clone)]
struct Incumbent {
    speaker: Speaker,
    heard: BootTime,
}

/// All incumbents this agent knows. In memory only: after a restart it asks the incumbents themselves.
#[derive(Debug, Default)]
pub struct Incumbents(Mutex<BTreeMap<MemberName, Incumbent>>);

/// Whether `speaker` is the incumbent or may become it; else since when the incumbent is silent.
fn admitted(known: Option<(&Speaker, BootTime)>, speaker: &Speaker, now: BootTime) -> Result<(), Millis> {
    let Some((incumbent, heard)) = known else { return Ok(()) };
    // A newer making was admitted by the group itself, which revoked the older one.
    if incumbent.instance.is_silent() || speaker.incarnation > incumbent.incarnation {
        return Ok(());
    }
    let elsewhere = match (incumbent.from, speaker.from) {
        (Some(before), Some(now)) => before != now,
        (None, _) | (_, None) => false,
    };
    let silent = now.since(heard);
    if incumbent.instance == speaker.instance && !elsewhere || silent >= SILENCE {
        Ok(())
    } else {
        Err(silent)
    }
}

impl Incumbents {
    /// Takes a word of `name` in, or refuses it.
    pub fn hear(&self, name: &MemberName, speaker: &Speaker, now: BootTime) -> Result<(), Rivalry> {
        if speaker.instance.is_silent() {
            return Ok(());
        }
        let mut all = self.lock();
        let known = all.get(name).map(|known| (&known.speaker, known.heard));
        match admitted(known, speaker, now) {
            Ok(()) => {
                all.insert(name.clone(), Incumbent { speaker: speaker.clone(), heard: now });
                Ok(())
            }
            Err(silent) => {
                let rivalry = Rivalry { name: name.clone(), silent };
                tracing::warn!(code = "LK3311", from = ?speaker.from, "{rivalry}");
                Err(rivalry)
            }
        }
    }

    /// The incumbent was found gone: `speaker` follows.
    pub fn adopt(&self, name: &MemberName, speaker: Speaker, now: BootTime) {
        self.lock().insert(name.clone(), Incumbent { speaker, heard: now });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MemberName, Incumbent>> {
        // The map is whole after every statement, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaker(instance: &str, from: &str, incarnation: u32) -> Speaker {
        Speaker {
            incarnation: Incarnation(incarnation),
            instance: Instance::told(instance),
            from: from.parse().ok(),
        }
    }

    #[test]
    fn the_incumbent_keeps_the_name_while_it_is_heard() {
        let name = MemberName::new("n1").unwrap();
        let incumbents = Incumbents::default();
        let (first, second) = (speaker("b1/1", "10.0.0.1", 1), speaker("b1/2", "10.0.0.1", 1));
        let at = |ms| BootTime(ms);
        incumbents.hear(&name, &first, at(0)).unwrap();
        assert_eq!(incumbents.hear(&name, &second, at(2_999)).unwrap_err().silent, Millis(2_999));
        incumbents.hear(&name, &first, at(2_999)).unwrap();
        incumbents.hear(&name, &second, at(5_000)).unwrap_err();
        incumbents.hear(&name, &second, at(5_999)).unwrap();
        assert!(incumbents.hear(&name, &first, at(6_000)).is_err(), "now the other one is the newcomer");
        incumbents.adopt(&name, first.clone(), at(6_001));
        incumbents.hear(&name, &first, at(6_002)).unwrap();
    }

    #[test]
    fn two_addresses_are_two_agents_and_a_newer_making_is_the_groups_word() {
        let known = speaker("b1/1", "10.0.0.1", 1);
        let judge = |speaker: &Speaker| admitted(Some((&known, BootTime(0))), speaker, BootTime(100)).is_ok();
        assert!(judge(&known));
        assert!(
            !judge(&speaker("b1/1", "10.0.0.2", 1)),
            "a copy with its memory has the same boot and number"
        );
        assert!(judge(&speaker("b1/1", "", 1)), "the transport does not always tell");
        assert!(!judge(&speaker("b2/1", "10.0.0.1", 1)));
        assert!(judge(&speaker("b2/1", "10.0.0.2", 2)));
        assert!(!judge(&speaker("b2/1", "10.0.0.1", 0)));
    }

    #[test]
    fn who_tells_nothing_is_neither_refused_nor_remembered() {
        let name = MemberName::new("n1").unwrap();
        let incumbents = Incumbents::default();
        incumbents.hear(&name, &speaker("b1/1", "", 1), BootTime(0)).unwrap();
        incumbents.hear(&name, &speaker("", "", 1), BootTime(1)).unwrap();
        assert!(incumbents.hear(&name, &speaker("b2/2", "", 1), BootTime(2)).is_err());
    }
}
