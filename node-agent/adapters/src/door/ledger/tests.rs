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
        ..LedgerRows::default()
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
            ..LedgerRows::default()
        };
        assert_eq!(code(rows.may_admit(&group("a"), token(1, 12))), DatabaseCode::GrantStillOpen);
        assert_eq!(code(rows.may_open(&group("a"), token(1, 12))), DatabaseCode::GrantStillOpen);
    }
    let rows = LedgerRows {
        grants: vec![grant("a", token(1, 9), GrantState::Closed)],
        doors: vec![door("a", token(1, 5), DoorState::Shut)],
        ..LedgerRows::default()
    };
    assert_eq!(rows.may_admit(&group("a"), token(1, 12)), Ok(Standing::New));
    assert_eq!(code(rows.may_admit(&group("a"), token(1, 9))), DatabaseCode::GrantClosed);
}

#[test]
fn a_grant_is_closed_by_its_own_token_also_after_the_door_was_shut_again() {
    let rows = LedgerRows {
        grants: vec![grant("a", token(1, 9), GrantState::Open)],
        doors: vec![door("a", token(1, 11), DoorState::Shut)],
        ..LedgerRows::default()
    };
    assert_eq!(rows.may_close(&group("a"), token(1, 9)), Ok(Standing::New));
    let rows = LedgerRows {
        grants: vec![grant("a", token(1, 9), GrantState::Closed)],
        doors: vec![door("a", token(1, 11), DoorState::Shut)],
        ..LedgerRows::default()
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
        ..LedgerRows::default()
    };
    assert_eq!(rows.may_shut(&group("a"), token(1, 1)), Ok(Standing::New));
}

fn mark(generation: u64, index: u64, nonce: u64) -> Mark {
    Mark { token: token(generation, index), nonce }
}

fn main_database() -> DatabaseName {
    DatabaseName::new("main").unwrap()
}

fn made(marks: &[Mark]) -> Marks {
    let mut made = Marks::default();
    for mark in marks {
        made.add([&main_database()], *mark);
    }
    made
}

fn act(last: Option<Mark>, marks: &[Mark]) -> Answer<Option<Mark>> {
    let rows = LedgerRows {
        marks: last.map(|last| (group("a"), last)).into_iter().collect(),
        ..LedgerRows::default()
    };
    rows.may_act(&group("a"), &main_database(), &made(marks), token(1, 5))
}

#[test]
fn a_group_goes_on_from_its_own_last_effect() {
    let (old, new) = (mark(1, 10, 7), mark(1, 12, 8));
    assert_eq!(act(None, &[old, new]), Ok(Some(new)), "a ledger that knows nothing is a new one");
    assert_eq!(act(Some(old), &[old, new]), Ok(Some(new)), "an earlier one of its own is raised");
    assert_eq!(act(Some(new), &[old, new]), Ok(None), "the same again is the same act");
    assert_eq!(act(Some(new), &[new, mark(1, 9, 3)]), Ok(None), "and nothing ever takes it back");
}

#[test]
fn an_effect_that_the_log_never_handed_out_is_a_twins() {
    // A copy hands out the same step at the same index, but never with the same nonce.
    for last in [mark(1, 12, 9), mark(1, 11, 7), mark(1, 900, 1), mark(2, 1, 7)] {
        let refusal = act(Some(last), &[mark(1, 10, 7), mark(1, 12, 8)]).unwrap_err();
        assert_eq!(refusal.code, DatabaseCode::TwinGroup, "{refusal}");
        assert!(refusal.text.contains(&last.to_string()) && refusal.text.contains("group a"), "{refusal}");
        assert_eq!(code(act(Some(last), &[])), DatabaseCode::TwinGroup, "a log without effects, too");
    }
}

#[test]
fn a_later_generation_is_a_persons_word_that_the_earlier_one_is_off() {
    let last = mark(1, 900, 1);
    assert_eq!(act(Some(last), &[mark(2, 12, 8)]), Ok(Some(mark(2, 12, 8))));
}

#[test]
fn another_groups_mark_is_its_own_business() {
    let rows = LedgerRows { marks: vec![(group("other"), mark(9, 9, 9))], ..LedgerRows::default() };
    let mine = mark(1, 10, 7);
    assert_eq!(rows.may_act(&group("a"), &main_database(), &made(&[mine]), token(1, 5)), Ok(Some(mine)));
}

#[test]
fn a_database_that_is_called_otherwise_today_knows_the_group_still() {
    let (old, new) = (mark(1, 10, 7), mark(1, 12, 8));
    let renamed = DatabaseName::new("crm").unwrap();
    let mut marks = made(&[old]);
    marks.add([&renamed], new);
    let rows = LedgerRows { marks: vec![(group("a"), old)], ..LedgerRows::default() };
    assert_eq!(rows.may_act(&group("a"), &renamed, &marks, token(1, 5)), Ok(Some(new)));
}

#[test]
fn the_core_knows_the_code_of_the_refusal() {
    assert_eq!(DatabaseCode::TwinGroup.as_str(), lockkeeper_core::rollout::marks::TWIN_GROUP);
}

#[test]
fn a_nonce_is_read_as_it_was_written() {
    for nonce in [0, 1, u64::MAX, 0x8000_0000_0000_0000] {
        assert_eq!(parse_nonce(&nonce_word(nonce)), Ok(nonce));
    }
    assert_eq!(code(parse_nonce("-1")), DatabaseCode::Ledger);
}
