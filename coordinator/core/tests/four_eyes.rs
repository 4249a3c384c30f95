//! Two persons: who may start a plan that somebody else has to have approved.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::{
    SAMPLE,
    drive::{Group, person},
};
use lockkeeper_core::{
    identity::{Actor, Role},
    ids::ActorName,
    plan::Plan,
    rollout::{Command, Rejection, Reply, TrustCommand},
};

fn bench(approvals: u32) -> (Group, Plan) {
    let text = SAMPLE.replacen("approvals        = 1", &format!("approvals        = {approvals}"), 1);
    let group = Group::new(&text);
    let plan = group.plan("26.5.0");
    assert!(plan.policy.four_eyes && plan.policy.approvals == approvals, "{:?}", plan.policy);
    (group, plan)
}

fn approve(group: &mut Group, plan: &Plan, actor: &Actor) {
    group.must(Some(actor), Command::Approve { plan: plan.hash.clone(), reference: "CHG-1".into() });
}

fn start(group: &mut Group, plan: &Plan, actor: &Actor) -> Result<(), Rejection> {
    match group.commit(Some(actor), Command::Apply { plan: Box::new(plan.clone()) }) {
        Reply::Applied { .. } => Ok(()),
        Reply::Rejected(rejection) => Err(rejection),
    }
}

#[test]
fn whoever_approved_does_not_start() {
    // An admin may do both by role, and one person may hold two certificates under one name.
    for (signs, starts) in
        [(Role::Admin, Role::Admin), (Role::Approver, Role::Operator), (Role::Admin, Role::Operator)]
    {
        let (mut group, plan) = bench(1);
        approve(&mut group, &plan, &person("ada", signs));
        let rejection = start(&mut group, &plan, &person("ada", starts)).unwrap_err();
        assert_eq!(rejection, Rejection::FourEyes("ada".into()));
        // Another approval does not heal it: she is one of those who signed.
        approve(&mut group, &plan, &person("bea", Role::Approver));
        assert!(matches!(start(&mut group, &plan, &person("ada", starts)), Err(Rejection::FourEyes(_))));
        start(&mut group, &plan, &person("ola", Role::Operator)).unwrap();
    }
}

#[test]
fn root_on_the_socket_is_neither_of_the_two() {
    let (mut group, plan) = bench(1);
    let (root, other) = (person("uid:0", Role::Admin), person("uid:1000", Role::Admin));
    approve(&mut group, &plan, &root);
    approve(&mut group, &plan, &other);
    let rejection = start(&mut group, &plan, &person("ola", Role::Operator)).unwrap_err();
    assert_eq!(rejection, Rejection::NotApproved { found: 0, needed: 1 });
    approve(&mut group, &plan, &person("bea", Role::Approver));
    for nobody in [&root, &other] {
        assert!(matches!(start(&mut group, &plan, nobody), Err(Rejection::FourEyes(_))));
    }
    start(&mut group, &plan, &person("ola", Role::Operator)).unwrap();
}

#[test]
fn signing_twice_is_signing_once() {
    let (mut group, plan) = bench(2);
    for role in [Role::Approver, Role::Admin, Role::Approver] {
        approve(&mut group, &plan, &person("bea", role));
    }
    let ola = person("ola", Role::Operator);
    assert_eq!(start(&mut group, &plan, &ola), Err(Rejection::NotApproved { found: 1, needed: 2 }));
    approve(&mut group, &plan, &person("cid", Role::Approver));
    start(&mut group, &plan, &ola).unwrap();
}

#[test]
fn the_signature_of_somebody_revoked_no_longer_counts() {
    let (mut group, plan) = bench(1);
    approve(&mut group, &plan, &person("bea", Role::Approver));
    let revoke = TrustCommand::OperatorRevoke { name: ActorName::new("bea").unwrap(), reason: "left".into() };
    group.must(Some(&person("ada", Role::Admin)), Command::Trust(revoke));
    let ola = person("ola", Role::Operator);
    assert_eq!(start(&mut group, &plan, &ola), Err(Rejection::NotApproved { found: 0, needed: 1 }));
    approve(&mut group, &plan, &person("cid", Role::Approver));
    start(&mut group, &plan, &ola).unwrap();
}

#[test]
fn an_operator_does_not_sign_and_an_approver_does_not_start() {
    let (mut group, plan) = bench(1);
    let sign = Command::Approve { plan: plan.hash.clone(), reference: String::new() };
    for role in [Role::Viewer, Role::Operator] {
        let reply = group.commit(Some(&person("ola", role)), sign.clone());
        assert!(matches!(reply, Reply::Rejected(Rejection::Forbidden { .. })));
    }
    approve(&mut group, &plan, &person("bea", Role::Approver));
    for role in [Role::Viewer, Role::Approver] {
        assert!(matches!(start(&mut group, &plan, &person("cid", role)), Err(Rejection::Forbidden { .. })));
    }
    assert!(matches!(
        group.commit(None, Command::Apply { plan: Box::new(plan.clone()) }),
        Reply::Rejected(_)
    ));
}

#[test]
fn approvals_count_people() {
    let mut group = Group::new(SAMPLE);
    let plan = group.plan("26.5.0");
    let start = Command::Apply { plan: Box::new(plan.clone()) };
    let sign = Command::Approve { plan: plan.hash.clone(), reference: String::new() };
    let code = |reply: Reply| match reply {
        Reply::Rejected(r) => r.code(),
        Reply::Applied { .. } => "applied",
    };
    let admin = person("ada", Role::Admin);
    assert_eq!(code(group.commit(Some(&person("vic", Role::Viewer)), sign.clone())), "LK3027");
    assert_eq!(code(group.commit(Some(&admin), start.clone())), "LK3005");
    group.must(Some(&person("uid:0", Role::Admin)), sign.clone());
    assert_eq!(code(group.commit(Some(&admin), start.clone())), "LK3005", "root is nobody in particular");
    group.must(Some(&admin), sign);
    assert_eq!(code(group.commit(Some(&admin), start.clone())), "LK3006");
    assert_eq!(code(group.commit(Some(&person("bea", Role::Approver)), start.clone())), "LK3027");
    let mut altered = plan;
    altered.steps[0].estimate.0 += 1;
    let altered = Command::Apply { plan: Box::new(altered) };
    assert_eq!(code(group.commit(Some(&person("ola", Role::Operator)), altered)), "LK3030");
    assert_eq!(code(group.commit(Some(&person("ola", Role::Operator)), start)), "applied");
}
