//! What only a terminal gets: the question before a rollout, the redrawn screen, drawn faults, colours. The terminal
//! is made by util-linux's `script`, which every Debian has.

use crate::{
    agent::applied,
    bed::{Bed, COMPLETED, HALTED, RUNNING, Ran, ended, plan_text, until},
};
use std::process::Stdio;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
};

/// The binary with these words on a terminal of its own; what it writes to either stream comes out of stdout.
fn on_terminal(bed: &Bed, words: &str, no_color: bool) -> Child {
    let line = format!("{} --socket agent.sock {words}", env!("CARGO_BIN_EXE_lockkeeper"));
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(bed.home.path())
        .env_clear()
        .envs([("HOME", bed.home.path().as_os_str()), ("TZ", "UTC".as_ref()), ("TERM", "xterm".as_ref())])
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if no_color {
        command.env("NO_COLOR", "1");
    }
    command.spawn().unwrap()
}

/// Answers a question once it was asked.
async fn answered(bed: &Bed, words: &str, question: &str, answer: &str) -> Ran {
    let mut child = on_terminal(bed, words, true);
    let mut out = child.stdout.take().unwrap();
    let asked = until(&mut out, question).await;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(answer.as_bytes()).await.unwrap();
    let rest = crate::bed::rest(&mut out).await;
    let ran = ended(child).await;
    Ran { out: asked + &rest, ..ran }
}

#[tokio::test]
async fn a_rollout_starts_only_after_a_clear_yes() {
    let bed = Bed::new();
    let agent = bed.agent(RUNNING);
    agent.set(|s| s.reply = applied(4650, Some(4650)));
    bed.write("night.plan", &plan_text("26.5.0"));
    for answer in ["\n", "n\n", "maybe\n"] {
        let ran = answered(&bed, "apply night.plan", "[y/N]", answer).await.ends(1);
        assert!(ran.out.contains("library from 20.6.1 to 26.5.0 on n1, n2, n3"), "{}", ran.out);
        assert!(ran.out.contains("point of no return") && ran.out.contains("error[LK7012]"), "{}", ran.out);
    }
    assert_eq!(agent.asked(), Vec::<String>::new());
    let ran = answered(&bed, "apply night.plan", "[y/N]", "y\n").await.ends(0);
    assert!(ran.out.contains("rollout 4650 accepted"), "{}", ran.out);
    assert_eq!(agent.asked().len(), 1);
}

#[tokio::test]
async fn watching_redraws_and_leaves_the_end_behind() {
    let bed = Bed::new();
    let agent = bed.agent(RUNNING);
    let mut child = on_terminal(&bed, "status --watch", true);
    let mut out = child.stdout.take().unwrap();
    let drawn = until(&mut out, "upgrade-database main").await;
    assert!(drawn.contains("[##########----------] 11 of 22 steps"), "{drawn}");
    agent.status.send_replace(COMPLETED.to_owned());
    let last = until(&mut out, "owed 0 of 5 changed settings\r\n").await;
    // The cursor went up to draw over what was there.
    assert!((drawn + &last).contains("A\r\u{1b}[2K"), "{last}");
    ended(child).await.ends(0);
}

#[tokio::test]
async fn colours_and_drawings_are_for_terminals_and_no_color_is_respected() {
    let bed = Bed::new();
    let _agent = bed.agent(HALTED);
    let coloured = ended(on_terminal(&bed, "status", false)).await.ends(0);
    assert!(coloured.out.contains("\u{1b}[1;31mHALTED\u{1b}[0m"), "{}", coloured.out);
    let plain = ended(on_terminal(&bed, "status", true)).await.ends(0);
    assert!(plain.out.contains("HALTED") && !plain.out.contains('\u{1b}'), "{}", plain.out);
    bed.write("bad.toml", "cluster = \"UPPER\"\n");
    let drawn = ended(on_terminal(&bed, "cluster check bad.toml", true)).await.ends(1);
    assert!(drawn.out.contains("╭─[bad.toml:1:11]") && !drawn.out.contains('\u{1b}'), "{}", drawn.out);
}
