//! Words and commands as a POSIX shell takes them, with the placeholders that a person can fill.

use lockkeeper_core::{
    cluster::Engine,
    plan::{Plan, action::CommandSpec},
};

/// One word, quoted where a shell would read more into it.
pub fn word(text: &str) -> String {
    let plain =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Fills what is the same without Lockkeeper: the path of a SQLite database is the link that members open, and there
/// is no token. Logins stay visible as placeholders, because a person uses one of their own.
pub fn filled(plan: &Plan, text: &str) -> String {
    let mut filled = text.replace("{token}", "by-hand");
    for (name, spec) in &plan.targets.databases {
        if spec.engine == Engine::Sqlite
            && let Some(directory) = spec.instances.first()
        {
            filled = filled.replace(&format!("{{database.{name}.path}}"), &format!("{directory}/current"));
        }
    }
    filled
}

/// A command on one line, in a subshell so that its directory and environment stay its own.
pub fn command(plan: &Plan, spec: &CommandSpec) -> String {
    let env: Vec<String> = spec
        .env
        .iter()
        .map(|(name, value)| format!("{}={} ", word(name), word(&filled(plan, value))))
        .collect();
    let argv: Vec<String> = if spec.shell {
        let script = spec.argv.first().map(String::as_str).unwrap_or_default();
        vec!["sh".to_owned(), "-c".to_owned(), word(&filled(plan, script))]
    } else {
        spec.argv.iter().map(|a| word(&filled(plan, a))).collect()
    };
    let call = format!(
        "{}{}",
        if env.is_empty() { String::new() } else { format!("env {}", env.concat()) },
        argv.join(" ")
    );
    if spec.dir.is_empty() { call } else { format!("(cd {} && {call})", word(&filled(plan, &spec.dir))) }
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn a_shell_reads_no_more_than_the_word() {
        assert_eq!(word("/opt/app/1.0"), "/opt/app/1.0");
        for (text, quoted) in [
            ("", "''"),
            ("a b", "'a b'"),
            ("$(reboot)", "'$(reboot)'"),
            ("it's; rm x", "'it'\\''s; rm x'"),
            ("alter role \"app\" login", "'alter role \"app\" login'"),
        ] {
            assert_eq!(word(text), quoted);
        }
    }
}
