//! Identities by their rules: revocation, leaving members, added votes, roll-over of the authority, feature floor.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::drive::{Group, person};
use lockkeeper_core::{
    guard::Opening,
    identity::Role,
    ids::{ActorName, Digest, Incarnation, MemberName, NodeId},
    plan::ActionKind,
    rollout::{
        Command, Envelope, Rejection, Reply, TrustCommand,
        command::Enrol,
        trust::{Authority, CertificateReport, FEATURE, OVERLAP_MS, RollOverStage},
    },
    stored,
    time::LogTime,
};
use std::collections::BTreeSet;

fn name(text: &str) -> MemberName {
    MemberName::new(text).unwrap()
}

fn group() -> Group {
    Group::new(common::SAMPLE)
}

fn rejected(reply: Reply) -> Rejection {
    match reply {
        Reply::Rejected(rejection) => rejection,
        Reply::Applied { .. } => panic!("it was applied"),
    }
}

fn announce(group: &mut Group, member: &str, feature: u32) -> Reply {
    let actions = ActionKind::ALL.into_iter().collect();
    let command =
        Command::Announce { member: name(member), agent_version: "0.2.0".to_owned(), feature, actions };
    group.commit(None, command)
}

fn announce_all(group: &mut Group, feature: u32) {
    for member in group.state.nodes.keys().cloned().collect::<Vec<_>>() {
        assert!(matches!(announce(group, member.as_str(), feature), Reply::Applied { .. }));
    }
}

/// Plays the leader until it has nothing to propose about identities.
fn lead(group: &mut Group) {
    loop {
        let inside =
            group.state.nodes.keys().filter(|m| !group.state.trust.leaving.contains(*m)).cloned().collect();
        let commands = group.state.next_trust(&inside);
        if commands.is_empty() {
            return;
        }
        for command in commands {
            group.must(None, command);
        }
    }
}

fn authority(text: &str) -> Authority {
    Authority {
        root: Digest::of(text.as_bytes()),
        root_pem: text.to_owned(),
        issuing: Some(Digest::of(format!("issuing {text}").as_bytes())),
        cross_pem: None,
        since: LogTime(0),
    }
}

fn report(issuer: &str, trusted: &[&str], holds: &[&str]) -> CertificateReport {
    let issuing = |text: &str| authority(text).issuing.unwrap();
    CertificateReport {
        expires: LogTime(1),
        issuer: issuing(issuer),
        trusted: trusted.iter().map(|text| authority(text).root).collect(),
        holds: holds.iter().map(|text| issuing(text)).collect(),
    }
}

fn tell(group: &mut Group, member: &MemberName, report: CertificateReport) {
    let incarnation = group.state.nodes[member].incarnation;
    group.must(
        None,
        Command::Trust(TrustCommand::Certificate { member: member.clone(), incarnation, report }),
    );
}

#[test]
fn an_opened_guard_is_kept_and_audited_for_members_only() {
    let mut group = group();
    let member = group.state.nodes.keys().next().unwrap().clone();
    let opening = Opening {
        by: "uid:0".into(),
        reason: "INC-7".into(),
        opened: 5,
        until: 9,
        once: true,
        uses: 0,
        last_use: None,
    };
    let told = |member: &MemberName, opening: &Opening| Command::GuardOpened {
        member: member.clone(),
        opening: opening.clone(),
    };
    group.must(None, told(&member, &opening));
    assert_eq!(group.state.guard_openings.get(&member), Some(&opening));
    let used = opening.clone().used(7);
    group.must(None, told(&member, &used));
    assert_eq!(group.state.guard_openings.get(&member), Some(&used));
    let stranger = MemberName::new("nobody").unwrap();
    assert!(matches!(rejected(group.commit(None, told(&stranger, &opening))), Rejection::UnknownMember(_)));
    let long = Opening { reason: "x".repeat(5000), ..opening };
    assert!(matches!(rejected(group.commit(None, told(&member, &long))), Rejection::Limit(_)));
    assert_eq!(group.state.guard_openings.get(&member), Some(&used), "a refused one changes nothing");
}

#[test]
fn a_revoked_operator_never_gets_a_certificate_again() {
    let mut group = group();
    let admin = person("ada", Role::Admin);
    let eve = ActorName::new("eve").unwrap();
    let issue = |role| {
        let (name, issuer) = (eve.clone(), Digest::of(b"issuing"));
        Command::Trust(TrustCommand::OperatorIssue { name, role, expires: LogTime(u64::MAX), issuer })
    };
    let revoke = Command::Trust(TrustCommand::OperatorRevoke { name: eve.clone(), reason: "left".into() });
    for role in [Role::Viewer, Role::Operator, Role::Approver] {
        let person = person("eve", role);
        assert!(matches!(rejected(group.commit(Some(&person), revoke.clone())), Rejection::Forbidden { .. }));
        assert!(matches!(
            rejected(group.commit(Some(&person), issue(Role::Admin))),
            Rejection::Forbidden { .. }
        ));
    }
    group.must(Some(&admin), issue(Role::Operator));
    group.must(Some(&admin), revoke.clone());
    let since = group.state.trust.operators[&eve].revoked;
    assert!(since.is_some());
    group.clock += 1000;
    group.must(Some(&admin), revoke);
    assert_eq!(group.state.trust.operators[&eve].revoked, since, "revoking twice keeps the first moment");
    assert!(matches!(rejected(group.commit(Some(&admin), issue(Role::Viewer))), Rejection::Revoked(_)));
    // A name nobody was ever given by the group, such as the first admin's.
    let first = ActorName::new("admin").unwrap();
    group.must(
        Some(&admin),
        Command::Trust(TrustCommand::OperatorRevoke { name: first.clone(), reason: String::new() }),
    );
    assert!(group.state.trust.operators[&first].revoked.is_some());
}

#[test]
fn a_removed_member_is_revoked_once_it_is_out_and_comes_back_as_another() {
    let mut group = group();
    let admin = person("ada", Role::Admin);
    let n3 = name("n3");
    let old = group.state.nodes[&n3].clone();
    let remove = Command::Trust(TrustCommand::MemberRemove { member: n3.clone(), reason: "scrapped".into() });
    group.must(Some(&admin), remove.clone());
    group.must(Some(&admin), remove);
    assert!(!group.state.wanted_voters().contains(&n3), "it loses its vote first");
    assert!(group.state.revoked.is_empty(), "and goes on to speak until Raft is rid of it");
    // The leader says so only when neither vote nor log is left.
    let all: BTreeSet<MemberName> = group.state.nodes.keys().cloned().collect();
    assert!(group.state.next_trust(&all).is_empty());
    lead(&mut group);
    assert!(!group.state.nodes.contains_key(&n3));
    assert!(group.state.revoked.contains(&(n3.clone(), old.incarnation)));
    assert!(group.state.next_node() > old.id, "no number is given twice");
    assert!(group.state.next_incarnation(&n3) > old.incarnation);
    // Back with its old number or incarnation: refused.
    let hash = Digest::of(b"again");
    let expires = LogTime(group.clock + 1000);
    group.must(Some(&admin), Command::TokenCreate { hash: hash.clone(), member: n3.clone(), expires });
    let (node_id, incarnation) = (group.state.next_node(), group.state.next_incarnation(&n3));
    let enrol = |node_id, incarnation| {
        Command::Enrol(Enrol {
            member: n3.clone(),
            node_id,
            incarnation,
            address: old.address.clone(),
            fingerprint: old.fingerprint.clone(),
            token: Some(hash.clone()),
        })
    };
    for (node_id, incarnation) in
        [(old.id, incarnation), (node_id, old.incarnation), (NodeId(1), Incarnation(9))]
    {
        assert!(matches!(rejected(group.commit(None, enrol(node_id, incarnation))), Rejection::InUse(_)));
    }
    group.must(None, enrol(node_id, incarnation));
}

#[test]
fn whoever_the_rollout_needs_is_not_removed() {
    let mut group = group();
    let admin = person("ada", Role::Admin);
    let plan = group.plan("26.5.0");
    group.approve_and_start(&plan);
    for member in ["n1", "n2", "n3"] {
        let remove =
            Command::Trust(TrustCommand::MemberRemove { member: name(member), reason: String::new() });
        let rejection = rejected(group.commit(Some(&admin), remove));
        assert!(matches!(rejection, Rejection::MemberBusy { .. }), "{member}: {rejection}");
    }
}

#[test]
fn the_only_voter_and_the_last_member_stay() {
    let mut group = group();
    let admin = person("ada", Role::Admin);
    let remove = |member: &str| {
        Command::Trust(TrustCommand::MemberRemove { member: name(member), reason: String::new() })
    };
    let last = group.state.wanted_voters().remove(0);
    let others: Vec<MemberName> = group.state.nodes.keys().filter(|m| **m != last).cloned().collect();
    let (kept, gone) = others.split_first().unwrap();
    for member in gone {
        group.must(Some(&admin), remove(member.as_str()));
    }
    lead(&mut group);
    // One that has no vote yet is no reason to let the only voter go.
    if !group.state.wanted_voters().contains(kept) {
        assert!(matches!(
            rejected(group.commit(Some(&admin), remove(last.as_str()))),
            Rejection::MemberBusy { .. }
        ));
    }
    group.must(Some(&admin), remove(kept.as_str()));
    assert!(matches!(
        rejected(group.commit(Some(&admin), remove(last.as_str()))),
        Rejection::MemberBusy { .. }
    ));
    lead(&mut group);
    assert!(matches!(
        rejected(group.commit(Some(&admin), remove(last.as_str()))),
        Rejection::MemberBusy { .. }
    ));
    assert_eq!(group.state.nodes.len(), 1);
}

#[test]
fn a_vote_is_added_to_those_of_the_file_up_to_five() {
    let mut group = group();
    let admin = person("ada", Role::Admin);
    let voters = group.state.wanted_voters();
    let add = |member: &MemberName| Command::Trust(TrustCommand::AddVoter { member: member.clone() });
    assert!(matches!(
        rejected(group.commit(Some(&admin), add(&name("nobody")))),
        Rejection::UnknownMember(_)
    ));
    let extra = group.state.nodes.keys().find(|m| !voters.contains(m)).cloned();
    for member in voters.iter().chain(&extra) {
        group.must(Some(&admin), add(member));
    }
    let now = group.state.wanted_voters();
    assert_eq!(now.len(), voters.len() + usize::from(extra.is_some()));
}

#[test]
fn the_floor_rises_with_the_last_node_and_never_during_a_rollout() {
    let mut group = group();
    let raise = |feature| Command::Trust(TrustCommand::RaiseFloor { feature });
    announce_all(&mut group, FEATURE);
    // One build more than this one knows: what a newer agent would announce.
    announce(&mut group, "n1", FEATURE + 1);
    announce(&mut group, "n3", 1);
    lead(&mut group);
    assert_eq!(group.state.floor(), 1, "n3 is behind");
    assert!(matches!(rejected(group.commit(None, raise(FEATURE))), Rejection::FeatureMissing { .. }));
    let plan = group.plan("26.5.0");
    group.approve_and_start(&plan);
    announce(&mut group, "n3", FEATURE);
    lead(&mut group);
    assert_eq!(group.state.floor(), 1, "a rollout is active");
    assert!(matches!(rejected(group.commit(None, raise(FEATURE))), Rejection::DuringRollout(_)));
    let ada = person("ada", Role::Admin);
    group.must(Some(&ada), Command::Abort { reason: String::new() });
    let rollout = group.state.rollout.as_ref().unwrap().id;
    group.must(None, Command::Finish { rollout });
    lead(&mut group);
    assert_eq!(group.state.floor(), FEATURE);
    // Whoever comes back with an older build is told so.
    assert!(matches!(
        rejected(announce(&mut group, "n2", 1)),
        Rejection::FeatureMissing { needs: FEATURE, has: 1 }
    ));
    assert_eq!(group.state.nodes[&name("n2")].feature, FEATURE);
}

#[test]
fn a_command_above_the_floor_changes_nothing() {
    let mut group = group();
    let admin = person("ada", Role::Admin);
    let rotate =
        Command::Trust(TrustCommand::CaRotate { old: vec![authority("old")], new: authority("new") });
    let rejection = rejected(group.commit(Some(&admin), rotate.clone()));
    assert!(matches!(rejection, Rejection::FeatureMissing { needs: 2, has: 1 }), "{rejection}");
    announce_all(&mut group, 2);
    lead(&mut group);
    group.must(Some(&admin), rotate);
}

#[test]
fn an_authority_rolls_over_stage_by_stage() {
    let mut group = group();
    let admin = person("ada", Role::Admin);
    announce_all(&mut group, FEATURE);
    lead(&mut group);
    let rotate = |new: &str| {
        Command::Trust(TrustCommand::CaRotate { old: vec![authority("old")], new: authority(new) })
    };
    group.must(Some(&admin), rotate("new"));
    group.must(Some(&admin), rotate("new"));
    assert!(matches!(rejected(group.commit(Some(&admin), rotate("third"))), Rejection::RollOver(_)));
    let finish = Command::Trust(TrustCommand::CaFinish);
    let stage = |group: &Group| group.state.trust.roll_over.as_ref().map(|r| r.stage);
    let members: Vec<MemberName> = group.state.nodes.keys().cloned().collect();
    let (last, others) = members.split_last().unwrap();
    for (holds, shows, next) in [
        (report("old", &["old", "new"], &["old", "new"]), RollOverStage::Trust, RollOverStage::Reissue),
        (report("new", &["old", "new"], &["new"]), RollOverStage::Reissue, RollOverStage::Overlap),
    ] {
        assert_eq!(stage(&group), Some(shows));
        assert!(matches!(rejected(group.commit(Some(&admin), finish.clone())), Rejection::RollOver(_)));
        for member in others {
            tell(&mut group, member, holds.clone());
        }
        // Trusting without the new issuing key is not enough for one that issues.
        if shows == RollOverStage::Trust {
            tell(&mut group, last, report("old", &["old", "new"], &["old"]));
        }
        lead(&mut group);
        assert_eq!(stage(&group), Some(shows), "{last} is not through");
        assert_eq!(group.state.roll_over_waits_for(), BTreeSet::from([last.clone()]));
        let early = Command::Trust(TrustCommand::CaAdvance { stage: next });
        assert!(matches!(rejected(group.commit(None, early)), Rejection::RollOver(_)));
        tell(&mut group, last, holds);
        lead(&mut group);
        assert_eq!(stage(&group), Some(next));
    }
    assert!(
        matches!(rejected(group.commit(None, finish.clone())), Rejection::RollOver(_)),
        "only time or a person"
    );
    assert_eq!(group.state.trust.authorities.len(), 2);
    let mut by_person = group.state.clone();
    lockkeeper_core::rollout::apply(
        &mut by_person,
        lockkeeper_core::ids::LogIndex(9_999),
        &envelope(Some(&admin), finish),
    );
    assert_eq!(by_person.trust.authorities.len(), 1, "an admin may end it");
    group.clock += OVERLAP_MS;
    tell(&mut group, last, report("new", &["old", "new"], &["new"]));
    lead(&mut group);
    assert_eq!(
        group.state.trust.authorities.iter().map(|a| a.root_pem.as_str()).collect::<Vec<_>>(),
        ["new"]
    );
    assert_eq!(stage(&group), None);
}

fn envelope(actor: Option<&lockkeeper_core::identity::Actor>, command: Command) -> Envelope {
    Envelope {
        id: lockkeeper_core::ids::RequestId("x".into()),
        time: LogTime(1),
        actor: actor.cloned(),
        trace: String::new(),
        command,
    }
}

/// Every command about identities reads back from its stored bytes, and those bytes stand still.
#[test]
fn stored_bytes_stand_still() {
    let ada = ActorName::new("ada").unwrap();
    let (issuer, n1) = (Digest("ab".into()), name("n1"));
    let short = |text: &str| Authority {
        root: Digest(text.into()),
        root_pem: "pem".into(),
        issuing: Some(Digest("i".into())),
        cross_pem: Some("x".into()),
        since: LogTime(7),
    };
    let set = |text: &str| BTreeSet::from([Digest(text.into())]);
    let report = CertificateReport {
        expires: LogTime(300),
        issuer: issuer.clone(),
        trusted: set("t"),
        holds: set("h"),
    };
    let commands = [
        TrustCommand::OperatorIssue { name: ada.clone(), role: Role::Admin, expires: LogTime(300), issuer },
        TrustCommand::OperatorRevoke { name: ada, reason: "r".into() },
        TrustCommand::MemberRemove { member: n1.clone(), reason: "r".into() },
        TrustCommand::MemberGone { member: n1.clone() },
        TrustCommand::AddVoter { member: n1.clone() },
        TrustCommand::Certificate { member: n1, incarnation: Incarnation(2), report },
        TrustCommand::CaRotate { old: vec![short("o")], new: short("n") },
        TrustCommand::CaAdvance { stage: RollOverStage::Overlap },
        TrustCommand::CaFinish,
        TrustCommand::RaiseFloor { feature: 2 },
    ];
    let mut text = String::new();
    for command in commands {
        let envelope = envelope(None, Command::Trust(command));
        let bytes = stored::encode_envelope(&envelope).unwrap();
        assert_eq!(stored::decode_envelope(&bytes).unwrap(), envelope);
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        text.push_str(&format!("{:?} {hex}\n", envelope.command.kind()));
    }
    insta::assert_snapshot!("trust_bytes_v1", text);
}
