use super::*;
use lockkeeper_core::fault::FaultCode;

fn read_text(text: &str) -> Result<Settings, Report> {
    from_file("agent.toml", text, Fragment::default()).map(|(settings, _)| settings)
}

#[test]
fn the_sample_reads_and_says_the_defaults() {
    let sample =
        read_text(include_str!("../../../deploy/sample/agent.toml")).unwrap_or_else(|r| panic!("{r}"));
    let least =
        read_text("name = \"n1\"\nadvertise = \"10.77.0.11:7440\"\n").unwrap_or_else(|r| panic!("{r}"));
    assert_eq!(sample, Settings { traces: Traces::Otlp("http://127.0.0.1:4317".into()), ..least.clone() });
    assert_eq!(least.data, PathBuf::from("/var/lib/lockkeeper"));
    assert_eq!(least.allowed.len(), ActionKind::ALL.len());
    assert_eq!(least.metrics, Metrics::On("127.0.0.1:7441".parse().unwrap()));
}

#[test]
fn every_fault_is_found_at_once_with_its_place() {
    let text = r#"name = "N 1"
listen = "everywhere"
advertise = "0.0.0.0:7440"
data = "var/lib"
lisen = "0.0.0.0:7440"
[socket]
path = 5
[metrics]
listen = "10.0.0.1:7441"
[traces]
otlp = "http://ann:hunter2@collector:4317"
[log]
format = "xml"
[policy]
actions = ["darin"]
"#;
    let report = read_text(text).unwrap_err();
    let found: Vec<(FaultCode, usize, usize)> = report
        .faults
        .iter()
        .map(|f| (f.code, f.at.as_ref().unwrap().line, f.at.as_ref().unwrap().column))
        .collect();
    let expected = [
        (FaultCode::BadName, 1, 8),
        (FaultCode::BadAddress, 2, 10),
        (FaultCode::BadAddress, 3, 13),
        (FaultCode::BadText, 4, 8),
        (FaultCode::UnknownKey, 5, 1),
        (FaultCode::WrongType, 7, 8),
        (FaultCode::BadAddress, 9, 10),
        (FaultCode::BadAddress, 11, 8),
        (FaultCode::BadWord, 13, 10),
        (FaultCode::BadWord, 15, 12),
    ];
    let placed: Vec<_> =
        found.iter().filter(|(code, _, _)| *code != FaultCode::MissingKey).copied().collect();
    assert_eq!(placed, expected, "{report}");
    let shown = report.text();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.contains("did you mean \"listen\"?") && shown.contains("did you mean \"drain\"?"),
        "{shown}"
    );
}

#[test]
fn a_node_that_listens_everywhere_must_say_where_it_is() {
    let report = read_text("name = \"n1\"").unwrap_err();
    assert!(report.has(FaultCode::MissingKey), "{report}");
    let one = read_text("name = \"n1\"\nlisten = \"10.0.0.1:7440\"").unwrap_or_else(|r| panic!("{r}"));
    assert_eq!(one.advertise, "10.0.0.1:7440");
}

#[test]
fn metrics_and_peers_do_not_share_a_port() {
    let text = "name = \"n1\"\nadvertise = \"n1.example:7441\"\nlisten = \"0.0.0.0:7441\"\n";
    assert!(read_text(text).unwrap_err().has(FaultCode::DuplicateAddress));
    let off = read_text(&format!("{text}[metrics]\nlisten = \"\"\n")).unwrap_or_else(|r| panic!("{r}"));
    assert_eq!(off.metrics, Metrics::Off);
}

#[test]
fn the_command_line_goes_first() {
    let over =
        Fragment { data: Some("/tmp/d".into()), socket_group: Some(String::new()), ..Fragment::default() };
    let text = "name = \"n1\"\nlisten = \"10.0.0.1:7440\"\ndata = \"/var/lib/x\"";
    let (settings, _) = from_file("agent.toml", text, over).unwrap_or_else(|r| panic!("{r}"));
    assert_eq!(settings.data, PathBuf::from("/tmp/d"));
    assert_eq!(settings.socket.group, SocketGroup::RootOnly);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        let _ = read_text(&text);
    }
}
