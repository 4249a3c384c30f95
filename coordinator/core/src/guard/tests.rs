//! The table in print, the laws behind it in other words, and what its inputs are made from.

use super::*;
use std::fmt::Write as _;

const IDENTITIES: [Identity; 4] =
    [Identity::None, Identity::InOrder, Identity::Isolated, Identity::Suspicious];
const STANDINGS: [Standing; 5] =
    [Standing::Idle, Standing::Untouched, Standing::Stopped, Standing::Starting, Standing::Started];
const KNOWN: [Knowledge; 4] = [Knowledge::Committed, Knowledge::Young, Knowledge::Old, Knowledge::Nothing];
const DATABASES: [Databases; 6] = [
    Databases::Unread,
    Databases::Busy,
    Databases::Unfit,
    Databases::Unlike,
    Databases::Fit,
    Databases::NeverSeen,
];

/// Every combination there is.
fn all() -> Vec<Seen> {
    let mut all = Vec::new();
    for identity in IDENTITIES {
        for opened in [false, true] {
            for standing in STANDINGS {
                for knowledge in KNOWN {
                    all.extend(DATABASES.map(|databases| Seen {
                        identity,
                        standing,
                        knowledge,
                        databases,
                        opened,
                    }));
                }
            }
        }
    }
    all
}

/// The whole table, so that a changed row shows in review. Rows that are the same whatever else is seen are one.
#[test]
fn the_table_prints_itself() {
    let mut text = String::new();
    let verdicts = |of: &dyn Fn(&Seen) -> bool| -> BTreeSet<Verdict> {
        all().into_iter().filter(|seen| of(seen)).map(guard).collect()
    };
    for identity in [Identity::None, Identity::Isolated, Identity::Suspicious] {
        let verdicts = verdicts(&|seen| seen.identity == identity);
        writeln!(text, "identity {identity:?}, whatever else: {verdicts:?}").unwrap();
    }
    let opened = verdicts(&|seen| seen.identity == Identity::InOrder && seen.opened);
    writeln!(text, "guard opened, whatever else: {opened:?}\n").unwrap();
    write!(text, "{:<24}", "standing, knowledge").unwrap();
    for databases in DATABASES {
        write!(text, "{:<20}", format!("{databases:?}")).unwrap();
    }
    for standing in STANDINGS {
        for knowledge in KNOWN {
            write!(text, "\n{:<24}", format!("{standing:?}, {knowledge:?}")).unwrap();
            for databases in DATABASES {
                let seen =
                    Seen { identity: Identity::InOrder, standing, knowledge, databases, opened: false };
                write!(text, "{:<20}", format!("{:?}", guard(seen))).unwrap();
            }
        }
    }
    let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!("guard", text);
}

/// The design's five rows said once more, as laws that share no code with the table.
#[test]
fn what_must_never_start_never_does_and_what_is_healthy_does() {
    for seen in all() {
        let starts = guard(seen).starts();
        if seen.identity == Identity::Suspicious {
            assert!(!starts, "(1) a clone, opened or not: {seen:?}");
        }
        if seen.identity == Identity::None {
            assert!(starts, "a purged package leaves it startable: {seen:?}");
        }
        if seen.identity != Identity::InOrder {
            continue;
        }
        if seen.opened {
            assert!(starts, "a person's word: {seen:?}");
            continue;
        }
        if seen.standing == Standing::Stopped {
            assert!(!starts, "(2) stopped by a rollout: {seen:?}");
        }
        let asked = seen.standing == Standing::Starting && seen.knowledge == Knowledge::Committed;
        if asked {
            assert!(starts, "(3) the group starts it: {seen:?}");
        }
        if seen.databases == Databases::Unfit && !asked {
            assert!(!starts, "version fit is checked on every start: {seen:?}");
        }
        let ungoverned = seen.knowledge != Knowledge::Committed;
        if ungoverned && matches!(seen.databases, Databases::Busy | Databases::Unfit | Databases::Unlike) {
            assert!(!starts, "(4) a database speaks against it: {seen:?}");
        }
        let silent = matches!(seen.databases, Databases::Unread | Databases::NeverSeen);
        if ungoverned && silent {
            let trusted = seen.standing == Standing::Idle && seen.knowledge == Knowledge::Young;
            assert_eq!(starts, trusted, "(5) only a young idle word: {seen:?}");
        }
        if seen.standing == Standing::Idle && seen.databases == Databases::Fit {
            assert!(starts, "no quorum and no agent must not stop a healthy one: {seen:?}");
        }
    }
}

/// Knowing less never lets start what knowing more of the same kind refused, but for a person's word and a database
/// that cannot be asked.
#[test]
fn older_knowledge_is_never_bolder() {
    for seen in all() {
        let Some(at) = KNOWN.iter().position(|k| *k == seen.knowledge) else { continue };
        for knowledge in KNOWN.into_iter().skip(at) {
            let less = guard(Seen { knowledge, ..seen });
            assert!(guard(seen).starts() || !less.starts(), "{seen:?} with {knowledge:?}: {less:?}");
        }
    }
}

#[test]
fn codes_and_reasons_are_one_to_one() {
    let codes: BTreeSet<&str> = Reason::ALL.iter().map(|r| r.code()).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
    let given: BTreeSet<Reason> = all().into_iter().map(|seen| guard(seen).reason()).collect();
    assert_eq!(given, Reason::ALL.into(), "a reason that is never given, or one that is not listed");
}

#[test]
fn a_plans_word_on_a_schema_counts_before_what_was_seen() {
    let main = DatabaseName::new("main").unwrap();
    let pairs =
        Pairs::from([("1.0".to_owned(), BTreeMap::from([(main.clone(), BTreeSet::from(["1".to_owned()]))]))]);
    let seen = |version: &str, schema: &str| {
        Learnt::from([(version.to_owned(), BTreeMap::from([(main.clone(), schema.to_owned())]))])
    };
    let read = |schema: &str| BTreeMap::from([(main.clone(), schema.to_owned())]);
    let fit = |learnt: &Learnt, version, schema| super::fit(&pairs, learnt, version, &read(schema));
    assert_eq!(fit(&Learnt::new(), "1.0", "1"), Databases::Fit);
    assert_eq!(fit(&seen("1.0", "2"), "1.0", "1"), Databases::Fit);
    assert_eq!(fit(&seen("1.0", "2"), "1.0", "2"), Databases::Unfit);
    assert_eq!(fit(&Learnt::new(), "2.0", "2"), Databases::NeverSeen);
    assert_eq!(fit(&seen("2.0", "2"), "2.0", "2"), Databases::Fit);
    assert_eq!(fit(&seen("2.0", "1"), "2.0", "2"), Databases::Unlike);
    assert_eq!(super::fit(&pairs, &Learnt::new(), "1.0", &BTreeMap::new()), Databases::NeverSeen);
    // One database that is known does not answer for another one.
    let two =
        BTreeMap::from([(main.clone(), "1".to_owned()), (DatabaseName::new("b").unwrap(), "9".to_owned())]);
    assert_eq!(super::fit(&pairs, &Learnt::new(), "1.0", &two), Databases::NeverSeen);
}

#[test]
fn an_opening_ends_by_itself() {
    let once = Opening {
        by: "uid:0".into(),
        reason: "fire".into(),
        opened: 100,
        until: 200,
        once: true,
        uses: 0,
        last_use: None,
    };
    assert!(once.counts(100) && once.counts(199));
    assert!(!once.counts(99) && !once.counts(200));
    assert!(!once.clone().used(150).counts(151), "the second start");
    let timed = Opening { once: false, ..once };
    assert!(timed.clone().used(150).counts(151));
    assert!(!timed.used(150).counts(200));
}

#[test]
fn a_word_is_young_for_a_day_and_never_from_the_future() {
    let day = GUARD_TRUST.0;
    assert_eq!(age(day, 0), Knowledge::Young);
    assert_eq!(age(day + 1, 0), Knowledge::Old);
    assert_eq!(age(0, day), Knowledge::Young);
    assert_eq!(age(0, day + 1), Knowledge::Old);
}
