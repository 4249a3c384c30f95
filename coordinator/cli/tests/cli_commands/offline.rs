//! Commands that need no cluster.

use crate::bed::{Bed, SAMPLE};

#[tokio::test]
async fn a_cluster_file_with_ten_faults_tells_all_ten_at_once() {
    let bed = Bed::new();
    let text = SAMPLE
        .replacen("voters  = \"auto\"", "voterz  = \"auto\"", 1)
        .replacen("10.77.0.12:7440", "10.77.0.11:7440", 1)
        .replacen("[members.n3]\naddress", "[members.n3]\naddres", 1)
        .replacen("capacity_floor   = 2", "capacity_floor   = 9", 1)
        .replacen("lost_after       = \"10s\"", "lost_after       = \"soon\"", 1)
        .replacen("\"halt\"", "\"hope\"", 1)
        .replacen("four_eyes        = true", "four_eyes        = \"yes\"", 1)
        .replacen("file:/etc/lockkeeper/secrets/pg", "hunter2", 1)
        .replacen("executors = [\"db1\", \"n1\"]", "executors = [\"db1\", \"n9\"]", 1)
        .replacen("profile = \"generic\"", "profile = \"generc\"", 1);
    bed.write("cluster.toml", &text);
    let ran = bed.run_plain(&["cluster", "check", "cluster.toml", "--json"]).await.ends(1);
    let faults = ran.json()["faults"].as_array().unwrap().clone();
    let mut places: Vec<(u64, u64)> = faults
        .iter()
        .filter(|f| f["severity"] == "error")
        .map(|f| (f["at"]["line"].as_u64().unwrap_or(0), f["at"]["column"].as_u64().unwrap_or(0)))
        .filter(|(line, column)| *line > 0 && *column > 0)
        .collect();
    places.dedup();
    assert!(places.len() >= 10, "only {places:?}: {}", ran.out);
    let plain = bed.run_plain(&["cluster", "check", "cluster.toml"]).await.ends(1);
    assert!(plain.err.contains("nothing was changed") && plain.out.is_empty(), "{}", plain.err);
    for text in [&plain.err, &ran.out] {
        assert!(!text.contains("hunter2"), "the secret is repeated: {text}");
    }
}

#[tokio::test]
async fn the_sample_is_in_order_also_from_stdin() {
    let bed = Bed::new();
    bed.write("cluster.toml", SAMPLE);
    bed.run_plain(&["cluster", "check", "cluster.toml"]).await.ends(0);
    bed.run_with_input(&["cluster", "check", "-"], SAMPLE).await.ends(0);
    let missing = bed.run_plain(&["cluster", "check", "nowhere.toml"]).await.ends(1);
    assert!(missing.err.contains("error[LK7007] cannot read nowhere.toml"), "{}", missing.err);
    assert!(missing.err.contains("= cause:"), "{}", missing.err);
}

#[tokio::test]
async fn profiles_are_listed_shown_and_checked() {
    let bed = Bed::new();
    assert!(bed.run_plain(&["profile", "list"]).await.ends(0).out.contains("generic"));
    let json = bed.run_plain(&["profile", "list", "--json"]).await.ends(0).json();
    assert_eq!(json["profiles"][0]["name"], "generic");
    let shown = bed.run_plain(&["profile", "show", "generic"]).await.ends(0).out;
    bed.write("mine.toml", &shown);
    bed.run_plain(&["profile", "check", "mine.toml"]).await.ends(0);
    bed.write("bad.toml", &shown.replacen("do   = \"drain\"", "do   = \"drown\"", 1));
    let bad = bed.run_plain(&["profile", "check", "bad.toml"]).await.ends(1);
    assert!(bad.err.contains("drown") && bad.out.is_empty(), "{}", bad.err);
    let none = bed.run_plain(&["profile", "show", "nonesuch"]).await.ends(1);
    assert!(none.err.contains("LK1206") && none.err.contains("generic"), "{}", none.err);
}

#[tokio::test]
async fn codes_are_explained_from_the_binary() {
    let bed = Bed::new();
    let page = bed.run_plain(&["explain", "lk4012"]).await.ends(0);
    assert!(page.out.starts_with("# LK4012") && page.out.contains("**Remedy.**"), "{}", page.out);
    let list = bed.run_plain(&["explain", "--list"]).await.ends(0);
    assert!(list.out.lines().any(|line| line.starts_with("LK7001: ")), "{}", list.out);
    let unknown = bed.run_plain(&["explain", "LK9999"]).await.ends(1);
    assert!(unknown.err.contains("error[LK7013]"), "{}", unknown.err);
}

#[tokio::test]
async fn completions_and_manual_pages_come_for_every_shell_and_command() {
    let bed = Bed::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(bed.run_plain(&["completions", shell]).await.ends(0).out.contains("lockkeeper"), "{shell}");
    }
    assert!(bed.run_plain(&["man"]).await.ends(0).out.contains(".TH lockkeeper"));
    assert!(bed.run_plain(&["man", "owed", "accept"]).await.ends(0).out.contains("accept"));
    bed.run_plain(&["man", "nonsense"]).await.ends(64);
    std::fs::create_dir(bed.path("man")).unwrap();
    bed.run_plain(&["man", "-o", "man"]).await.ends(0);
    assert!(bed.path("man/lockkeeper-apply.1").exists() && bed.path("man/lockkeeper.1").exists());
    assert!(!bed.path("man/lockkeeper-step-runner.1").exists(), "a hidden command has a page");
}

#[tokio::test]
async fn wrong_usage_ends_with_64_and_help_with_0() {
    let bed = Bed::new();
    let wrong = bed.run_plain(&["plan"]).await.ends(64);
    assert!(wrong.out.is_empty() && wrong.err.contains("--to"), "{}", wrong.err);
    let help = bed.run_plain(&["apply", "--help"]).await.ends(0);
    assert!(help.err.is_empty() && help.out.contains("Exit codes:"), "{}", help.out);
    assert!(bed.run_plain(&["--version"]).await.ends(0).out.starts_with("lockkeeper "));
}

#[tokio::test]
async fn a_pipe_that_closes_early_is_no_error() {
    let bed = Bed::new();
    let mut child = bed.command(&["explain", "--list"]).spawn().unwrap();
    drop(child.stdout.take());
    let ran = crate::bed::ended(child).await.ends(0);
    assert_eq!(ran.err, "");
}

#[tokio::test]
async fn an_agent_without_settings_or_identity_says_so() {
    let bed = Bed::new();
    let missing = bed.run_plain(&["agent", "run", "--config", "agent.toml"]).await.ends(1);
    assert!(missing.err.contains("error[LK7101]"), "{}", missing.err);
    bed.run_plain(&["step-runner"]).await.ends(64);
}
