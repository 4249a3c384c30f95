//! The vendor's ladder: which version may follow which.

use crate::{plan::Hop, version::Version};

/// Which jumps the vendor supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ladder {
    /// From any version to any higher one in one hop.
    Any,
    /// These versions, upwards, at most `max_hop` rungs at a time.
    Rungs {
        /// Rising.
        versions: Vec<Version>,
        /// Rungs a hop may climb, at least 1.
        max_hop: u32,
    },
}

impl Ladder {
    /// The fewest hops from one version to a higher one; `None` if the ladder does not lead there.
    pub fn hops(&self, from: &Version, to: &Version) -> Option<Vec<Hop>> {
        match self {
            Ladder::Any => Some(vec![Hop { from: from.clone(), to: to.clone() }]),
            Ladder::Rungs { versions, max_hop } => {
                let position = |v: &Version| versions.iter().position(|rung| rung == v);
                let (mut at, end) = (position(from)?, position(to)?);
                let mut hops = Vec::new();
                while at < end {
                    let next = at.saturating_add(*max_hop as usize).min(end);
                    hops.push(Hop { from: versions.get(at)?.clone(), to: versions.get(next)?.clone() });
                    at = next;
                }
                (!hops.is_empty()).then_some(hops)
            }
        }
    }

    /// The rungs as text, for messages.
    pub fn describe(&self) -> String {
        match self {
            Ladder::Any => "any higher version in one hop".to_owned(),
            Ladder::Rungs { versions, max_hop } => format!(
                "{}, at most {max_hop} at a time",
                versions.iter().map(Version::as_str).collect::<Vec<_>>().join(" -> ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> Version {
        Version::new(text).unwrap()
    }

    #[test]
    fn hops_climb_at_most_max_hop_rungs() {
        let ladder = Ladder::Rungs { versions: ["1", "2", "3", "4"].map(v).to_vec(), max_hop: 2 };
        let hops = ladder.hops(&v("1"), &v("4")).unwrap();
        let text: Vec<_> = hops.iter().map(|h| format!("{}->{}", h.from, h.to)).collect();
        assert_eq!(text, ["1->3", "3->4"]);
        assert_eq!(ladder.hops(&v("1"), &v("5")), None);
        assert_eq!(ladder.hops(&v("3"), &v("2")), None);
        assert_eq!(Ladder::Any.hops(&v("1"), &v("9")).unwrap().len(), 1);
    }
}
