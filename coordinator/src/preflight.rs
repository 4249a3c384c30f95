//! `check`: what would stand in the way of a rollout, from what every agent sees now.

use crate::{pki::keeper::WARN_BELOW, planning::Looks};
use lockkeeper_core::{
    cluster::ClusterSpec,
    ids::{DatabaseName, MemberName},
    observe::ForeignLocks,
    rollout::{State, Word},
    time::LogTime,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// How it stands.
    pub verdict: FindingVerdict,
    /// What was seen, or why it could not be.
    pub text: String,
    /// The code or word whose page explains it; empty: it has none.
    #[serde(default)]
    pub code: String,
    /// What to do, as a command where there is one; empty: the text says it, or nothing is wrong.
    #[serde(default)]
    pub remedy: String,
}

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingVerdict {
    /// As it should be.
    Good,
    /// To be known before the night.
    Warning,
    /// A rollout would not start.
    Blocked,
}

/// Every member, witness, database and shared target, in that order.
pub fn findings(state: &State, spec: &ClusterSpec, looks: &Looks, now: LogTime) -> Vec<Finding> {
    use FindingVerdict::{Blocked, Good, Warning};
    let mut all = Vec::new();
    let mut say = |subject: String, verdict: FindingVerdict, text: String| {
        let code = code_in(&text).unwrap_or_default().to_owned();
        all.push(Finding { subject, verdict, text, code, remedy: String::new() });
    };
    for (name, _) in spec.members.iter().chain(&spec.witnesses) {
        let is_member = spec.members.contains_key(name);
        match (state.nodes.contains_key(name), looks.get(name)) {
            (false, _) => say(name.to_string(), Blocked, "not enrolled".into()),
            (true, Some(Ok(facts))) => match &facts.version {
                Some(Ok(version)) => say(name.to_string(), Good, format!("answers, application {version}")),
                Some(Err(why)) => say(name.to_string(), Blocked, format!("its version could not be read: {why}")),
                None if is_member => say(name.to_string(), Blocked, "its version was not read".into()),
                None => say(name.to_string(), Good, "answers".into()),
            },
            (true, Some(Err(why))) => say(name.to_string(), Blocked, format!("does not answer: {why}")),
            (true, None) => say(name.to_string(), Blocked, "was not asked".into()),
        }
    }
    for name in spec.databases.keys() {
        let seen: Vec<_> = looks.values().filter_map(|l| l.as_ref().ok()?.databases.get(name)).collect();
        let good = seen.iter().filter(|s| s.is_ok()).count();
        let first_bad = seen.iter().find_map(|s| s.as_ref().err());
        match (seen.iter().find_map(|s| s.as_ref().ok()), first_bad) {
            (Some(facts), None) if good > 1 => {
                say(name.to_string(), Good, format!("schema {}, {good} agents reach it", facts.schema));
            }
            (Some(facts), None) => {
                let text = format!("schema {}; one agent reaches it: losing that one stops a rollout", facts.schema);
                say(name.to_string(), Warning, text);
            }
            (Some(facts), Some(why)) => {
                say(name.to_string(), Warning, format!("schema {}, but one agent says: {why}", facts.schema));
            }
            (None, Some(why)) => say(name.to_string(), Blocked, why.clone()),
            (None, None) => say(name.to_string(), Blocked, "no agent may look at it (executors)".into()),
        }
    }
    acts(looks, &mut say);
    certificates(state, now, &mut say);
    if let Some(rollout) = &state.rollout {
        say("rollout".into(), Blocked, format!("rollout {} is {}", rollout.id, rollout.status.word()));
    }
    for name in spec.databases.keys() {
        if let Some(Ok(locks)) = foreign_locks(looks, name) {
            all.extend(locked(name, locks));
        }
    }
    for finding in all.iter_mut().filter(|finding| finding.verdict != Good && finding.remedy.is_empty()) {
        finding.remedy = remedy(state, spec, looks, finding);
    }
    all
}

/// What to do about a finding that does not say it.
fn remedy(state: &State, spec: &ClusterSpec, looks: &Looks, finding: &Finding) -> String {
    let subject = finding.subject.as_str();
    let named = spec.members.keys().chain(spec.witnesses.keys()).find(|name| name.as_str() == subject);
    match named {
        Some(name) if !state.nodes.contains_key(name) => {
            format!("lockkeeper token create {name}; on {name}: lockkeeper join --token T")
        }
        Some(name) if !matches!(looks.get(name), Some(Ok(_))) => {
            format!("on {name}: systemctl status lockkeeper; journalctl -u lockkeeper -n 50")
        }
        _ if !finding.code.is_empty() => format!("lockkeeper explain {}", finding.code),
        _ if spec.databases.keys().any(|name| name.as_str() == subject) => {
            format!("name a second agent in executors of [databases.{subject}], then lockkeeper cluster apply FILE")
        }
        _ if subject == "rollout" => "lockkeeper status --why".to_owned(),
        // Some texts end with the command.
        _ => finding.text.rsplit_once("; ").map(|(_, end)| end).filter(|end| end.contains("lockkeeper")).unwrap_or_default().to_owned(),
    }
}

/// The code a text names, such as that of a refusal.
fn code_in(text: &str) -> Option<&str> {
    let code = text.get(text.find("LK")?..)?.get(..6)?;
    code.bytes().skip(2).all(|byte| byte.is_ascii_digit()).then_some(code)
}

/// Other tools' locks in one database: one good look tells, since all look at the same place.
pub fn foreign_locks<'a>(looks: &'a Looks, name: &DatabaseName) -> Option<Result<&'a ForeignLocks, &'a str>> {
    let seen = || looks.values().filter_map(|look| look.as_ref().ok()?.locks.get(name));
    let good = seen().find_map(|seen| seen.as_ref().ok()).map(Ok);
    good.or_else(|| seen().find_map(|seen| seen.as_ref().err()).map(|why| Err(why.as_str())))
}

fn locked(name: &DatabaseName, seen: &ForeignLocks) -> Vec<Finding> {
    let finding = |verdict, text: String, remedy: String| Finding {
        subject: name.to_string(),
        verdict,
        text,
        code: Word::ForeignLock.into(),
        remedy,
    };
    let locks = seen.locks.iter().map(|lock| {
        let verdict = if lock.blocks() { FindingVerdict::Blocked } else { FindingVerdict::Warning };
        finding(verdict, format!("{} {}", Word::ForeignLock, lock.told()), lock.remedy())
    });
    let unread = seen.unread.iter().map(|why| {
        let remedy = "let the administrator's login read it, and run it again";
        finding(FindingVerdict::Warning, format!("whether it is locked is not known: {why}"), remedy.into())
    });
    locks.chain(unread).collect()
}

/// What the agents tried, one line an act; whoever could not is named. An executor is chosen anew when one is lost, so
/// every candidate must be able.
fn acts(looks: &Looks, say: &mut impl FnMut(String, FindingVerdict, String)) {
    type By<'a> = Vec<(&'a MemberName, &'a Result<String, String>)>;
    let mut tried: BTreeMap<(&str, &str), By<'_>> = BTreeMap::new();
    for (member, look) in looks {
        for proof in look.iter().flat_map(|facts| &facts.proofs) {
            tried.entry((&proof.subject, &proof.act)).or_default().push((member, &proof.seen));
        }
    }
    for ((subject, act), by) in tried {
        let unable: Vec<String> = by
            .iter()
            .filter_map(|(member, seen)| seen.as_ref().err().map(|why| format!("{member}: {why}")))
            .collect();
        match (unable.as_slice(), by.first()) {
            ([], Some((_, Ok(seen)))) => {
                let text = format!("{act}: {} of {} agents could; {seen}", by.len(), by.len());
                say(subject.to_owned(), FindingVerdict::Good, text);
            }
            ([], _) => {}
            (unable, _) => say(subject.to_owned(), FindingVerdict::Blocked, format!("{act}: {}", unable.join("; "))),
        }
    }
}

/// Agents renew by themselves twenty days before the end, so a short rest means that something keeps one from it.
fn certificates(state: &State, now: LogTime, say: &mut impl FnMut(String, FindingVerdict, String)) {
    const DAY: u64 = 24 * 3_600_000;
    let mut soon = |subject: String, expires: LogTime, remedy: &str| match expires.0.checked_sub(now.0) {
        None => say(subject, FindingVerdict::Warning, format!("its certificate has expired; {remedy}")),
        Some(left) if left < WARN_BELOW.0 => {
            let text = format!("its certificate ends in {} days; {remedy}", left / DAY);
            say(subject, FindingVerdict::Warning, text);
        }
        Some(_) => {}
    };
    for name in state.nodes.keys() {
        if let Some(report) = state.trust.certificates.get(name) {
            soon(name.to_string(), report.expires, "its log says why it was not renewed (LK4357)");
        }
    }
    for (name, operator) in &state.trust.operators {
        // One that ended a while ago is of somebody who does not work here any more.
        if let (Some(role), None) = (operator.role, operator.revoked)
            && operator.expires.0.saturating_add(WARN_BELOW.0) >= now.0
        {
            let remedy = format!("lockkeeper operator create {name} --role {role} makes the next one");
            soon(format!("operator {name}"), operator.expires, &remedy);
        }
    }
}

/// How many stand so.
pub fn count(findings: &[Finding], verdict: FindingVerdict) -> u32 {
    u32::try_from(findings.iter().filter(|f| f.verdict == verdict).count()).unwrap_or(u32::MAX)
}

/// For people, a line each.
pub fn text(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|f| {
            let word = match f.verdict {
                FindingVerdict::Good => "ok     ",
                FindingVerdict::Warning => "WARN   ",
                FindingVerdict::Blocked => "BLOCKED",
            };
            let line = format!("{word}  {:<12}  {}\n", f.subject, f.text);
            if f.remedy.is_empty() { line } else { format!("{line}         {:<12}  -> {}\n", "", f.remedy) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockkeeper_core::{
        cluster::read_cluster,
        observe::{ForeignLock, HostFacts, Life, Proof, Tool},
        profile::ProfileCatalog,
    };

    /// Whoever migrates, or may, blocks; what the dead left and what is the application's own does not.
    #[test]
    fn a_foreign_lock_blocks_unless_its_holder_is_dead() {
        let text = include_str!("../../deploy/sample/cluster.toml");
        let (spec, _) = read_cluster("cluster.toml", text, &ProfileCatalog::built_in()).unwrap();
        let (database, _) = spec.databases.first_key_value().unwrap();
        for (tool, life, wanted) in [
            (Tool::Liquibase, Life::Alive, FindingVerdict::Blocked),
            (Tool::Alfresco, Life::Unknown, FindingVerdict::Blocked),
            (Tool::Flyway, Life::Dead, FindingVerdict::Warning),
            (Tool::Advisory, Life::Alive, FindingVerdict::Warning),
        ] {
            let lock = ForeignLock {
                tool,
                lock: "table t".into(),
                holder: "web1".into(),
                since: "today".into(),
                life,
                proof: "so it is".into(),
                next: "do this".into(),
                sql: vec!["SELECT 1;".into()],
            };
            let seen = ForeignLocks { locks: vec![lock], unread: vec!["table u: denied".into()], ..ForeignLocks::default() };
            // Of two that look, the one that could counts.
            let look = |seen: Result<ForeignLocks, String>| HostFacts { locks: [(database.clone(), seen)].into(), ..HostFacts::default() };
            let looks: Looks = [
                (MemberName::new("n1").unwrap(), Ok(look(Err("away".into())))),
                (MemberName::new("n2").unwrap(), Ok(look(Ok(seen)))),
            ]
            .into();
            let all = findings(&State::default(), &spec, &looks, LogTime(0));
            let told: Vec<&Finding> = all.iter().filter(|f| f.code == "foreign-lock").collect();
            assert_eq!(told.iter().map(|f| f.verdict).collect::<Vec<_>>(), [wanted, FindingVerdict::Warning]);
            let held = format!("foreign-lock {}: table t, held by web1 since today; its holder is {}: so it is", tool.word(), life.word());
            assert_eq!((told[0].text.as_str(), told[0].remedy.as_str()), (held.as_str(), "do this: SELECT 1;"));
        }
    }

    #[test]
    fn an_act_is_good_when_every_agent_could_and_names_whoever_could_not() {
        let tried = |seen: Result<&str, &str>| {
            let seen = seen.map(str::to_owned).map_err(str::to_owned);
            let proof = Proof { subject: "main".into(), act: "end a session".into(), seen };
            Ok(HostFacts { proofs: vec![proof], ..HostFacts::default() })
        };
        let name = |text: &str| MemberName::new(text).unwrap();
        let mut looks: Looks = [(name("n1"), tried(Ok("ended"))), (name("n2"), tried(Ok("ended")))].into();
        let said = |looks: &Looks| {
            let mut all = Vec::new();
            acts(looks, &mut |subject, verdict, text| all.push((subject, verdict, text)));
            all
        };
        let good = "end a session: 2 of 2 agents could; ended".to_owned();
        assert_eq!(said(&looks), [("main".into(), FindingVerdict::Good, good)]);
        looks.insert(name("n2"), tried(Err("LK5217: not allowed")));
        let bad = "end a session: n2: LK5217: not allowed".to_owned();
        assert_eq!(said(&looks), [("main".into(), FindingVerdict::Blocked, bad)]);
    }
}
