//! Bad files are refused, each by its own code with its own page, and nothing changes by them: by the command line of
//! the real binary, against real agents where a group is needed.

use anyhow::{Context, Result, ensure};
use lockkeeper_core::plan::read_plan;
use lockkeeper_proto::{pb, transport::unix_channel};
use lockkeeper_tests::{
    access::raw::{self, Heard},
    bed::process::Ran,
    small_site::{NEW, OLD, SmallSite},
};
use prost::Message as _;
use rustix::process::Signal;
use std::{fs, path::Path};

/// Ten different faults, as an operator in a hurry would make them.
const TEN_FAULTS: &str = r#"cluster = "library"
profile = "generic"
voters  = ["n1", "n2"]
colour  = "blue"

[members.n1]
address = "10.77.0.11"
[members.n2]
address = "10.77.0.12:7440"
[members.n3]
address = "10.77.0.12:7440"
[members.n2]
address = "10.77.0.13:7440"

[policy]
lost_after       = "soon"
on_upgrader_loss = "pray"
approvals        = 99

[balancers.front]
kind    = "haproxy"
socket  = "tcp://10.77.0.10:9999"
backend = "app"
servers = { n1 = "n1", n2 = "n2", n3 = "n3", n9 = "n9" }

[databases.main]
engine    = "postgres"
instances = ["10.77.0.20:5432"]
name      = "kinto"
admin     = { user = "lockkeeper", password = "hunter2" }

[parameters]
release = { directory = "/opt/kinto" }
service = { kind = "command", start = ["/opt/s", "start"], stop = ["/opt/s", "stop"], status = ["/opt/s", "status"] }
schema  = { query = "select 23" }
upgrade = { command = ["{release}/migrate"], environment = { U = "{credential.user}", P = "{credential.password}" } }
ready   = { http = "http://{member.host}:8888/" }
"#;

/// Line, column and code of each.
const TEN_PLACES: [(u64, u64, &str); 10] = [
    (3, 11, "LK1204"),
    (4, 1, "LK1007"),
    (7, 11, "LK1104"),
    (11, 11, "LK1201"),
    (12, 10, "LK1003"),
    (16, 20, "LK1103"),
    (17, 20, "LK1105"),
    (18, 20, "LK1106"),
    (24, 46, "LK1202"),
    (30, 47, "LK1107"),
];

/// A command was refused: with this exit code, by this code and no other, whose page is there and can be read on the
/// spot.
fn refused(site: &SmallSite, ran: &Ran, exit: i32, code: &str) -> Result<()> {
    let told = format!("exit {}\n{}{}", ran.code, ran.stdout, ran.stderr);
    ensure!(ran.code == exit, "wanted exit {exit}, got {told}");
    ensure!(ran.stderr.contains(&format!("[{code}]")), "wanted {code}, got {told}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../deploy/errors/{code}.md"));
    let page = fs::read_to_string(&page).with_context(|| format!("{}", page.display()))?;
    let told = site.group.must(&["explain", code])?.stdout;
    ensure!(told.contains(page.lines().next().context("a title")?.trim_start_matches("# ")), "{told}");
    println!("{code}  exit {exit}  {}", page.lines().next().unwrap_or_default());
    Ok(())
}

/// A file with one thing changed, checked by `command`.
fn checked(site: &SmallSite, command: [&str; 2], content: &str) -> Result<Ran> {
    let file = site.write("checked.toml", content)?.display().to_string();
    site.group.run(&[command[0], command[1], &file])
}

fn changed(text: &str, from: &str, to: &str) -> Result<String> {
    ensure!(text.contains(from), "{from:?} is not in\n{text}");
    Ok(text.replacen(from, to, 1))
}

/// What a refused file must leave as it is: the cluster file in force, and the rollout.
fn seen(site: &SmallSite) -> Result<(String, serde_json::Value)> {
    let shown = site.group.json(&["cluster", "show", "--json", "--linearizable"])?;
    let status = site.group.json(&["status", "--json", "--linearizable"])?;
    Ok((shown["version"].to_string(), status["rollout"].clone()))
}

#[test]
fn ten_faults_are_told_at_once_each_with_its_place() -> Result<()> {
    let site = SmallSite::start(&["n1"], &["w1"])?;
    let file = site.write("ten.toml", TEN_FAULTS)?.display().to_string();
    let before = seen(&site)?;
    let ran = site.group.run(&["cluster", "check", &file, "--json"])?;
    ensure!(ran.code == 1, "exit {}: {}{}", ran.code, ran.stdout, ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout)?;
    let faults = report["faults"].as_array().context("faults")?;
    let place = |fault: &serde_json::Value| {
        let number = |key: &str| fault["at"][key].as_u64().unwrap_or_default();
        (number("line"), number("column"), fault["code"].as_str().unwrap_or_default().to_owned())
    };
    let found: Vec<_> = faults.iter().map(place).collect();
    let wanted: Vec<_> = TEN_PLACES.iter().map(|(l, c, code)| (*l, *c, (*code).to_owned())).collect();
    ensure!(found == wanted, "{found:#?}");
    for verb in ["check", "apply"] {
        let ran = site.group.run(&["cluster", verb, &file])?;
        for (line, column, code) in TEN_PLACES {
            refused(&site, &ran, 1, code)?;
            ensure!(ran.stderr.contains(&format!("{file}:{line}:{column}")), "{line}:{column} is not told");
        }
        ensure!(!format!("{}{}", ran.stdout, ran.stderr).contains("hunter2"), "the secret was shown");
    }
    ensure!(seen(&site)? == before);
    Ok(())
}

#[test]
fn each_bad_file_has_a_code_of_its_own() -> Result<()> {
    let site = SmallSite::start(&["n1"], &["w1"])?;
    let good = site.cluster_file();
    let ran = checked(&site, ["cluster", "check"], &good)?;
    ensure!(ran.code == 2, "one voter is a warning and no error: {}{}", ran.stdout, ran.stderr);
    let duplicate =
        changed(&good, "[witnesses.w1]", "[members.n1]\naddress = \"127.0.0.1:9\"\n[witnesses.w1]")?;
    refused(&site, &checked(&site, ["cluster", "check"], &duplicate)?, 1, "LK1003")?;
    let unknown = changed(&good, "lost_after", "forgotten_after")?;
    refused(&site, &checked(&site, ["cluster", "check"], &unknown)?, 1, "LK1007")?;
    let generic = site.group.must(&["profile", "show", "generic"])?.stdout;
    ensure!(checked(&site, ["profile", "check"], &generic)?.code == 0);
    let dancing = changed(&generic, "do   = \"drain\"", "do   = \"dance\"")?;
    refused(&site, &checked(&site, ["profile", "check"], &dancing)?, 1, "LK1401")?;
    Ok(())
}

#[test]
fn a_plan_that_was_altered_or_has_become_stale_is_refused() -> Result<()> {
    let mut site = SmallSite::start(&["n1", "n2"], &[])?;
    let night = site.group.path().join("night.plan").display().to_string();
    let planned = site.group.run(&["plan", "--to", NEW, "-o", &night])?;
    ensure!(planned.code == 2, "plan ended with {}:\n{}{}", planned.code, planned.stdout, planned.stderr);
    let text = fs::read_to_string(&night)?;
    altered_plans(&site, &text)?;

    let apply = ["apply", night.as_str(), "--yes"];
    refused(&site, &site.group.run(&apply)?, 4, "LK3005")?;
    site.group.must(&["approve", &night, "--as", "admin"])?;
    // The cluster file in force is another one, if only by a comment.
    site.put_cluster(&(site.cluster_file() + "# moved\n"))?;
    refused(&site, &site.group.run(&apply)?, 4, "LK3004")?;

    // A new plan; then somebody switches the release by hand.
    let again = ["plan", "--to", NEW, "-o", night.as_str(), "--force"];
    ensure!(site.group.run(&again)?.code == 2);
    site.group.must(&["approve", &night, "--as", "admin"])?;
    site.use_release(NEW)?;
    refused(&site, &site.group.run(&apply)?, 4, "LK2023")?;
    site.use_release(OLD)?;

    // The other member loses its disk and enrols anew: it is another making than the plan was made for.
    site.group.agents[1].end(Signal::TERM)?;
    fs::remove_dir_all(site.group.agents[1].data())?;
    site.group.join(1)?;
    site.group.until_members(2)?;
    let ran = site.group.run(&apply)?;
    refused(&site, &ran, 4, "LK2023")?;
    ensure!(ran.stderr.contains("n2 incarnation"), "{}", ran.stderr);
    let status = site.group.json(&["status", "--json", "--linearizable"])?;
    ensure!(status["rollout"].is_null(), "a rollout began: {status:#}");
    Ok(())
}

/// One byte of a plan file is changed: here, at the API, and at any place of the file.
fn altered_plans(site: &SmallSite, text: &str) -> Result<()> {
    let path = site.group.path().join("altered.plan").display().to_string();
    let digit = text.find("\"hash\":\"").context("a plan names its hash")? + "\"hash\":\"".len();
    let mut of_the_hash = text.as_bytes().to_vec();
    of_the_hash[digit] = if of_the_hash[digit] == b'0' { b'1' } else { b'0' };
    let versions = [
        changed(text, "\"to\":\"2.0\"", "\"to\":\"2.1\"")?,
        String::from_utf8(of_the_hash)?,
        format!("{text}\n"),
    ];
    for altered in &versions {
        fs::write(&path, altered)?;
        for command in [&["plan", "show"][..], &["approve", "--as", "admin"], &["apply", "--yes"]] {
            let arguments: Vec<&str> = command.iter().copied().chain([path.as_str()]).collect();
            refused(site, &site.group.run(&arguments)?, 1, "LK2020")?;
        }
    }
    // The command line looks first; the group looks again, for those who do not use it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let body = pb::OperatorApproveRequest {
        request_id: "r1".to_owned(),
        plan: versions[0].clone(),
        reference: String::new(),
        role: "admin".to_owned(),
    };
    let socket = site.group.agents[0].socket();
    let heard = runtime.block_on(async {
        raw::call(unix_channel(socket), "/lockkeeper.v1.Operator/Approve", body.encode_to_vec()).await
    })?;
    let Heard::Message(message) = heard else { anyhow::bail!("{heard:?}") };
    let reply = pb::OperatorReply::decode(message.as_slice())?;
    ensure!(reply.reply.is_empty() && reply.faults.contains("LK2020"), "{reply:?}");
    anywhere(text)
}

/// A prime, so that every kind of place comes up; all bytes would take a minute in a debug build.
const STRIDE: usize = 13;

/// Wherever a byte is changed, the file is refused: as altered, or because it is no plan any more.
fn anywhere(text: &str) -> Result<()> {
    read_plan("good", text).map_err(|report| anyhow::anyhow!("{report}"))?;
    let mut counts = std::collections::BTreeMap::new();
    for at in (0..text.len()).step_by(STRIDE) {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        // What is not text is refused where the file is read.
        let Ok(altered) = String::from_utf8(bytes) else { continue };
        let Err(report) = read_plan("altered", &altered) else { anyhow::bail!("byte {at} may be changed") };
        let code = report.faults.first().context("a fault")?.code.as_str();
        ensure!(["LK2020", "LK2021", "LK2022"].contains(&code), "byte {at}: {report}");
        *counts.entry(code).or_insert(0) += 1;
    }
    println!("one byte of {} changed at every {STRIDE}th place: {counts:?}", text.len());
    Ok(())
}
