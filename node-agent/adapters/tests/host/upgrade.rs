//! The upgrade step on a real SQLite database behind its door: one run of the tool, judged by the schema it leaves.

use super::support::{carry_out, host, member, script, wait_for, work};
use lockkeeper_adapters::SystemHost;
use lockkeeper_agent::host::{Done, FactsQuery, Host, Postcheck, Precheck, Work};
use lockkeeper_core::{
    cluster::{DatabaseSpec, Door, Engine},
    ids::{DatabaseName, Generation, LogIndex, MemberName, StepId, Token},
    plan::{
        Action, Targets,
        action::{
            CommandSpec, CredentialDelivery, DatabaseAction, JudgeSchema, OnAgentLoss, Probe, Prove,
            SchemaJudge, UpgradeDatabase,
        },
    },
    time::Millis,
};
use rusqlite::Connection;
use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};
use tempfile::TempDir;

const SCHEMA: &str = "select version from schema";

/// What the vendor's tool does to the file `$DB`; `$D` is the bed.
const TOOL: &str = "echo ran >> $D/ran; python3 -c \"import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                    c.execute('update schema set version = 2'); c.commit()\" \"$DB\"";

struct Bed {
    root: TempDir,
    done: BTreeMap<String, String>,
    captured: String,
}

impl Bed {
    /// A database with its door shut and this member's grant open.
    async fn granted() -> Self {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("db");
        fs::create_dir(&data).unwrap();
        let connection = Connection::open(data.join("main.db")).unwrap();
        connection
            .execute_batch("create table schema (version text); insert into schema values ('1')")
            .unwrap();
        drop(connection);
        std::os::unix::fs::symlink("main.db", data.join("current")).unwrap();
        let mut bed = Self { root, done: BTreeMap::new(), captured: String::new() };
        let host = bed.host();
        bed.database(&host, 1, 11, Action::Backup).await;
        bed.database(&host, 2, 12, Action::ProveBackup).await;
        let shut = bed.work(3, 14, Action::ShutDoor(bed.action()));
        let Precheck::Ready { captured } = host.precheck(&shut).await else {
            panic!("the door is not ready")
        };
        bed.captured = captured;
        for (step, index, action) in [
            (3, 14, Action::ShutDoor as fn(DatabaseAction) -> Action),
            (4, 20, Action::MintCredential),
            (5, 20, Action::AdmitHolder),
        ] {
            bed.database(&host, step, index, action).await;
        }
        bed
    }

    fn host(&self) -> SystemHost {
        host(&self.root.path().join("agent"))
    }

    fn action(&self) -> DatabaseAction {
        DatabaseAction { database: main_database(), set: "set-1".into() }
    }

    fn work(&self, step: u32, index: u64, action: Action) -> Work {
        let text = |name: &str| self.root.path().join(name).display().to_string();
        let spec = DatabaseSpec {
            engine: Engine::Sqlite,
            instances: vec![text("db")],
            name: "main".into(),
            admin: None,
            tls: None,
            door: Door::PathPerEpoch,
            owner: String::new(),
            infrastructure: Vec::new(),
            backups: text("backups"),
            executors: Vec::new(),
        };
        let databases = BTreeMap::from([(main_database(), spec)]);
        let targets = Targets { balancers: BTreeMap::new(), databases, members: BTreeMap::new() };
        // The holder runs the tool and makes the secret; somebody else works the door.
        let holders =
            matches!(action, Action::MintCredential(_) | Action::UpgradeDatabase(_) | Action::Prove(_));
        let me = if holders { member() } else { MemberName::new("n2").unwrap() };
        Work {
            me,
            step: StepId(step),
            token: token(index),
            targets: Arc::new(targets),
            inputs: self.done.clone(),
            grants: BTreeMap::from([(main_database(), (member(), token(20)))]),
            ..work(action)
        }
    }

    async fn database(
        &mut self,
        host: &SystemHost,
        step: u32,
        index: u64,
        action: fn(DatabaseAction) -> Action,
    ) -> Done {
        let done = carry_out(host, &self.work(step, index, action(self.action()))).await.unwrap();
        self.done.extend(done.outputs.clone());
        done
    }

    fn upgrade(&self, tool: &str, credential: CredentialDelivery) -> Work {
        let mut command: CommandSpec = script(tool);
        command.env.insert("D".into(), self.root.path().display().to_string());
        command.on_agent_loss = OnAgentLoss::Finish;
        let schema = SchemaJudge { query: SCHEMA.into(), before: "1".into(), after: "2".into() };
        let database = main_database();
        let step = UpgradeDatabase { database, command, credential, schema, resumes: false };
        self.work(6, 20, Action::UpgradeDatabase(step))
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.root.path().join("ran")).unwrap_or_default().lines().count()
    }
}

fn main_database() -> DatabaseName {
    DatabaseName::new("main").unwrap()
}

fn token(index: u64) -> Token {
    Token { generation: Generation(1), index: LogIndex(index) }
}

fn environment() -> CredentialDelivery {
    let variables = BTreeMap::from([("DB".to_owned(), "{database.main.path}".to_owned())]);
    CredentialDelivery::Environment { variables }
}

#[tokio::test]
async fn the_holder_upgrades_the_file_of_its_grant_and_the_members_serve_it() {
    let mut bed = Bed::granted().await;
    let host = bed.host();
    let upgrade = bed.upgrade(TOOL, environment());
    assert_eq!(host.precheck(&upgrade).await, Precheck::Ready { captured: String::new() });
    let done = carry_out(&host, &upgrade).await.unwrap();
    assert!(done.evidence.contains("schema 1 -> 2, judged finished"), "{done:?}");
    assert!(done.action_ms.is_some());
    bed.database(&host, 7, 20, Action::CloseGrant).await;
    let open =
        Work { captured: Some(bed.captured.clone()), ..bed.work(8, 30, Action::OpenDoor(bed.action())) };
    let opened = carry_out(&host, &open).await.unwrap();
    assert_eq!(opened.read_back.as_ref(), Some(&bed.captured));
    // What serves opens the door's link, and a probe sees the schema through it.
    let link = bed.root.path().join("db/current").display().to_string();
    let mut look = script("test \"$DB\" = \"$LINK\" && test -e \"$DB\"");
    look.env = BTreeMap::from([("DB".into(), "{database.main.path}".into()), ("LINK".into(), link)]);
    let probes = vec![
        Probe::Command { command: look, contains: String::new() },
        Probe::Sql { database: main_database(), query: SCHEMA.into(), equals: "2".into() },
    ];
    let pace = Millis(0);
    let prove = Prove { member: member(), probes, settle: pace, interval: pace };
    let proof = carry_out(&host, &bed.work(9, 31, Action::Prove(prove))).await.unwrap();
    assert!(proof.evidence.contains("= 2"), "{proof:?}");
    // Nothing is left to do for another attempt.
    let again = bed.upgrade(TOOL, environment());
    assert!(matches!(host.precheck(&super::support::again(&again)).await, Precheck::AlreadyDone(_)));
    assert_eq!(bed.runs(), 1);
}

#[tokio::test]
async fn an_upgrade_outlives_its_agent_and_is_not_run_twice() {
    let bed = Bed::granted().await;
    let slow = format!("while [ ! -e $D/go ]; do sleep 0.02; done; {TOOL}");
    let upgrade = bed.upgrade(&slow, environment());
    {
        let first = bed.host();
        let call = tokio::time::timeout(Duration::from_millis(300), first.perform(&upgrade, &|_| {}));
        assert!(call.await.is_err());
    }
    let second = bed.host();
    let Precheck::Running(unit) = second.precheck(&upgrade).await else { panic!("it runs") };
    fs::write(bed.root.path().join("go"), "").unwrap();
    second.adopt(&upgrade, &unit).await.unwrap();
    let Postcheck::Proven(done) = second.postcheck(&upgrade).await else { panic!("it is finished") };
    assert!(done.evidence.contains("judged finished"), "{done:?}");
    assert_eq!(bed.runs(), 1);
}

#[tokio::test]
async fn an_exit_status_is_no_proof_in_either_direction() {
    let bed = Bed::granted().await;
    let host = bed.host();
    let idle = bed.upgrade("exit 0", environment());
    host.perform(&idle, &|_| {}).await.unwrap();
    let Postcheck::Refuted(failure) = host.postcheck(&idle).await else { panic!("it did nothing") };
    assert!(failure.code == "LK5002" && failure.text.contains("untouched"), "{failure}");
    let next = |work: &Work| super::support::again(work);
    let crash = next(&bed.upgrade("exit 7", environment()));
    let failure = host.perform(&crash, &|_| {}).await.unwrap_err();
    assert!(failure.text.contains("status 7") && failure.text.contains("untouched (schema 1)"), "{failure}");
    let grumble = next(&next(&bed.upgrade(&format!("{TOOL}; echo sorry >&2; exit 1"), environment())));
    let done = carry_out(&host, &grumble).await.unwrap();
    assert!(done.evidence.contains("although") && done.evidence.contains("sorry"), "{done:?}");
}

#[tokio::test]
async fn a_credential_file_is_there_for_the_tool_alone() {
    let bed = Bed::granted().await;
    let host = Arc::new(bed.host());
    let template = bed.root.path().join("tool.ini");
    fs::write(&template, "file={database.main.path}\n").unwrap();
    let tool = "echo $1 > $D/name.tmp; mv $D/name.tmp $D/name; while [ ! -e $D/go ]; do sleep 0.02; done; \
                DB=$(sed s/file=// \"$1\"); "
        .to_owned()
        + TOOL;
    let delivery = CredentialDelivery::FileTemplate { template: template.display().to_string() };
    let mut upgrade = bed.upgrade(&tool, delivery);
    let Action::UpgradeDatabase(step) = &mut upgrade.action else { panic!() };
    step.command.argv.push("{credential.file}".into());
    let (acting, same) = (host.clone(), upgrade.clone());
    let call = tokio::spawn(async move { acting.perform(&same, &|_| {}).await });
    let name = bed.root.path().join("name");
    wait_for("the tool", || name.exists()).await;
    let path = fs::read_to_string(&name).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path.trim()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    fs::write(bed.root.path().join("go"), "").unwrap();
    call.await.unwrap().unwrap();
    assert!(!std::path::Path::new(path.trim()).exists(), "removed as soon as the tool has ended");
    assert!(matches!(host.postcheck(&upgrade).await, Postcheck::Proven(_)));
}

/// What somebody upgraded by hand is relied on while it reads what was expected, and no longer; a look is no effect.
#[tokio::test]
async fn a_finished_schema_is_judged_and_another_one_refuted() {
    let bed = Bed::granted().await;
    let host = bed.host();
    let schema = SchemaJudge { query: SCHEMA.into(), before: String::new(), after: "2".into() };
    let judge = bed.work(9, 30, Action::JudgeSchema(JudgeSchema { database: main_database(), schema }));
    assert!(matches!(host.precheck(&judge).await, Precheck::Ready { captured } if captured.is_empty()));
    host.perform(&judge, &|_| {}).await.unwrap();
    let granted = bed.done["database.main.path"].clone();
    for (value, finished) in [("1", false), ("1.5", false), ("2", true), ("3", false)] {
        let update = format!("update schema set version = '{value}'");
        Connection::open(&granted).unwrap().execute_batch(&update).unwrap();
        match host.postcheck(&judge).await {
            Postcheck::Proven(done) => {
                assert!(finished, "{value} passed");
                assert!(done.evidence.contains("reads 2"), "{}", done.evidence);
            }
            Postcheck::Refuted(failure) => {
                assert!(!finished && failure.code == "LK5353", "{value}: {failure}");
                assert!(failure.to_string().contains(value), "{failure}");
            }
            Postcheck::NotYet(why) => panic!("{value}: {why}"),
        }
    }
}

#[tokio::test]
async fn a_touched_schema_is_not_begun_on_and_facts_name_it() {
    let bed = Bed::granted().await;
    let upgrade = bed.upgrade(TOOL, environment());
    let granted = bed.done["database.main.path"].clone();
    Connection::open(granted).unwrap().execute_batch("update schema set version = '1.5'").unwrap();
    let Precheck::Mismatch { expected, found } = bed.host().precheck(&upgrade).await else {
        panic!("touched")
    };
    assert!(expected.contains("schema 1") && found.contains("schema 1.5"), "{expected} {found}");
    let spec = upgrade.targets.databases[&main_database()].clone();
    let query = lockkeeper_agent::host::DatabaseQuery { spec, schema: SCHEMA.into() };
    let databases = BTreeMap::from([(main_database(), query)]);
    let facts = bed.host().facts(&FactsQuery { databases, ..FactsQuery::default() }).await;
    assert_eq!(facts.databases[&main_database()].as_ref().unwrap().schema, "1.5");
}
