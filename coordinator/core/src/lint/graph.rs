//! The transitive order of some steps: which come certainly before which.

use crate::{
    ids::{DatabaseName, MemberName, StepId},
    plan::{Action, ActionKind, Step, Target},
};
use std::collections::BTreeMap;

/// Steps with their transitive order, as one row of bits a step.
pub(super) struct Graph<'p> {
    steps: &'p [Step],
    kinds: BTreeMap<ActionKind, Vec<&'p Step>>,
    /// Steps about one member, on its host or in a balancer.
    members: BTreeMap<(ActionKind, &'p MemberName), Vec<&'p Step>>,
    first: usize,
    words: usize,
    rows: Vec<u64>,
}

impl<'p> Graph<'p> {
    /// `steps` have dense rising numbers, and edges to earlier ones among them only.
    pub(super) fn new(steps: &'p [Step]) -> Self {
        let first = steps.first().map_or(0, number);
        let words = steps.len().div_ceil(64);
        let mut graph = Self {
            steps,
            kinds: BTreeMap::new(),
            members: BTreeMap::new(),
            first,
            words,
            rows: vec![0; words * steps.len()],
        };
        for (at, step) in steps.iter().enumerate() {
            let kind = step.action.kind();
            graph.kinds.entry(kind).or_default().push(step);
            if let Target::Member(member) | Target::Balancer(_, member) = &step.target {
                graph.members.entry((kind, member)).or_default().push(step);
            }
            let place = |id: &StepId| usize::try_from(id.0).unwrap_or(usize::MAX).wrapping_sub(first);
            // All up to a barrier: whole words of ones, and the rest of one.
            if let Some(barrier) = step.after_all.as_ref().map(place).filter(|barrier| *barrier < at) {
                let row = graph.rows.iter_mut().skip(at * words);
                for (word, left) in row.zip((0..=barrier).step_by(64).map(|from| barrier + 1 - from)) {
                    *word |= if left >= 64 { u64::MAX } else { (1 << left) - 1 };
                }
            }
            for after in &step.after {
                let before = place(after);
                if before >= at {
                    continue;
                }
                let (earlier, row) = graph.rows.split_at_mut(at * words);
                let source = earlier.iter().skip(before * words).take(words);
                for (bits, more) in row.iter_mut().zip(source) {
                    *bits |= more;
                }
                if let Some(word) = row.get_mut(before / 64) {
                    *word |= 1 << (before % 64);
                }
            }
        }
        graph
    }

    /// All steps.
    pub(super) fn steps(&self) -> impl Iterator<Item = &'p Step> {
        self.steps.iter()
    }

    /// Steps of one kind.
    pub(super) fn of(&self, kind: ActionKind) -> impl Iterator<Item = &'p Step> {
        self.kinds.get(&kind).into_iter().flatten().copied()
    }

    fn about<'g>(&'g self, kind: ActionKind, member: &'g MemberName) -> &'g [&'p Step] {
        self.members.get(&(kind, member)).map_or(&[], Vec::as_slice)
    }

    /// Steps of one kind on a member's own host.
    pub(super) fn on_member<'g>(
        &'g self,
        kind: ActionKind,
        member: &'g MemberName,
    ) -> impl Iterator<Item = &'p Step> + use<'g, 'p> {
        self.about(kind, member).iter().copied().filter(|s| matches!(&s.target, Target::Member(_)))
    }

    /// Steps of one kind on a database.
    pub(super) fn on_database(
        &self,
        kind: ActionKind,
        name: &DatabaseName,
    ) -> impl Iterator<Item = &'p Step> {
        self.of(kind).filter(move |s| matches!(&s.target, Target::Database(d) if d == name))
    }

    /// Steps of one kind on a member's servers in balancers.
    pub(super) fn on_balancer<'g>(
        &'g self,
        kind: ActionKind,
        member: &'g MemberName,
    ) -> impl Iterator<Item = &'p Step> + use<'g, 'p> {
        self.about(kind, member).iter().copied().filter(|s| matches!(&s.target, Target::Balancer(_, _)))
    }

    /// Whether `a` is certainly done before `b` begins.
    pub(super) fn before(&self, a: &Step, b: &Step) -> bool {
        let (a, b) = (number(a).wrapping_sub(self.first), number(b).wrapping_sub(self.first));
        self.rows.get(b.wrapping_mul(self.words) + a / 64).is_some_and(|word| word >> (a % 64) & 1 == 1)
    }

    /// Whether something of `earlier` is certainly done before `step`.
    pub(super) fn any_before(&self, mut earlier: impl Iterator<Item = &'p Step>, step: &Step) -> bool {
        earlier.any(|e| self.before(e, step))
    }
}

fn number(step: &Step) -> usize {
    usize::try_from(step.id.0).unwrap_or(usize::MAX)
}

/// The backup set an action is about.
pub(super) fn set(action: &Action) -> Option<&str> {
    match action {
        Action::Backup(a)
        | Action::ProveBackup(a)
        | Action::ProveNoWriters(a)
        | Action::ShutDoor(a)
        | Action::MintCredential(a)
        | Action::AdmitHolder(a)
        | Action::CloseGrant(a)
        | Action::OpenDoor(a)
        | Action::RestoreDatabase(a) => Some(&a.set),
        Action::StageRelease(_)
        | Action::SwitchRelease(_)
        | Action::Drain(_)
        | Action::Admit(_)
        | Action::StopService(_)
        | Action::StartService(_)
        | Action::UpgradeDatabase(_)
        | Action::JudgeSchema(_)
        | Action::Prove(_)
        | Action::Run(_) => None,
    }
}
