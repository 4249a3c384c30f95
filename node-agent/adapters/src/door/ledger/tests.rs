use super::*;
use lockkeeper_core::ids::{Generation, LogIndex};

fn token(generation: u64, index: u64) -> Token {
    Token { generation: Generation(generation), index: LogIndex(index) }
}

fn group(name: &str) -> ClusterId {
    ClusterId(name.to_owned())
}

fn grant(name: &str, at: Token, state: GrantState) -> GrantRow {
    GrantRow {
        group: group(name),
        token: at,
        rollout: RolloutId(7),
        member: "n2".into(),
        state,
        timeline: 1,
        file: String::new(),
    }
}

fn door(name: &str, at: Token, state: DoorState) -> DoorRow {
    DoorRow { group: group(name), token: at, state, captured: String::new(), live: String::new() }
}

fn code<T: std::fmt::Debug>(answer: Answer<T>) -> DatabaseCode {
    answer.expect_err("a refusal was expected").code
}

#[test]
fn an_empty_ledger_lets_shut_close_and_open_but_not_admit() {
    let rows = LedgerRows::default();
    assert_eq!(rows.may_shut(&group("a"), token(1, 5)), Ok(Standing::New));
    assert_eq!(rows.may_close(&group("a"), token(1, 5)), Ok(Standing::New));
    assert_eq!(rows.may_open(&group("a"), token(1, 5)), Ok(Standing::New));
    assert_eq!(code(rows.may_admit(&group("a"), token(1, 5))), DatabaseCode::DoorNotShut);
}

#[test]
fn tokens_are_compared_by_generation_first() {
    let rows = LedgerRows { doors: vec![door("a", token(2, 3), DoorState::Shut)], ..LedgerRows::default() };
    assert_eq!(code(rows.may_shut(&group("a"), token(1, 900))), DatabaseCode::StaleToken);
    assert_eq!(code(rows.may_admit(&group("a"), token(1, 900))), DatabaseCode::StaleToken);
    assert_eq!(code(rows.may_close(&group("a"), token(1, 900))), DatabaseCode::StaleToken);
    assert_eq!(code(rows.may_open(&group("a"), token(1, 900))), DatabaseCode::StaleToken);
    assert_eq!(rows.may_admit(&group("a"), token(2, 4)), Ok(Standing::New));
}

#[test]
fn the_same_token_again_is_the_same_act() {
    let rows = LedgerRows {
        grants: vec![grant("a", token(1, 9), GrantState::Open)],
        doors: vec![door("a", token(1, 5), DoorState::Shut)],
    };
    assert_eq!(rows.may_admit(&group("a"), token(1, 9)), Ok(Standing::Again));
    let rows = LedgerRows { doors: vec![door("a", token(1, 5), DoorState::Shut)], ..LedgerRows::default() };
    assert_eq!(rows.may_shut(&group("a"), token(1, 5)), Ok(Standing::Again));
    let rows = LedgerRows { doors: vec![door("a", token(1, 5), DoorState::Open)], ..LedgerRows::default() };
    assert_eq!(rows.may_open(&group("a"), token(1, 5)), Ok(Standing::Again));
}

#[test]
fn a_further_grant_waits_for_the_earlier_one() {
    for state in [GrantState::Opening, GrantState::Open, GrantState::Closing] {
        let rows = LedgerRows {
            grants: vec![grant("a", token(1, 9), state)],
            doors: vec![door("a", token(1, 5), DoorState::Shut)],
        };
        assert_eq!(code(rows.may_admit(&group("a"), token(1, 12))), DatabaseCode::GrantStillOpen);
        assert_eq!(code(rows.may_open(&group("a"), token(1, 12))), DatabaseCode::GrantStillOpen);
    }
    let rows = LedgerRows {
        grants: vec![grant("a", token(1, 9), GrantState::Closed)],
        doors: vec![door("a", token(1, 5), DoorState::Shut)],
    };
    assert_eq!(rows.may_admit(&group("a"), token(1, 12)), Ok(Standing::New));
    assert_eq!(code(rows.may_admit(&group("a"), token(1, 9))), DatabaseCode::GrantClosed);
}

#[test]
fn a_grant_is_closed_by_its_own_token_also_after_the_door_was_shut_again() {
    let rows = LedgerRows {
        grants: vec![grant("a", token(1, 9), GrantState::Open)],
        doors: vec![door("a", token(1, 11), DoorState::Shut)],
    };
    assert_eq!(rows.may_close(&group("a"), token(1, 9)), Ok(Standing::New));
    let rows = LedgerRows {
        grants: vec![grant("a", token(1, 9), GrantState::Closed)],
        doors: vec![door("a", token(1, 11), DoorState::Shut)],
    };
    assert_eq!(code(rows.may_close(&group("a"), token(1, 9))), DatabaseCode::StaleToken);
}

#[test]
fn another_group_is_named_and_blocks_everything_that_matters() {
    for rows in [
        LedgerRows { grants: vec![grant("other", token(9, 9), GrantState::Open)], ..LedgerRows::default() },
        LedgerRows { doors: vec![door("other", token(9, 9), DoorState::Shut)], ..LedgerRows::default() },
    ] {
        for answer in [
            rows.may_shut(&group("a"), token(1, 1)),
            rows.may_admit(&group("a"), token(1, 1)),
            rows.may_open(&group("a"), token(1, 1)),
        ] {
            let refusal = answer.expect_err("another group is here");
            assert_eq!(refusal.code, DatabaseCode::ForeignGroup);
            assert!(refusal.text.contains("group other"), "{refusal}");
        }
    }
}

#[test]
fn another_group_that_is_done_does_not_block() {
    let rows = LedgerRows {
        grants: vec![grant("other", token(9, 9), GrantState::Closed)],
        doors: vec![door("other", token(9, 9), DoorState::Open)],
    };
    assert_eq!(rows.may_shut(&group("a"), token(1, 1)), Ok(Standing::New));
}
