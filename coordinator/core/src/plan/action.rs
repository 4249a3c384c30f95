//! Effects as data: everything an agent may be told to do, fully resolved by the planner.
//!
//! Texts may still hold the run-time placeholders `{credential.user}`, `{credential.password}`, `{credential.file}`,
//! `{database.NAME.path}` and `{token}`; the host fills them in, and only in files and environments, never in a log.

use crate::{
    ids::{BalancerName, DatabaseName, MemberName},
    time::Millis,
    version::Version,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One typed action on one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Copy a release into its own new directory and compare every file's hash.
    StageRelease(StageRelease),
    /// Point the `current` link at another release directory; the old one is kept.
    SwitchRelease(SwitchRelease),
    /// Take a member out of a balancer: drain, wait for zero, maintenance.
    Drain(BalancerServer),
    /// Put a member back: out of maintenance into drain, wait until its checks pass, ready.
    Admit(BalancerServer),
    /// Stop the application on a member.
    StopService(ServiceAction),
    /// Start the application on a member.
    StartService(ServiceAction),
    /// Prove by the session list that nobody can write.
    ProveNoWriters(DatabaseAction),
    /// Take a backup set.
    Backup(DatabaseAction),
    /// Prove the set by restoring it beside and comparing catalog and data.
    ProveBackup(DatabaseAction),
    /// Keep every principal out of the database.
    ShutDoor(DatabaseAction),
    /// The holder makes its secret and answers only a verifier.
    MintCredential(DatabaseAction),
    /// Let the grant's holder, and nobody else, in.
    AdmitHolder(DatabaseAction),
    /// Run the one upgrade attempt this grant allows.
    UpgradeDatabase(UpgradeDatabase),
    /// Take the holder's way in away again and prove it.
    CloseGrant(DatabaseAction),
    /// Give back the ways in that `ShutDoor` took.
    OpenDoor(DatabaseAction),
    /// Prove a member by probes that hold for a while.
    Prove(Prove),
    /// Run a command of the profile.
    Run(RunCommand),
    /// Restore the proven set beside, prove it against the set, swap names; the failed database is kept.
    RestoreDatabase(DatabaseAction),
    /// Prove that the schema is already what the new version brings, so that nobody upgrades it again.
    JudgeSchema(JudgeSchema),
}

impl Action {
    /// The action's word in profiles, plans, logs and metrics.
    pub const fn kind(&self) -> ActionKind {
        match self {
            Action::StageRelease(_) => ActionKind::StageRelease,
            Action::SwitchRelease(_) => ActionKind::SwitchRelease,
            Action::Drain(_) => ActionKind::Drain,
            Action::Admit(_) => ActionKind::Admit,
            Action::StopService(_) => ActionKind::StopService,
            Action::StartService(_) => ActionKind::StartService,
            Action::ProveNoWriters(_) => ActionKind::ProveNoWriters,
            Action::Backup(_) => ActionKind::Backup,
            Action::ProveBackup(_) => ActionKind::ProveBackup,
            Action::ShutDoor(_) => ActionKind::ShutDoor,
            Action::MintCredential(_) => ActionKind::MintCredential,
            Action::AdmitHolder(_) => ActionKind::AdmitHolder,
            Action::UpgradeDatabase(_) => ActionKind::UpgradeDatabase,
            Action::CloseGrant(_) => ActionKind::CloseGrant,
            Action::OpenDoor(_) => ActionKind::OpenDoor,
            Action::Prove(_) => ActionKind::Prove,
            Action::Run(_) => ActionKind::Run,
            Action::RestoreDatabase(_) => ActionKind::RestoreDatabase,
            Action::JudgeSchema(_) => ActionKind::JudgeSchema,
        }
    }
}

/// The kinds of action, without their details. An agent announces the ones it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is described at the variant of Action with the same name")]
pub enum ActionKind {
    StageRelease,
    SwitchRelease,
    Drain,
    Admit,
    StopService,
    StartService,
    ProveNoWriters,
    Backup,
    ProveBackup,
    ShutDoor,
    MintCredential,
    AdmitHolder,
    UpgradeDatabase,
    CloseGrant,
    OpenDoor,
    Prove,
    Run,
    RestoreDatabase,
    JudgeSchema,
}

impl ActionKind {
    /// Every kind, in the order of an offline rollout; then those of a restore, then those of an adoption.
    pub const ALL: [ActionKind; 19] = [
        ActionKind::StageRelease,
        ActionKind::Drain,
        ActionKind::StopService,
        ActionKind::ProveNoWriters,
        ActionKind::Backup,
        ActionKind::ProveBackup,
        ActionKind::ShutDoor,
        ActionKind::MintCredential,
        ActionKind::AdmitHolder,
        ActionKind::UpgradeDatabase,
        ActionKind::CloseGrant,
        ActionKind::OpenDoor,
        ActionKind::SwitchRelease,
        ActionKind::StartService,
        ActionKind::Prove,
        ActionKind::Admit,
        ActionKind::Run,
        ActionKind::RestoreDatabase,
        ActionKind::JudgeSchema,
    ];

    /// The word used in profiles, plans, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            ActionKind::StageRelease => "stage-release",
            ActionKind::SwitchRelease => "switch-release",
            ActionKind::Drain => "drain",
            ActionKind::Admit => "admit",
            ActionKind::StopService => "stop-service",
            ActionKind::StartService => "start-service",
            ActionKind::ProveNoWriters => "prove-no-writers",
            ActionKind::Backup => "backup",
            ActionKind::ProveBackup => "prove-backup",
            ActionKind::ShutDoor => "shut-door",
            ActionKind::MintCredential => "mint-credential",
            ActionKind::AdmitHolder => "admit-holder",
            ActionKind::UpgradeDatabase => "upgrade-database",
            ActionKind::CloseGrant => "close-grant",
            ActionKind::OpenDoor => "open-door",
            ActionKind::Prove => "prove",
            ActionKind::Run => "run",
            ActionKind::RestoreDatabase => "restore-database",
            ActionKind::JudgeSchema => "judge-schema",
        }
    }
}

impl std::fmt::Display for ActionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// See [`Action::StageRelease`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRelease {
    /// Directory the release is copied from; empty when the operator staged it and only the hashes are compared.
    pub source: String,
    /// The release directory to make or compare; never one that is in use.
    pub directory: String,
    /// The release.
    pub version: Version,
    /// Tree hash that every member must have; empty: only equality among members is asked.
    pub tree: String,
}

/// See [`Action::SwitchRelease`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchRelease {
    /// The link that names the release in use.
    pub link: String,
    /// The release directory it shall name.
    pub directory: String,
    /// The release.
    pub version: Version,
}

/// One member's server in one balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerServer {
    /// Which balancer; its socket is in the plan's targets.
    pub balancer: BalancerName,
    /// Which member.
    pub member: MemberName,
    /// The server's name in the backend.
    pub server: String,
    /// How long a drain waits for zero sessions before it ends them.
    pub wait: Millis,
}

/// See [`Action::StopService`] and [`Action::StartService`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAction {
    /// Whose application; one service a member in this profile format.
    pub member: MemberName,
    /// How it is worked.
    pub service: ServiceSpec,
    /// Version it shall have when started.
    pub version: Version,
}

/// How an application's process is started, stopped and looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ServiceSpec {
    /// The agent starts it in a session of its own and keeps pid and start time.
    Process {
        /// What to start.
        command: CommandSpec,
        /// Where its output goes (appended).
        log: String,
        /// How long after SIGTERM until SIGKILL.
        stop_wait: Millis,
    },
    /// Commands start, stop and look (status: exit 0 running, 3 stopped, anything else unknown).
    Command {
        /// Starts and returns.
        start: CommandSpec,
        /// Stops and returns.
        stop: CommandSpec,
        /// Looks.
        status: CommandSpec,
    },
}

/// A command as an argument vector; a shell only when `shell` says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandSpec {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Additional environment.
    pub env: BTreeMap<String, String>,
    /// Working directory, empty for `/`.
    pub dir: String,
    /// Run `argv[0]` by `sh -c`.
    pub shell: bool,
    /// Ended (and failed) after this long.
    pub timeout: Millis,
    /// Exit codes that mean success.
    pub success: Vec<i32>,
    /// What becomes of it when its agent dies.
    pub on_agent_loss: OnAgentLoss,
}

/// What the step-runner does when the agent that started it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnAgentLoss {
    /// End the whole group: the step may be repeated.
    Kill,
    /// Let it finish and spool the result for the next agent.
    Finish,
}

/// An action on one database; the connection is in the plan's targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseAction {
    /// Which database.
    pub database: DatabaseName,
    /// Name of the backup set, unique per rollout.
    pub set: String,
}

/// See [`Action::UpgradeDatabase`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeDatabase {
    /// Which database.
    pub database: DatabaseName,
    /// The vendor's tool.
    pub command: CommandSpec,
    /// How the tool is told its login.
    pub credential: CredentialDelivery,
    /// What the schema says before and after, by this query.
    pub schema: SchemaJudge,
    /// Whether the tool can go on with a half-done upgrade.
    pub resumes: bool,
}

/// How the upgrade tool is told the login that was minted for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CredentialDelivery {
    /// Not at all: only with a door that needs none.
    None,
    /// In the environment: name of variable -> text with `{credential.*}` placeholders.
    Environment {
        /// Variables.
        variables: BTreeMap<String, String>,
    },
    /// In a file made from a template, mode 0600, removed when the grant is closed; `{credential.file}` is its path.
    FileTemplate {
        /// The template on the holder's disk, with `{credential.user}` and `{credential.password}`.
        template: String,
    },
}

/// The judge probe: reads the schema version and says `untouched`, `finished` or `touched`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaJudge {
    /// SQL that answers one value.
    pub query: String,
    /// The value before the upgrade; empty if the plan could not read it (then nothing is ever `untouched`).
    pub before: String,
    /// The value after it; empty: any value other than `before` that is not below it, with exit status 0.
    pub after: String,
}

/// See [`Action::JudgeSchema`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgeSchema {
    /// Which database.
    pub database: DatabaseName,
    /// Proven only by the value after the upgrade; a value before it is not known and not asked for.
    pub schema: SchemaJudge,
}

/// See [`Action::Prove`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prove {
    /// Which member.
    pub member: MemberName,
    /// All must pass.
    pub probes: Vec<Probe>,
    /// They must pass without a break for this long.
    pub settle: Millis,
    /// How often they are tried.
    pub interval: Millis,
}

/// One positive proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "probe", rename_all = "kebab-case")]
pub enum Probe {
    /// An HTTP answer.
    Http {
        /// `http://` or `https://` URL.
        url: String,
        /// Expected status.
        status: u16,
        /// Text the body must contain; empty: any.
        contains: String,
        /// Headers that must have exactly this value.
        headers: BTreeMap<String, String>,
        /// JSON pointer -> expected value as text.
        json: BTreeMap<String, String>,
        /// Limit of one request.
        timeout: Millis,
    },
    /// A TCP connect that is accepted.
    Tcp {
        /// `host:port`.
        address: String,
        /// Limit of one connect.
        timeout: Millis,
    },
    /// A query answers one expected value.
    Sql {
        /// Which database.
        database: DatabaseName,
        /// SQL that answers one value.
        query: String,
        /// Expected value as text.
        equals: String,
    },
    /// A command ends well and its output contains a text.
    Command {
        /// What to run.
        command: CommandSpec,
        /// Text stdout must contain; empty: any.
        contains: String,
    },
    /// The log since this attempt's start holds what it must and nothing it must not.
    Log {
        /// The file.
        file: String,
        /// Regular expressions, each must match some line.
        must: Vec<String>,
        /// Regular expressions, none may match any line.
        must_not: Vec<String>,
    },
}

/// See [`Action::Run`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCommand {
    /// What to run.
    pub command: CommandSpec,
    /// Proves that it was done; asked before (already done?) and after.
    pub done: Vec<Probe>,
}
