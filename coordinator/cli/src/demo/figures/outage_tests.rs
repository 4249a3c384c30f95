use super::*;
use crate::demo::client::Kind;

fn change(at: u64, server: &str, takes_new: bool) -> Change {
    Change { at, server: server.parse().unwrap(), takes_new }
}

fn request(sent_at: u64, done_at: u64, status: u16) -> Record {
    Record {
        n: 0,
        scheduled_at: sent_at,
        sent_at,
        done_at,
        sent_us: 0,
        done_us: 0,
        kind: Kind::Fresh,
        method: "GET".to_owned(),
        path: "/".to_owned(),
        status: Some(status),
        error: None,
        member: None,
        version: None,
        balancer: None,
        id: None,
        title: None,
    }
}

fn two_servers() -> Vec<Change> {
    vec![
        change(0, "n1", true),
        change(0, "n2", true),
        change(100, "n1", false),
        change(200, "n2", false),
        change(300, "n2", true),
        change(350, "n1", true),
    ]
}

#[test]
fn an_outage_is_when_the_last_server_leaves_until_the_first_is_back() {
    assert_eq!(windows(&two_servers(), 50, 1_000), [Window { from: 200, to: 300 }]);
    assert_eq!(windows(&two_servers(), 250, 1_000), [Window { from: 250, to: 300 }]);
    assert_eq!(windows(&two_servers(), 301, 1_000), []);
    assert_eq!(windows(&two_servers()[..4], 50, 1_000), [Window { from: 200, to: 1_000 }]);
}

#[test]
fn a_failure_is_excused_only_by_an_outage_it_touches() {
    let window = [Window { from: 200, to: 300 }];
    for (sent, done, outside) in
        [(100, 199, 1), (100, 200, 0), (250, 260, 0), (300, 310, 0), (301, 310, 1), (100, 400, 0)]
    {
        let failed = request(sent, done, 503);
        assert_eq!(count(&[&failed], &window).failed_outside_outage, outside, "{sent}..{done}");
        assert_eq!(count(&[&failed], &[]).failed_outside_outage, 1);
    }
    let fine = request(100, 199, 200);
    assert_eq!(count(&[&fine], &window), Requests { total: 1, ok: 1, failed_outside_outage: 0 });
}

#[test]
fn the_length_is_the_client_s_and_successes_inside_do_not_shorten_it() {
    let requests =
        [request(180, 190, 200), request(205, 210, 200), request(290, 320, 200), request(330, 340, 200)];
    let records: Vec<&Record> = requests.iter().collect();
    assert_eq!(length_ms(&records, &[Window { from: 200, to: 300 }]), 320 - 190);
    assert_eq!(length_ms(&records, &[]), 0);
}

#[test]
fn two_windows_without_a_success_between_them_are_counted_once() {
    let requests = [request(180, 190, 200), request(330, 340, 200)];
    let records: Vec<&Record> = requests.iter().collect();
    let windows = [Window { from: 200, to: 250 }, Window { from: 260, to: 300 }];
    assert_eq!(length_ms(&records, &windows), 340 - 190);
}
