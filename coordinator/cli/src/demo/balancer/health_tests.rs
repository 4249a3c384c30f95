//! The readings of HAProxy 2.6.12 (rise 2, fall 2), replayed: (command or check) -> op, admin, health, status.

use super::*;
use proptest::prelude::*;

const PASS: Checked = Checked::Passed { status: 200 };
const FAIL: Checked = Checked::Refused;

fn check(health: &mut Health, outcome: Checked) {
    if let Some(round) = health.check_begins() {
        health.checked(round, outcome);
    }
}

fn read(health: &Health) -> (u8, u8, u8, String) {
    (health.op().number(), health.admin().bits(), health.points(), health.status())
}

fn is(op: u8, admin: u8, points: u8, status: &str) -> (u8, u8, u8, String) {
    (op, admin, points, status.to_owned())
}

fn up() -> Health {
    let mut health = Health::default();
    check(&mut health, PASS);
    assert_eq!(read(&health), is(2, 0, 3, "UP"));
    health
}

#[test]
fn drain_goes_on_checking() {
    let mut health = up();
    health.set(Admin::Drain);
    assert_eq!(read(&health), is(2, 8, 3, "DRAIN"));
    check(&mut health, FAIL);
    assert_eq!(read(&health), is(2, 8, 2, "DRAIN 1/2"));
    check(&mut health, FAIL);
    assert_eq!(read(&health), is(0, 8, 0, "DOWN"));
    check(&mut health, PASS);
    assert_eq!(read(&health), is(0, 8, 1, "DOWN 1/2"));
    check(&mut health, PASS);
    assert_eq!(read(&health), is(2, 8, 3, "DRAIN"));
    health.set(Admin::Ready);
    assert_eq!(read(&health), is(2, 0, 3, "UP"));
}

#[test]
fn maint_rests_the_checks_and_ready_after_it_is_up_at_once() {
    let mut health = up();
    health.set(Admin::Maint);
    assert_eq!(read(&health), is(0, 1, 0, "MAINT"));
    assert_eq!(health.check_begins(), None);
    health.set(Admin::Ready);
    assert_eq!(read(&health), is(2, 0, 2, "UP 1/2"));
    assert!(health.takes_new());
    check(&mut health, FAIL);
    assert_eq!(read(&health), is(0, 0, 0, "DOWN"));
}

#[test]
fn drain_after_maint_is_up_at_once_too() {
    let mut health = up();
    health.set(Admin::Drain);
    health.set(Admin::Maint);
    assert_eq!(read(&health), is(0, 1, 0, "MAINT"));
    health.set(Admin::Drain);
    assert_eq!(read(&health), is(2, 8, 2, "DRAIN 1/2"));
    check(&mut health, FAIL);
    assert_eq!(read(&health), is(0, 8, 0, "DOWN"));
}

#[test]
fn health_that_was_set_is_where_the_checks_go_on_from() {
    let mut health = up();
    health.set(Admin::Drain);
    health.force(Op::Down);
    assert_eq!(read(&health), is(0, 8, 0, "DOWN"));
    check(&mut health, PASS);
    assert_eq!(read(&health), is(0, 8, 1, "DOWN 1/2"));
    health.force(Op::Up);
    assert_eq!(read(&health), is(2, 8, 3, "DRAIN"));
    health.set(Admin::Maint);
    health.force(Op::Up);
    assert_eq!(read(&health), is(0, 1, 0, "MAINT"));
}

#[test]
fn a_check_begun_before_maint_says_nothing_about_after() {
    let mut health = up();
    let begun = health.check_begins().unwrap();
    health.set(Admin::Maint);
    health.checked(begun, PASS);
    assert_eq!(read(&health), is(0, 1, 0, "MAINT"));
    health.set(Admin::Ready);
    health.checked(begun, PASS);
    assert_eq!(read(&health), is(2, 0, 2, "UP 1/2"));
}

#[test]
fn a_cookie_pierces_drain_and_not_maint() {
    let mut health = up();
    health.set(Admin::Drain);
    assert!(!health.takes_new() && health.takes_persistent());
    health.set(Admin::Maint);
    assert!(!health.takes_new() && !health.takes_persistent());
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Set(Admin),
    Force(Op),
    Check(Checked),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Set(Admin::Ready)),
        Just(Act::Set(Admin::Drain)),
        Just(Act::Set(Admin::Maint)),
        Just(Act::Force(Op::Up)),
        Just(Act::Force(Op::Down)),
        Just(Act::Check(PASS)),
        Just(Act::Check(FAIL)),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_points_and_op_agree(acts in prop::collection::vec(act(), 0..60)) {
        let mut health = Health::default();
        let mut failed_in_a_row = 0;
        for act in acts {
            match act {
                Act::Set(admin) => health.set(admin),
                Act::Force(op) => health.force(op),
                Act::Check(outcome) => check(&mut health, outcome),
            }
            failed_in_a_row = if matches!(act, Act::Check(FAIL)) { failed_in_a_row + 1 } else { 0 };
            prop_assert_eq!(health.op() == Op::Up, health.points() >= RISE);
            prop_assert!(health.points() <= FULL);
            prop_assert!(health.admin() != Admin::Maint || health.op() == Op::Down);
            prop_assert!(failed_in_a_row < 2 || health.op() == Op::Down);
        }
    }
}
