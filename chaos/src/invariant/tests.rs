use super::*;
use crate::world::{Admin, EffectId, Fact, LedgerState, Line, Tool, World};
use lockkeeper_core::{
    ids::{Attempt, Generation, LogIndex, MemberName, StepId, Token},
    plan::{ActionKind, Target},
};

fn member(name: &str) -> MemberName {
    MemberName::new(name).unwrap()
}

fn token(index: u64) -> Token {
    Token { generation: Generation(1), index: LogIndex(index) }
}

fn world() -> World {
    World::new(1, &[member("n1"), member("n2")], &[member("db1")], Tool::Transactional)
}

fn line(site: &str, fact: Fact) -> Line {
    Line { at: 1, site: Some(member(site)), by: None, fact }
}

/// What is broken by these lines, in a world where all is well.
fn broken(lines: &[Line]) -> Vec<Name> {
    broken_in(&world(), lines)
}

fn broken_in(world: &World, lines: &[Line]) -> Vec<Name> {
    let mut invariants = Invariants::default();
    let case = |lines| Case { now: 1, world, lines, seen: &[], approved: None, over: None };
    invariants.look(&case(&[]));
    invariants.look(&case(lines));
    invariants.broken().map(|violation| violation.name).collect()
}

#[test]
fn nothing_is_broken_by_nothing() {
    assert!(broken(&[]).is_empty());
}

#[test]
fn two_upgrades_at_once_are_seen() {
    let begin = |n: u64| line("n1", Fact::UpgradeBegan { token: token(n), holder: member("n1") });
    let end = |n: u64, well| line("n1", Fact::UpgradeEnded { token: token(n), well, schema: 26 });
    let mut proven = world();
    proven.database.sets.insert("s".into(), proven.database.rows);
    proven.database.proven.insert("s".into());
    assert_eq!(broken_in(&proven, &[begin(5), begin(6)]), [Name::OneUpgrader]);
    assert_eq!(broken_in(&proven, &[begin(5), end(5, false), begin(5)]), [Name::OneUpgrader]);
    assert_eq!(broken_in(&proven, &[begin(5), end(5, true), begin(6)]), [Name::OneUpgrader]);
    assert!(broken_in(&proven, &[begin(5), end(5, false), begin(6), end(6, true)]).is_empty());
    assert_eq!(broken(&[begin(5)]), [Name::BackupBefore]);
}

#[test]
fn a_falling_token_and_a_late_write_are_seen() {
    let ledger = |n: u64| line("db1", Fact::Ledger { token: token(n), state: LedgerState::Open });
    assert_eq!(broken(&[ledger(7), ledger(6)]), [Name::TokenMonotone]);
    assert_eq!(
        broken(&[ledger(7), line("n1", Fact::UpgradeWrote { token: token(6) })]),
        [Name::TokenMonotone]
    );
    assert!(broken(&[ledger(7), line("n1", Fact::UpgradeWrote { token: token(7) })]).is_empty());
}

#[test]
fn an_open_door_and_a_stranger_inside_are_seen() {
    let mut open = world();
    open.database.admitted = Some((member("n1"), token(5), "v".into()));
    assert_eq!(broken_in(&open, &[]), [Name::DoorShut]);
    open.database.open = false;
    assert_eq!(broken_in(&open, &[]), [Name::DoorShut], "the members' own sessions are still there");
    open.database.sessions.clear();
    assert!(broken_in(&open, &[]).is_empty());
}

#[test]
fn stops_starts_and_admissions_out_of_order_are_seen() {
    let stopping = |sessions| line("n1", Fact::Stopping { sessions });
    let starting = |site: &str| line(site, Fact::Starting { version: "26.5.0".into(), by_itself: false });
    let admin = |from, to| line("n1", Fact::Admin { from, to, sessions: 0 });
    let out = admin(Admin::Ready, Admin::Maint);
    let back = admin(Admin::Maint, Admin::Ready);
    let proved = line("n1", Fact::Proved { version: "26.5.0".into() });
    assert_eq!(broken(&[stopping(0)]), [Name::DrainedBeforeStop]);
    assert_eq!(broken(&[out.clone(), stopping(2)]), [Name::DrainedBeforeStop]);
    assert!(broken(&[out.clone(), stopping(0)]).is_empty());
    assert_eq!(broken(&[starting("n1"), starting("n2")]), [Name::SerialStart]);
    assert_eq!(broken(&[out.clone(), starting("n1"), back.clone()]), [Name::ProvenBeforeAdmit]);
    assert!(broken(&[out, starting("n1"), proved, back, starting("n2")]).is_empty());
}

#[test]
fn effects_without_approval_and_stale_ones_are_seen() {
    let effect = |n: u64| Line {
        by: Some(EffectId {
            rollout: RolloutId(3),
            step: StepId(1),
            attempt: Attempt(1),
            token: token(n),
            kind: ActionKind::StageRelease,
            target: Target::Member(member("n1")),
        }),
        ..line("n1", Fact::Effect { changed: true })
    };
    assert_eq!(broken(&[effect(5)]), [Name::OnlyApproved]);
    assert_eq!(broken(&[effect(5), effect(4)]), [Name::OnlyApproved, Name::StaleRefused]);
}

#[test]
fn what_is_not_given_back_is_seen() {
    let before = world();
    let mut after = world();
    after.database.open = false;
    let mut invariants = Invariants::default();
    let look = |world, over| Case { now: 1, world, lines: &[], seen: &[], approved: None, over };
    invariants.look(&look(&before, None));
    invariants.look(&look(&after, None));
    assert_eq!(invariants.broken().count(), 0, "it is not over yet");
    invariants.look(&look(&after, Some(&Outcome::Aborted)));
    assert_eq!(invariants.broken().map(|v| v.name).collect::<Vec<_>>(), [Name::OwedSettled]);
}

#[test]
fn split_states_votes_taken_back_and_dead_processes_are_seen() {
    use crate::watch::{Observation, Seen};
    let world = world();
    let saw = |who: &str, seen| Observation { at: 1, who: member(who), seen };
    let look = |seen: &[Observation]| {
        let mut invariants = Invariants::default();
        invariants.look(&Case { now: 1, world: &world, lines: &[], seen, approved: None, over: None });
        invariants.broken().map(|violation| violation.name).collect::<Vec<_>>()
    };
    let state = |who, digest: &str| saw(who, Seen::State { index: LogIndex(4), digest: digest.into() });
    assert_eq!(look(&[state("n1", "a"), state("n2", "b")]), [Name::SameLogSameState]);
    assert!(look(&[state("n1", "a"), state("n2", "a")]).is_empty());
    let vote = |term, node| saw("n1", Seen::Vote { term, node, committed: false });
    assert_eq!(look(&[vote(3, 2), vote(3, 1)]), [Name::NoDoubleVote]);
    assert!(look(&[vote(3, 1), vote(3, 2), vote(4, 1)]).is_empty());
    assert_eq!(look(&[saw("n1", Seen::Ended { why: "store".into() })]), [Name::StaysAlive]);
}
