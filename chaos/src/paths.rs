//! Rare paths a run went through. A path that no seed reaches is not tested, whatever the invariants say.

use crate::{
    bed::Bed,
    fault::{Kind, Schedule, nemesis::Strike},
    people::{Deed, Outcome},
    watch::{Observation, Seen},
    world::{Fact, Line, NEW, OLD, UnitEnd},
};
use lockkeeper_core::ids::{MemberName, Token};
use std::collections::BTreeMap;

/// A path that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is told by its words below")]
pub enum Path {
    FaultInGrant,
    FaultOnHolder,
    LeaderChangedInGrant,
    HolderLost,
    AgentLost,
    SecondGrant,
    ExecutorChanged,
    LongSilence,
    PowerLostInSync,
    StoreLost,
    JournalLost,
    TornJournal,
    SnapshotTaken,
    StaleRefused,
    UpgradeRefused,
    UpgradeLost,
    UnitAdopted,
    GivenBack,
    Retried,
    Paused,
    AbortApplied,
    AbortRaced,
    AbortRefused,
    ApplyRefused,
    Echoed,
    StrangerBlocked,
    SaidDone,
    SaidFailed,
    Regranted,
    LongPause,
    TakenUntouched,
    TakenTouched,
    TakenFinished,
    VoteAnew,
    Completed,
    Aborted,
    NeedsPerson,
    Restored,
}

impl Path {
    /// Every path.
    pub const ALL: [Path; 38] = [
        Path::FaultInGrant,
        Path::FaultOnHolder,
        Path::LeaderChangedInGrant,
        Path::HolderLost,
        Path::AgentLost,
        Path::SecondGrant,
        Path::ExecutorChanged,
        Path::LongSilence,
        Path::PowerLostInSync,
        Path::StoreLost,
        Path::JournalLost,
        Path::TornJournal,
        Path::SnapshotTaken,
        Path::StaleRefused,
        Path::UpgradeRefused,
        Path::UpgradeLost,
        Path::UnitAdopted,
        Path::GivenBack,
        Path::Retried,
        Path::Paused,
        Path::AbortApplied,
        Path::AbortRaced,
        Path::AbortRefused,
        Path::ApplyRefused,
        Path::Echoed,
        Path::StrangerBlocked,
        Path::SaidDone,
        Path::SaidFailed,
        Path::Regranted,
        Path::LongPause,
        Path::TakenUntouched,
        Path::TakenTouched,
        Path::TakenFinished,
        Path::VoteAnew,
        Path::Completed,
        Path::Aborted,
        Path::NeedsPerson,
        Path::Restored,
    ];

    /// The words in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Path::FaultInGrant => "fault inside an open grant",
            Path::FaultOnHolder => "fault on the grant's holder",
            Path::LeaderChangedInGrant => "leader changed during a grant",
            Path::HolderLost => "holder lost, grant taken away",
            Path::AgentLost => "assigned agent lost",
            Path::SecondGrant => "second grant given",
            Path::ExecutorChanged => "executor of the database changed",
            Path::LongSilence => "silence longer than lost_after",
            Path::PowerLostInSync => "power lost in the middle of a sync",
            Path::StoreLost => "unsynced bytes of a store lost",
            Path::JournalLost => "unsynced bytes of a journal lost",
            Path::TornJournal => "torn journal cut off and read",
            Path::SnapshotTaken => "snapshot taken over from a peer",
            Path::StaleRefused => "ledger refused a stale token",
            Path::UpgradeRefused => "upgrade refused by the door",
            Path::UpgradeLost => "upgrade lost with its machine",
            Path::UnitAdopted => "upgrade adopted by the agent's next life",
            Path::GivenBack => "step given back unstarted",
            Path::Retried => "step retried by a person",
            Path::Paused => "paused by a person",
            Path::AbortApplied => "abort applied",
            Path::AbortRaced => "abort raced an outcome",
            Path::AbortRefused => "abort refused past the point of no return",
            Path::ApplyRefused => "apply before approval refused",
            Path::Echoed => "commands said twice",
            Path::StrangerBlocked => "stranger's session blocked the rollout",
            Path::SaidDone => "effect said done and was not",
            Path::SaidFailed => "effect said failed and was done",
            Path::Regranted => "upgraded under a second grant",
            Path::LongPause => "pause longer than lost_after",
            Path::TakenUntouched => "lost holder out, database untouched",
            Path::TakenTouched => "lost holder out, database touched",
            Path::TakenFinished => "lost holder out, database finished",
            Path::VoteAnew => "voted anew after its store lost bytes",
            Path::Completed => "completed",
            Path::Aborted => "aborted",
            Path::NeedsPerson => "needs a person, with a code",
            Path::Restored => "the whole set restored after the point of no return",
        }
    }
}

/// What a finished run left.
struct Evidence<'a> {
    bed: &'a Bed,
    strikes: &'a [Strike],
    lost_after: u64,
    lines: Vec<Line>,
    seen: Vec<Observation>,
    deeds: Vec<Deed>,
}

/// The paths a finished run took.
pub fn reached(bed: &Bed, strikes: &[Strike], schedule: &Schedule) -> Vec<Path> {
    let evidence = Evidence {
        bed,
        strikes,
        lost_after: schedule.shape.lost_after * 1000,
        lines: bed.world.lock().books.lines().to_vec(),
        seen: bed.watch.since(0),
        deeds: bed.people.deeds(),
    };
    Path::ALL.into_iter().filter(|path| evidence.took(*path)).collect()
}

impl Evidence<'_> {
    fn took(&self, path: Path) -> bool {
        let tally = self.bed.tally;
        match path {
            Path::FaultInGrant => self.strikes.iter().any(|strike| strike.in_grant),
            Path::FaultOnHolder => self.strikes.iter().any(|strike| strike.holder),
            Path::LeaderChangedInGrant => self.leader_changed_in_grant(),
            Path::HolderLost => self.events("HALT: upgrader-lost") > 0,
            Path::AgentLost => self.events("HALT: member-lost") > 0,
            Path::SecondGrant => self.events("is elected to upgrade") > 1,
            Path::ExecutorChanged => self.events("is executor of main") > 1,
            Path::LongSilence => self.strikes.iter().any(|s| s.kind.silences() && s.lasts > self.lost_after),
            Path::PowerLostInSync => {
                let torn = self.strikes.iter().any(|strike| matches!(strike.kind, Kind::Torn(..)));
                torn && tally.store_lost + tally.journal_lost > 0
            }
            Path::StoreLost => tally.store_lost > 0,
            Path::JournalLost => tally.journal_lost > 0,
            Path::TornJournal => {
                self.seen.iter().any(|o| matches!(o.seen, Seen::Started { torn, .. } if torn > 0))
            }
            Path::SnapshotTaken => self.seen.iter().any(|o| matches!(o.seen, Seen::Snapshot { .. })),
            Path::StaleRefused => self.fact(|fact| matches!(fact, Fact::LedgerRefused { .. })),
            Path::UpgradeRefused => self.fact(|fact| matches!(fact, Fact::UpgradeRefused { .. })),
            Path::UpgradeLost => {
                self.bed.world.lock().units.values().any(|unit| unit.end == Some(UnitEnd::Gone))
            }
            Path::UnitAdopted => self.adopted(),
            Path::GivenBack => self.events("gave it back unstarted") > 0,
            Path::Retried => self.events("retry by") > 0,
            Path::Paused => self.deed("pauses", "applied"),
            Path::AbortApplied => self.deed("aborts", "applied"),
            Path::AbortRaced => self.abort_raced(),
            Path::AbortRefused => self.deed("aborts", "rejected"),
            Path::ApplyRefused => self.deed("applies", "rejected"),
            Path::Echoed => self.bed.knobs.echoed() > 0,
            Path::StrangerBlocked => self.events("blocked: forgotten-node") > 0,
            Path::SaidDone => self.fact(|f| matches!(f, Fact::Misfortune { what } if what == "says-done")),
            Path::SaidFailed => self.fact(|f| matches!(f, Fact::Misfortune { what } if what == "fails-done")),
            Path::Regranted => {
                self.events("is elected to upgrade") > 1 && self.events("upgrade-database main done") > 0
            }
            Path::LongPause => self.strikes.iter().any(|s| s.kind.pauses() && s.lasts > self.lost_after),
            Path::TakenUntouched => self.taken(|schema| schema == OLD.1),
            Path::TakenTouched => self.taken(|schema| schema > OLD.1 && schema < NEW.1),
            Path::TakenFinished => self.taken(|schema| schema == NEW.1),
            Path::VoteAnew => self.voted_anew(),
            Path::Completed => self.bed.people.outcome() == Some(Outcome::Completed),
            Path::Aborted => self.bed.people.outcome() == Some(Outcome::Aborted),
            Path::Restored => self.bed.people.outcome() == Some(Outcome::Restored),
            Path::NeedsPerson => matches!(self.bed.people.outcome(), Some(Outcome::NeedsPerson(_))),
        }
    }

    fn events(&self, text: &str) -> usize {
        let tells = |o: &&Observation| matches!(&o.seen, Seen::Event { text: t, .. } if t.contains(text));
        self.seen.iter().filter(tells).count()
    }

    fn fact(&self, wanted: impl Fn(&Fact) -> bool) -> bool {
        self.lines.iter().any(|line| wanted(&line.fact))
    }

    fn deed(&self, what: &str, answer: &str) -> bool {
        self.deeds.iter().any(|deed| deed.what.contains(what) && deed.answer.contains(answer))
    }

    /// A holder was lost, and what the database was when it was proven out.
    fn taken(&self, judged: impl Fn(u32) -> bool) -> bool {
        let lost = self.seen.iter().find_map(|o| match &o.seen {
            Seen::Event { text, .. } if text.contains("HALT: upgrader-lost") => Some(o.at),
            _ => None,
        });
        let out = |line: &&Line, lost: u64| {
            line.at >= lost && matches!(line.fact, Fact::HolderOut { schema, .. } if judged(schema))
        };
        lost.is_some_and(|lost| self.lines.iter().any(|line| out(&line, lost)))
    }

    /// Bytes of a machine's store were lost with its power, and it voted in a later term than before.
    fn voted_anew(&self) -> bool {
        let vote = |o: &&Observation, who: &MemberName| match o.seen {
            Seen::Vote { term, .. } if o.who == *who => Some((o.at, term)),
            _ => None,
        };
        self.bed.losses.iter().any(|(who, lost)| {
            let votes: Vec<_> = self.seen.iter().filter_map(|o| vote(&o, who)).collect();
            let before = votes.iter().filter(|(at, _)| at <= lost).map(|(_, term)| *term).max();
            votes.iter().any(|(at, term)| at > lost && Some(*term) > before)
        })
    }

    /// A node began to lead between a grant's opening and its end.
    fn leader_changed_in_grant(&self) -> bool {
        let mut open = false;
        self.seen.iter().any(|observation| {
            match &observation.seen {
                Seen::Event { text, .. } if text.contains("is elected to upgrade") => open = true,
                Seen::Event { text, .. } if text.contains("close-grant main done") => open = false,
                Seen::Leading { leading: true, .. } => return open,
                _ => {}
            }
            false
        })
    }

    /// A process began on a machine where an upgrade was running.
    fn adopted(&self) -> bool {
        let mut running: BTreeMap<Token, (MemberName, u64)> = BTreeMap::new();
        let mut spans = Vec::new();
        for line in &self.lines {
            match &line.fact {
                Fact::UpgradeBegan { token, holder } => {
                    running.insert(*token, (holder.clone(), line.at));
                }
                Fact::UpgradeEnded { token, .. } => {
                    if let Some((holder, began)) = running.remove(token) {
                        spans.push((holder, began, line.at));
                    }
                }
                _ => {}
            }
        }
        self.seen.iter().any(|o| {
            matches!(o.seen, Seen::Started { .. })
                && spans
                    .iter()
                    .any(|(holder, began, ended)| o.who == *holder && (*began..*ended).contains(&o.at))
        })
    }

    /// An outcome was committed within a tenth of a second of an abort.
    fn abort_raced(&self) -> bool {
        let outcome = |text: &str| text.ends_with(" done") || text.contains(" failed: ");
        let outcomes: Vec<u64> = self
            .seen
            .iter()
            .filter(|o| matches!(&o.seen, Seen::Event { text, .. } if outcome(text)))
            .map(|o| o.at)
            .collect();
        let aborts = self.deeds.iter().filter(|deed| deed.what.contains("aborts") && deed.applied);
        aborts.into_iter().any(|deed| outcomes.iter().any(|at| at.abs_diff(deed.at) < 100))
    }
}
