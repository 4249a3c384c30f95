use super::*;

fn isolation(list: &[&str]) -> Isolation {
    Isolation { allow: list.iter().map(|text| text.parse().unwrap()).collect() }
}

#[test]
fn the_script_denies_both_ways_and_knows_no_established_connection() {
    let script = isolation(&["10.77.0.30", "10.77.0.20:5432", "fe80::1"]).script();
    assert!(!script.contains("ct ") && !script.contains("established"), "{script}");
    assert_eq!(script.matches("policy drop;").count(), 3, "{script}");
    for rule in [
        "    ip saddr 10.77.0.30 accept\n",
        "    ip daddr 10.77.0.30 accept\n",
        "    ip saddr 10.77.0.20 tcp sport 5432 accept\n",
        "    ip daddr 10.77.0.20 tcp dport 5432 accept\n",
        "    ip6 daddr fe80::1 accept\n",
    ] {
        assert!(script.contains(rule), "{rule} in {script}");
    }
}

#[test]
fn what_is_let_through_is_what_was_listed() {
    let isolation = isolation(&["10.77.0.30", "10.77.0.20:5432"]);
    for (target, through) in [
        ("10.77.0.30:1", true),
        ("10.77.0.20:5432", true),
        ("10.77.0.20:5433", false),
        ("10.77.0.11:7440", false),
        ("127.0.0.1:80", true),
    ] {
        assert_eq!(isolation.lets_through(&target.parse().unwrap()), through, "{target}");
    }
    assert!("10.77.0.300".parse::<Allowed>().is_err() && "db1:5432".parse::<Allowed>().is_err());
}

#[test]
fn an_answer_of_nft_reads_as_expected_and_a_hole_shows() {
    let json = include_str!("nft.json");
    let whole = isolation(&["10.77.0.30", "10.77.0.20:5432", "fe80::1"]);
    let read = shown(json).unwrap();
    assert_eq!(read.lines, whole.expected());
    assert_eq!(read.refused, 3);
    for (was, hole) in [
        ("\"policy\": \"drop\"", "\"policy\": \"accept\""),
        ("10.77.0.30", "10.77.0.31"),
        ("\"op\": \"==\", \"left\": {\"payload\"", "\"op\": \"!=\", \"left\": {\"payload\""),
        ("\"hook\": \"output\"", "\"hook\": \"postrouting\""),
    ] {
        let changed = json.replacen(was, hole, 1);
        assert_ne!(changed, json, "{was}");
        assert_ne!(shown(&changed).unwrap().lines, whole.expected(), "{hole}");
    }
}
