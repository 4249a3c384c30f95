//! A lost or failed upgrader: what people and the plan may decide, when, and what they may not.

mod common;

use common::{
    SAMPLE,
    drive::{Group, bad, person},
    member,
    oracle::Oracle,
};
use lockkeeper_core::{
    cluster::OnUpgraderLoss,
    identity::Role,
    ids::{DatabaseName, MemberName, Token},
    plan::{Action, ActionKind, Plan, SharedTarget},
    rollout::{
        Assignment, Command, Owner, Reply, Rollout, State, Status, StepPhase, apply, command::Verdict,
        limits, next, state::GrantState, why,
    },
    stored,
};

/// A rollout whose log is judged after the test.
struct Night {
    group: Group,
}

impl Drop for Night {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let (mut oracle, mut state) = (Oracle::default(), State::default());
        for (index, envelope) in &self.group.log {
            let bytes = stored::encode_envelope(envelope).unwrap();
            let read = stored::decode_envelope(&bytes).unwrap();
            assert_eq!(&read, envelope, "stored bytes read back");
            let before = state.clone();
            let reply = apply(&mut state, *index, &read);
            oracle.judge(&before, &read.command, &reply, &state);
        }
        assert_eq!(state.digest(), self.group.state.digest(), "same_log_same_state");
        let snapshot = stored::decode_state(&stored::encode_state(&state)).unwrap();
        assert_eq!(snapshot, state, "a snapshot reads back");
    }
}

impl Night {
    fn new(change: impl FnOnce(&mut Plan)) -> Self {
        let mut group = Group::new(SAMPLE);
        let mut plan = group.plan("26.5.0");
        change(&mut plan);
        plan.hash = lockkeeper_core::plan::hash(&plan);
        group.approve_and_start(&plan);
        Self { group }
    }

    fn rollout(&self) -> &Rollout {
        self.group.state.rollout.as_ref().expect("it is active")
    }

    fn grant(&self) -> (MemberName, Token, GrantState) {
        let grant = &self.rollout().grants[&main()];
        (grant.member.clone(), grant.token, grant.state)
    }

    fn halted(&self) -> bool {
        matches!(self.rollout().status, Status::Halted { .. })
    }

    /// Goes on until an agent is handed a step of this kind; answers the assignment, not begun.
    fn until(&mut self, kind: ActionKind) -> Assignment {
        for _ in 0..200 {
            self.group.lead();
            let all = self.group.assignments();
            if let Some(found) = all.iter().find(|a| a.step.action.kind() == kind) {
                return found.clone();
            }
            for assignment in all {
                self.group.finish(&assignment);
            }
        }
        panic!("{kind} is never handed out");
    }

    /// The holder is lost at a step of this kind; its door is shut, and the database reads `left`.
    fn lose_at(&mut self, kind: ActionKind, left: &str) -> MemberName {
        self.until(kind);
        let (holder, ..) = self.grant();
        self.group.up.remove(&holder);
        self.group.clock += 60_000;
        self.group.lead();
        assert!(self.halted());
        self.group.left = left.to_owned();
        self.close();
        holder
    }

    fn lose(&mut self, left: &str) -> MemberName {
        self.lose_at(ActionKind::UpgradeDatabase, left)
    }

    /// The executor proves the holder out.
    fn close(&mut self) {
        for _ in 0..5 {
            if self.grant().2 == GrantState::Closed {
                return;
            }
            // The executor of the door, or its hand-over first.
            self.group.lead();
            for assignment in self.group.assignments() {
                self.group.finish(&assignment);
            }
        }
        panic!("the grant is not closed");
    }

    fn takeover_as(&mut self, role: Role, to: Option<&str>) -> String {
        let command =
            Command::Takeover { database: main(), to: to.map(member), reason: "host is dead".into() };
        code(&self.group.commit(Some(&person("ola", role)), command))
    }

    fn takeover(&mut self, to: Option<&str>) -> String {
        self.takeover_as(Role::Operator, to)
    }

    fn resume(&mut self) -> String {
        code(&self.group.commit(Some(&person("ola", Role::Operator)), Command::Resume))
    }

    /// The first thing that waits, as a person is told.
    fn advice(&mut self) -> (Owner, String, String) {
        let facts = self.group.facts();
        let first = why(&self.group.state, &facts).into_iter().find(|w| w.subject.starts_with("rollout"));
        first.map(|w| (w.owner, w.text, w.remedy)).expect("a halted rollout waits")
    }

    fn ends(&mut self) -> &'static str {
        self.group.up = self.group.state.nodes.keys().cloned().collect();
        for _ in 0..200 {
            if self.group.state.rollout.is_none() {
                return self.group.state.history.back().unwrap().status.word();
            }
            self.group.lead();
            for assignment in self.group.assignments() {
                self.group.finish(&assignment);
            }
        }
        let facts = self.group.facts();
        panic!("it does not end: {:#?}", why(&self.group.state, &facts));
    }

    /// Who else may upgrade, and can be away: the leader always hears itself.
    fn another(&self) -> MemberName {
        let (holder, ..) = self.grant();
        let rollout = self.rollout();
        let fits = |m: &&MemberName| **m != holder && **m != self.group.leader;
        rollout.plan.policy.upgraders[&main()].iter().find(fits).expect("three members").clone()
    }
}

fn main() -> DatabaseName {
    DatabaseName::new("main").unwrap()
}

fn code(reply: &Reply) -> String {
    match reply {
        Reply::Applied { .. } => "applied".to_owned(),
        Reply::Rejected(rejection) => rejection.code().to_owned(),
    }
}

fn resuming(plan: &mut Plan) {
    for step in &mut plan.steps {
        if let Action::UpgradeDatabase(upgrade) = &mut step.action {
            upgrade.resumes = true;
        }
    }
}

fn regranting(plan: &mut Plan) {
    plan.policy.on_upgrader_loss = OnUpgraderLoss::RegrantIfUntouched;
}

#[test]
fn an_untouched_database_is_taken_over_by_another_member() {
    let mut night = Night::new(|_| {});
    let lost = night.lose("23");
    let (_, old, _) = night.grant();
    let (owner, text, remedy) = night.advice();
    assert_eq!((owner, remedy.as_str()), (Owner::Person, "lockkeeper takeover main --reason R"), "{text}");
    assert!(text.contains("judged untouched"), "{text}");
    assert_eq!(night.takeover(None), "applied");
    night.until(ActionKind::UpgradeDatabase);
    let (holder, token, state) = night.grant();
    assert_ne!(holder, lost, "the lost one is not elected again");
    assert!(token > old, "{token} after {old}");
    assert_eq!(state, GrantState::Open);
    assert_eq!(night.ends(), "completed");
}

#[test]
fn nobody_takes_over_before_the_holder_is_proven_out() {
    let mut night = Night::new(resuming);
    assert_eq!(night.takeover(None), "LK3031", "nobody holds a grant yet");
    let upgrade = night.until(ActionKind::UpgradeDatabase);
    assert_eq!(night.takeover(None), "LK3031", "the holder is at work");
    let (holder, ..) = night.grant();
    night.group.up.remove(&holder);
    night.group.clock += 60_000;
    night.group.lead();
    assert_eq!(night.takeover(None), "LK3031", "the holder is lost, and may still write");
    let retry = Command::Retry { step: upgrade.attempt.step };
    assert_eq!(code(&night.group.commit(Some(&person("ola", Role::Operator)), retry)), "LK3012");
    let (owner, text, _) = night.advice();
    assert_eq!(owner, Owner::Rollout, "{text}");
    night.group.left = "24".to_owned();
    night.close();
    assert_eq!(night.takeover(None), "applied", "the tool resumes");
    assert_eq!(night.ends(), "completed");
}

/// The tool's failure is no proof that its processes are gone: that comes with the closing.
#[test]
fn a_failed_attempt_is_not_retried_before_its_grant_is_closed() {
    let mut night = Night::new(resuming);
    let upgrade = night.until(ActionKind::UpgradeDatabase);
    night.group.outcome(&upgrade.attempt, bad(None));
    let retry = Command::Retry { step: upgrade.attempt.step };
    let operator = person("ola", Role::Operator);
    assert_eq!(code(&night.group.commit(Some(&operator), retry.clone())), "LK3031");
    night.group.left = "24".to_owned();
    night.close();
    assert_eq!(code(&night.group.commit(Some(&operator), retry)), "applied");
    assert_eq!(night.ends(), "completed");
}

/// Two seeds of five thousand simulated nights waited for ever: the advice named the attempt, which nobody may try again
/// before its grant is closed, and closing it had failed.
#[test]
fn a_failed_close_is_advised_before_the_failed_attempt() {
    for lost in [false, true] {
        let mut night = Night::new(resuming);
        let upgrade = night.until(ActionKind::UpgradeDatabase);
        if lost {
            night.group.up.remove(&upgrade.attempt.member);
            night.group.clock += 60_000;
        } else {
            night.group.outcome(&upgrade.attempt, bad(None));
        }
        let close = night.until(ActionKind::CloseGrant);
        night.group.outcome(&close.attempt, bad(None));
        let (owner, _, remedy) = night.advice();
        assert_eq!(owner, Owner::Person);
        assert!(remedy.ends_with(&format!("lockkeeper retry {}", close.attempt.step)), "{remedy}");
        let retry = Command::Retry { step: close.attempt.step };
        assert_eq!(code(&night.group.commit(Some(&person("ola", Role::Operator)), retry)), "applied");
        night.group.left = "24".to_owned();
        night.close();
    }
}

#[test]
fn a_finished_database_counts_as_upgraded() {
    let mut night = Night::new(|_| {});
    night.lose("26");
    let (_, old, _) = night.grant();
    assert_eq!(night.takeover(None), "LK3031", "there is nothing to take over");
    let (_, _, remedy) = night.advice();
    assert!(remedy.ends_with("lockkeeper resume"), "{remedy}");
    assert_eq!(night.resume(), "applied");
    assert_eq!(night.ends(), "completed");
    let done = night.group.state.history.back().unwrap();
    assert_eq!(done.grants[&main()].token, old, "no second grant");
}

#[test]
fn a_failed_tool_that_left_a_finished_schema_is_recorded_by_a_person() {
    let mut night = Night::new(|_| {});
    let upgrade = night.until(ActionKind::UpgradeDatabase);
    night.group.outcome(&upgrade.attempt, bad(None));
    night.group.left = "26".to_owned();
    night.close();
    assert!(night.halted());
    let (_, old, _) = night.grant();
    let (_, text, remedy) = night.advice();
    assert_eq!(remedy, "lockkeeper takeover main --reason R", "{text}");
    assert_eq!(night.takeover(None), "applied");
    assert!(!night.halted());
    assert!(matches!(
        &night.rollout().record(upgrade.attempt.step).unwrap().phase,
        StepPhase::Done { evidence, .. } if evidence.contains("judged finished")
    ));
    assert_eq!(night.ends(), "completed");
    let done = night.group.state.history.back().unwrap();
    assert_eq!(done.grants[&main()].token, old, "no second grant");
}

#[test]
fn a_touched_database_is_not_granted_again() {
    for left in ["24", ""] {
        let mut night = Night::new(|_| {});
        night.lose(left);
        assert_eq!(night.takeover(None), "LK3019");
        let (_, text, remedy) = night.advice();
        assert!(remedy.starts_with("lockkeeper restore"), "{remedy}: {text}");
        assert!(night.halted());
    }
}

#[test]
fn only_an_operator_takes_over_and_only_for_who_may_upgrade() {
    let mut night = Night::new(|_| {});
    let lost = night.lose("23");
    assert_eq!(night.takeover_as(Role::Viewer, None), "LK3027");
    assert_eq!(night.takeover(Some("nobody")), "LK3024");
    assert_eq!(night.takeover(Some("db1")), "LK3031", "a witness has no application");
    let other = DatabaseName::new("other").unwrap();
    let command = Command::Takeover { database: other, to: None, reason: String::new() };
    assert_eq!(code(&night.group.commit(Some(&person("ola", Role::Operator)), command)), "LK3031");
    assert!(night.halted(), "nothing of that changed anything");
    // The lost one, named by a person, is waited for.
    assert_eq!(night.takeover(Some(lost.as_str())), "applied");
    let facts = night.group.facts();
    assert!(next(&night.group.state, &facts).is_empty(), "it is not back");
    night.group.up.insert(lost.clone());
    night.until(ActionKind::UpgradeDatabase);
    assert_eq!(night.grant().0, lost);
    assert_eq!(night.ends(), "completed");
}

#[test]
fn a_successor_that_stays_away_is_replaced_by_name() {
    let mut night = Night::new(|_| {});
    let lost = night.lose("23");
    let named = night.another();
    night.group.up.remove(&named);
    night.group.clock += 60_000;
    assert_eq!(night.takeover(Some(named.as_str())), "applied");
    night.group.lead();
    assert_eq!(night.grant().2, GrantState::Closed, "nobody else is elected");
    let facts = night.group.facts();
    let waits = why(&night.group.state, &facts);
    assert!(waits.iter().any(|w| w.code == "no-upgrader" && w.text.contains(named.as_str())), "{waits:#?}");
    let third = night.rollout().plan.policy.upgraders[&main()]
        .iter()
        .find(|m| **m != lost && **m != named)
        .expect("three members")
        .clone();
    assert_eq!(night.takeover(Some(third.as_str())), "applied");
    night.until(ActionKind::UpgradeDatabase);
    assert_eq!(night.grant().0, third);
    assert_eq!(night.ends(), "completed");
}

#[test]
fn an_election_cannot_pass_over_the_named_successor() {
    let mut night = Night::new(|_| {});
    let lost = night.lose("23");
    let named = night.another();
    assert_eq!(night.takeover(Some(named.as_str())), "applied");
    let rollout = night.rollout().id;
    for other in night.rollout().plan.policy.upgraders[&main()].clone() {
        if other != named {
            let elect = Command::Elect { rollout, database: main(), member: other.clone() };
            let reply = code(&night.group.commit(None, elect));
            assert_eq!(reply, "LK3015", "{other} instead of {named}, {lost} lost");
        }
    }
    assert_eq!(night.ends(), "completed");
}

#[test]
fn a_holder_lost_before_the_tool_began_is_replaced() {
    for kind in [ActionKind::MintCredential, ActionKind::AdmitHolder] {
        let mut night = Night::new(|_| {});
        let lost = night.lose_at(kind, "23");
        assert_eq!(night.takeover(None), "applied", "{kind}");
        night.until(ActionKind::UpgradeDatabase);
        assert_ne!(night.grant().0, lost, "{kind}");
        assert_eq!(night.ends(), "completed");
    }
}

#[test]
fn the_plan_regrants_what_is_untouched_and_nothing_else() {
    let mut night = Night::new(regranting);
    let lost = night.lose("23");
    night.group.lead();
    assert!(!night.halted(), "no person was needed");
    night.until(ActionKind::UpgradeDatabase);
    assert_ne!(night.grant().0, lost);
    assert_eq!(night.ends(), "completed");

    for left in ["24", "26", ""] {
        let mut night = Night::new(regranting);
        night.lose(left);
        night.group.lead();
        assert!(night.halted(), "judged by {left:?}");
    }
}

#[test]
fn the_plan_regrants_three_times_and_then_asks() {
    let mut night = Night::new(regranting);
    for round in 0..=limits::REGRANTS_MAX {
        assert!(!night.halted(), "round {round}");
        night.lose("23");
        night.group.up = night.group.state.nodes.keys().cloned().collect();
        night.group.lead();
    }
    assert!(night.halted());
    assert_eq!(night.advice().0, Owner::Person);
    assert_eq!(night.takeover(None), "applied");
    assert_eq!(night.ends(), "completed");
}

#[test]
fn nobody_regrants_where_the_plan_does_not_say_so() {
    let mut night = Night::new(|_| {});
    night.lose("23");
    let rollout = night.rollout().id;
    let regrant = Command::Regrant { rollout, database: main() };
    assert_eq!(code(&night.group.commit(None, regrant)), "LK3031");
    assert!(night.halted());
    let grant = &night.rollout().grants[&main()];
    assert_eq!((grant.lost, grant.verdict), (true, Some(Verdict::Untouched)));
}

/// What an earlier grant left says nothing about a later one whose schema cannot be read.
#[test]
fn an_old_judgement_is_not_used_again() {
    let mut night = Night::new(|_| {});
    night.lose("23");
    assert_eq!(night.takeover(None), "applied");
    let upgrade = night.until(ActionKind::UpgradeDatabase);
    night.group.outcome(&upgrade.attempt, bad(None));
    for _ in 0..5 {
        night.group.lead();
        for assignment in night.group.assignments() {
            let unread = lockkeeper_core::rollout::OutcomeResult::Done {
                evidence: "closed; the schema cannot be read".into(),
                outputs: Default::default(),
                read_back: None,
                action_ms: None,
            };
            night.group.outcome(&assignment.attempt, unread);
        }
    }
    assert_eq!(night.takeover(None), "LK3019");
}

/// Whoever has an unsettled assignment may be frozen in front of its effect: nobody else acts on the target meanwhile.
#[test]
fn a_door_is_handed_over_only_between_assignments() {
    let mut night = Night::new(|_| {});
    let shut = night.until(ActionKind::ShutDoor);
    let target = SharedTarget::Database(main());
    let executors = &night.rollout().plan.policy.executors;
    let (_, candidates) = executors.iter().find(|(of, _)| *of == target).expect("the door has executors");
    let other = candidates.iter().find(|m| **m != shut.attempt.member).expect("at least two").clone();
    let hand_over = Command::SetExecutor { rollout: night.rollout().id, target, member: other };
    assert_eq!(code(&night.group.commit(None, hand_over.clone())), "LK3018");
    night.group.up.remove(&shut.attempt.member);
    night.group.clock += 60_000;
    night.group.lead();
    assert!(night.halted(), "its silence halts");
    assert_eq!(code(&night.group.commit(None, hand_over.clone())), "LK3018", "and proves nothing");
    night.group.finish(&shut);
    assert_eq!(code(&night.group.commit(None, hand_over)), "applied", "its last word does");
    assert_eq!(night.resume(), "applied");
    assert_eq!(night.ends(), "completed");
}

/// The oracle sees the planted bug.
#[cfg(feature = "plant")]
#[test]
#[should_panic(expected = "destructive_once: touched")]
fn a_planted_grant_of_a_touched_database_is_caught() {
    lockkeeper_core::plant::plant(Some(lockkeeper_core::plant::Plant::TakeTouched));
    let mut night = Night::new(|_| {});
    night.lose("24");
    assert_eq!(night.takeover(None), "applied");
    night.until(ActionKind::UpgradeDatabase);
}
