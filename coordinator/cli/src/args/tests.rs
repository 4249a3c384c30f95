//! The command line is complete, consistent, and its help is enough for an operator.

use super::Cli;
use clap::{Command, CommandFactory as _, Parser as _};

fn whole() -> Command {
    let mut top = Cli::command().term_width(100).disable_help_subcommand(true);
    top.build();
    top
}

/// Every visible command with its words, depth first.
fn commands(command: &Command, words: &str, all: &mut Vec<(String, Command)>) {
    all.push((words.to_owned(), command.clone()));
    for inner in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        commands(inner, &format!("{words} {}", inner.get_name()), all);
    }
}

fn all() -> Vec<(String, Command)> {
    let mut all = Vec::new();
    commands(&whole(), "lockkeeper", &mut all);
    all
}

#[test]
fn the_definitions_hold_together() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_of_the_design_exists() {
    let designed = [
        "agent run",
        "agent guard",
        "breakglass guard-open",
        "init",
        "join",
        "token create",
        "operator create",
        "operator list",
        "operator revoke",
        "member add-voter",
        "member remove",
        "ca rotate",
        "ca show",
        "ca finish",
        "cluster check",
        "cluster apply",
        "cluster show",
        "profile list",
        "profile show",
        "profile check",
        "check",
        "plan",
        "plan show",
        "plan diff",
        "approve",
        "apply",
        "status",
        "history",
        "explain",
        "pause",
        "resume",
        "abort",
        "retry",
        "owed",
        "owed accept",
        "locks",
        "doctor",
        "members",
        "isolate",
        "isolation prove",
        "isolation lift",
        "audit show",
        "audit verify",
        "record export",
        "replay",
        "plan simulate",
        "completions",
        "man",
        "demo",
        "takeover",
        "breakglass show",
        "recover",
    ];
    let present: Vec<String> = all().into_iter().map(|(words, _)| words).collect();
    for words in designed {
        assert!(present.contains(&format!("lockkeeper {words}")), "lockkeeper {words} is missing");
    }
}

#[test]
fn every_help_says_what_changes_what_ctrl_c_does_exit_codes_and_an_example() {
    for (words, command) in all() {
        let mut command = command;
        let does = !command.has_subcommands() || words.ends_with(" plan") || words.ends_with(" owed");
        let help = command.render_long_help().to_string();
        for part in ["Changes:", "Ctrl-C:", "Exit codes:", "Example"] {
            assert!(!does || help.contains(part), "{words} --help lacks {part:?}");
        }
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty(), "{words} has no description");
    }
}

#[test]
fn every_help_text() {
    for (words, command) in all() {
        let help = command.term_width(100).render_long_help().to_string();
        let name = words.replace(' ', "-");
        // What clap aligns with, and editors take away.
        let text: Vec<&str> = help.lines().map(str::trim_end).collect();
        insta::assert_snapshot!(name, text.join("\n"));
    }
}

#[test]
fn examples_in_the_help_are_accepted_as_they_stand() {
    let mut tried = 0;
    for (words, mut command) in all() {
        let help = command.render_long_help().to_string();
        let examples = help.split("Example:").nth(1).unwrap_or_default();
        for line in examples.lines().map(str::trim).filter(|l| l.starts_with("lockkeeper ")) {
            let line = line.split(" | ").next().unwrap_or_default().split(" > ").next().unwrap_or_default();
            for part in line.split(" && ").filter(|p| p.starts_with("lockkeeper ")) {
                let parsed = Cli::try_parse_from(words_of(part));
                assert!(parsed.is_ok(), "{words}: {part}: {}", parsed.unwrap_err());
                tried += 1;
            }
        }
    }
    assert!(tried > 30, "only {tried} examples were found");
}

/// Splits like a shell, as far as the examples need it.
fn words_of(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words
}

#[test]
fn mistakes_are_refused() {
    let wrong = [
        "lockkeeper",
        "lockkeeper plan",
        "lockkeeper plan --to",
        "lockkeeper plan --to ../../etc",
        "lockkeeper plan --to 2.0 show x.plan",
        "lockkeeper plan --to 2.0 --strategy yolo",
        "lockkeeper plan --to 2.0 --force",
        "lockkeeper join",
        "lockkeeper join --token a --token-file b",
        "lockkeeper approve x.plan",
        "lockkeeper approve x.plan --as king",
        "lockkeeper pause",
        "lockkeeper retry first",
        "lockkeeper token create UPPER",
        "lockkeeper token create n1 --valid soon",
        "lockkeeper operator create alice",
        "lockkeeper owed accept front/n1",
        "lockkeeper status --why --watch",
        "lockkeeper --socket a --context b status",
        "lockkeeper explain",
        "lockkeeper completions cmd",
    ];
    for line in wrong {
        assert!(Cli::try_parse_from(words_of(line)).is_err(), "{line} was accepted");
    }
}

#[test]
fn connection_options_stand_before_or_after_the_command() {
    for line in ["lockkeeper --context a status --json", "lockkeeper status --json --context a"] {
        let cli = Cli::try_parse_from(words_of(line)).unwrap();
        assert_eq!(cli.place.context.as_deref(), Some("a"));
    }
}
