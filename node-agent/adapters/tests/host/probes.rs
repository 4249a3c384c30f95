//! Probes against real sockets and files, and proofs that must hold.

use super::{
    support::{carry_out, command, host, proven, script, work},
    web::{Page, Web},
};
use lockkeeper_adapters::{
    probe::{self, Sight, Surroundings},
    template::Values,
};
use lockkeeper_agent::host::{Host, Postcheck, Work};
use lockkeeper_core::{
    plan::{
        Action,
        action::{Probe, Prove},
    },
    time::Millis,
};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    time::{Duration, Instant},
};

async fn look(probe: &Probe) -> Sight {
    let (values, databases, marks) = (Values::default(), BTreeMap::new(), BTreeMap::new());
    probe::look(probe, &Surroundings { values: &values, databases: &databases, marks: &marks }).await
}

fn http(web: &Web) -> Probe {
    Probe::Http {
        url: format!("http://{}/status", web.address),
        status: 200,
        contains: String::new(),
        headers: BTreeMap::new(),
        json: BTreeMap::new(),
        timeout: Millis(500),
    }
}

fn prove(probes: Vec<Probe>, settle: u64) -> Work {
    work(Action::Prove(Prove {
        member: super::support::member(),
        probes,
        settle: Millis(settle),
        interval: Millis(50),
    }))
}

fn missed(sight: Sight) -> String {
    match sight {
        Sight::Missed(why) => why,
        other @ (Sight::Passed(_) | Sight::Invalid(_)) => panic!("not missed: {other:?}"),
    }
}

#[tokio::test]
async fn an_http_probe_asks_for_everything_it_names() {
    let body = r#"{"version": "2.0", "nodes": [{"up": true}, {"up": 3}]}"#;
    let page = Page { headers: "x-node: n1\r\n".into(), ..Page::ok(body) };
    let web = Web::start(page.clone()).await;
    let full = |status: u16, contains: &str, header: &str, pointer: &str, value: &str| Probe::Http {
        url: format!("http://{}/status", web.address),
        status,
        contains: contains.into(),
        headers: BTreeMap::from([("X-Node".into(), header.into())]),
        json: BTreeMap::from([(pointer.into(), value.into())]),
        timeout: Millis(500),
    };
    let good = look(&full(200, "version", "n1", "/version", "2.0")).await;
    assert!(
        matches!(good, Sight::Passed(ref seen) if seen.contains("status 200") && seen.contains("/version = 2.0")),
        "{good:?}"
    );
    assert!(matches!(look(&full(200, "", "n1", "/nodes/1/up", "3")).await, Sight::Passed(_)));
    for (bad, found) in [
        (full(204, "", "n1", "/version", "2.0"), "expected status 204, found 200"),
        (full(200, "ready", "n1", "/version", "2.0"), "expected \"ready\" in the body"),
        (full(200, "", "n2", "/version", "2.0"), "found Some(\"n1\")"),
        (full(200, "", "n1", "/version", "1.0"), "expected \"1.0\", found Some(\"2.0\")"),
        (full(200, "", "n1", "/nodes/2/up", "true"), "found None"),
    ] {
        let why = missed(look(&bad).await);
        assert!(why.contains(found), "{why}");
    }
    // A redirect is an answer, not a way.
    web.set(Page { status: 302, headers: "location: /elsewhere\r\n".into(), ..page });
    assert!(missed(look(&http(&web)).await).contains("found 302"));
}

#[tokio::test]
async fn silence_is_never_success() {
    let web = Web::start(Page { delay: Duration::from_secs(60), ..Page::ok("late") }).await;
    assert!(missed(look(&http(&web)).await).contains("no answer within 500 ms"));
    let address = web.address;
    web.stop().await;
    let gone = Probe::Tcp { address: address.to_string(), timeout: Millis(500) };
    assert!(missed(look(&gone).await).contains("refused"));
    // Without any probe nothing is proven, and neither by a log that is not there.
    let host = host(tempfile::tempdir().unwrap().path());
    let empty = prove(Vec::new(), 0);
    host.perform(&empty, &|_| {}).await.unwrap();
    assert!(matches!(host.postcheck(&empty).await, Postcheck::NotYet(_)));
}

#[tokio::test]
async fn a_probe_that_can_never_pass_is_refuted_at_once() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    for url in ["https://127.0.0.1/", "nonsense", "http:///x"] {
        let probe = Probe::Http {
            url: url.into(),
            status: 200,
            contains: String::new(),
            headers: BTreeMap::new(),
            json: BTreeMap::new(),
            timeout: Millis(100),
        };
        let failure = proven(&host, &prove(vec![probe], 0)).await.unwrap_err();
        assert_eq!(failure.code, "LK5352", "{url}");
    }
}

#[tokio::test]
async fn a_command_probe_needs_its_end_and_its_words() {
    let probe =
        |text: &str, contains: &str| Probe::Command { command: script(text), contains: contains.into() };
    assert!(matches!(look(&probe("echo all fine", "fine")).await, Sight::Passed(_)));
    assert!(missed(look(&probe("echo all fine; exit 1", "fine")).await).contains("status 1"));
    assert!(missed(look(&probe("echo so so", "fine")).await).contains("so so"));
    let hangs = Probe::Command {
        command: lockkeeper_core::plan::action::CommandSpec {
            timeout: Millis(200),
            ..command(&["sleep", "300"])
        },
        contains: String::new(),
    };
    assert!(missed(look(&hangs).await).contains("limit"));
}

#[tokio::test]
async fn a_proof_holds_for_its_time_and_lists_what_it_saw() {
    let root = tempfile::tempdir().unwrap();
    let (host, web) = (host(root.path()), Web::start(Page::ok("fine")).await);
    let address = Probe::Tcp { address: web.address.to_string(), timeout: Millis(500) };
    let begin = Instant::now();
    let done = carry_out(&host, &prove(vec![http(&web), address], 400)).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(400));
    assert!(web.count() >= 3, "{} requests in 400 ms", web.count());
    assert!(done.evidence.contains("status 200") && done.evidence.contains("accepted"), "{done:?}");
}

#[tokio::test]
async fn a_break_starts_the_time_anew() {
    let root = tempfile::tempdir().unwrap();
    let (host, web) = (host(root.path()), Web::start(Page::ok("fine")).await);
    let work = prove(vec![http(&web)], 1500);
    host.perform(&work, &|_| {}).await.unwrap();
    // Good for the first slice of looking.
    assert!(matches!(host.postcheck(&work).await, Postcheck::NotYet(why) if why.contains("good for")));
    web.set(Page { status: 503, ..Page::ok("broken") });
    let Postcheck::NotYet(why) = host.postcheck(&work).await else { panic!("it broke") };
    assert!(why.contains("found 503"), "{why}");
    web.set(Page::ok("fine"));
    let again = Instant::now();
    let done = proven(&host, &work).await.unwrap();
    assert!(again.elapsed() >= Duration::from_millis(1500), "the time before the break does not count");
    assert!(done.evidence.contains("broken 1 times"), "{done:?}");
}

#[tokio::test]
async fn the_log_counts_from_the_attempt_and_survives_a_new_life() {
    let root = tempfile::tempdir().unwrap();
    let log = root.path().join("app.log");
    let append = |text: &str| {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    append("Server startup in 9 s\n");
    let probe = Probe::Log {
        file: log.display().to_string(),
        must: vec!["Server startup in \\d+".into()],
        must_not: vec!["SchemaBootstrap.*failed".into()],
    };
    let work = prove(vec![probe], 0);
    host(root.path()).perform(&work, &|_| {}).await.unwrap();
    assert!(matches!(host(root.path()).postcheck(&work).await, Postcheck::NotYet(_)), "last week's start");
    append("Server startup in 5 s\n");
    // Another life of the agent performs the same attempt again; the first mark stands.
    host(root.path()).perform(&work, &|_| {}).await.unwrap();
    proven(&host(root.path()), &work).await.unwrap();
    append("SchemaBootstrap has failed\n");
    assert!(matches!(host(root.path()).postcheck(&work).await, Postcheck::NotYet(_)));
}
