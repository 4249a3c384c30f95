//! What a checked profile says: product knowledge as data.

use super::{ladder::Ladder, place::Place, template::Template};
use crate::{
    cluster::Parameter,
    ids::{Digest, ProfileName},
    plan::{ActionKind, Phase},
};
use std::collections::BTreeMap;

/// A profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name.
    pub name: ProfileName,
    /// One sentence about the product.
    pub about: String,
    /// BLAKE3 of its text.
    pub digest: Digest,
    /// What it asks the cluster file for, by dotted key.
    pub parameters: BTreeMap<String, ParameterDecl>,
    /// Which jumps the vendor supports.
    pub ladder: Ladder,
    /// Versions that have one schema: texts of versions with spaces between them, one for each schema. Between them
    /// members may be upgraded one by one while others run.
    pub same_schema: Vec<Template>,
    /// Who may upgrade a database.
    pub upgrader: Eligible,
    /// Where releases lie.
    pub release: ReleaseLayout,
    /// How the application is worked; the first that applies.
    pub service: Vec<Alternative<ServiceTemplate>>,
    /// How the installed version is found; the first that applies.
    pub version: Vec<Alternative<VersionTemplate>>,
    /// How the schema's version is found.
    pub schema: Option<SchemaTemplate>,
    /// How the upgrade tool is told its login; the first that applies, else it is told none.
    pub credential: Vec<Alternative<CredentialTemplate>>,
    /// The way forward.
    pub stages: Vec<Stage>,
    /// The way back before the point of no return.
    pub undo: Vec<Stage>,
    /// For each parameter what may stand in it, from all the places it is used at.
    pub(crate) uses: BTreeMap<String, Place>,
}

impl Profile {
    /// The steps of the way forward that are of this kind.
    pub fn steps_of(&self, kind: ActionKind) -> impl Iterator<Item = &StepTemplate> {
        self.stages.iter().flat_map(|stage| &stage.steps).filter(move |step| step.kind == kind)
    }
}

/// A parameter the profile asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterDecl {
    /// Its type.
    pub kind: ParameterKind,
    /// Whether the cluster file must say it.
    pub required: bool,
    /// What it is if the cluster file says nothing.
    pub default: Option<Parameter>,
    /// For people.
    pub about: String,
}

/// Types of parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterKind {
    /// A text.
    Text,
    /// One of some words.
    Word(Vec<String>),
    /// A whole number.
    Number,
    /// Yes or no.
    Flag,
    /// A duration such as `10s`.
    Duration,
    /// A list of texts, such as an argument vector.
    List,
    /// A table of texts, such as an environment. Its entries are the parameters `KEY.NAME`.
    Table,
}

impl ParameterKind {
    /// The word used in profiles.
    pub const fn word(&self) -> &'static str {
        match self {
            ParameterKind::Text => "text",
            ParameterKind::Word(_) => "word",
            ParameterKind::Number => "number",
            ParameterKind::Flag => "flag",
            ParameterKind::Duration => "duration",
            ParameterKind::List => "list",
            ParameterKind::Table => "table",
        }
    }
}

/// Who may upgrade a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eligible {
    /// Every member.
    Any,
    /// Members whose label `role` is this.
    Pinned(String),
}

/// Where releases lie on a member.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseLayout {
    /// The directory that holds the releases.
    pub root: Template,
    /// A release's name inside it; `{version}` is the release.
    pub each: Template,
    /// The link that names the release in use, beside the releases unless it is absolute.
    pub link: Template,
    /// Where new releases are copied from; empty: an operator staged them.
    pub source: Template,
}

/// Something that applies under a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative<T> {
    /// When it applies.
    pub when: Condition,
    /// What it is.
    pub what: T,
}

/// A condition on parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Applies always.
    Always,
    /// The parameter is set or has a default.
    Set(String),
    /// The parameter has this value, as text.
    Is(String, String),
}

/// How an application is worked.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a profile has one or two of them")]
pub enum ServiceTemplate {
    /// As a process of its own.
    Process {
        /// What to start.
        command: CommandTemplate,
        /// Where its output goes.
        log: Template,
        /// How long after SIGTERM until SIGKILL.
        stop_wait: Template,
    },
    /// By commands.
    Command {
        /// Starts and returns.
        start: CommandTemplate,
        /// Stops and returns.
        stop: CommandTemplate,
        /// Looks.
        status: CommandTemplate,
    },
}

/// A command.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandTemplate {
    /// Program and arguments; a template that is just a parameter of type list stands for all its texts.
    pub argv: Vec<Template>,
    /// Additional environment.
    pub env: TableTemplate,
    /// Working directory.
    pub dir: Template,
    /// Run by `sh -c`.
    pub shell: bool,
    /// Limit, empty for the default.
    pub timeout: Option<Template>,
    /// Exit codes that mean success.
    pub success: Vec<i32>,
}

/// A table of texts.
#[derive(Debug, Clone, PartialEq)]
pub enum TableTemplate {
    /// Entry by entry.
    Entries(BTreeMap<String, Template>),
    /// All entries of a parameter of type table.
    Parameter(String),
}

/// Ways to find the installed version.
#[derive(Debug, Clone, PartialEq)]
pub enum VersionTemplate {
    /// First line of a file.
    File(Template),
    /// The last path component a link points to.
    Link(Template),
    /// First line of a command's output.
    Command(CommandTemplate),
}

/// How the schema's version is found and judged.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaTemplate {
    /// SQL that answers one value.
    pub query: Template,
    /// The value after the upgrade; empty: any that is not below the one before.
    pub after: Template,
}

/// Ways to tell the upgrade tool its login.
#[derive(Debug, Clone, PartialEq)]
pub enum CredentialTemplate {
    /// In the environment.
    Environment(TableTemplate),
    /// In a file made from a template on the holder's disk.
    FileTemplate(Template),
}

/// Some steps that belong together; one line of the plan for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// For people.
    pub about: String,
    /// What it waits for.
    pub wait: Wait,
    /// Members (or databases) pass one after another.
    pub serial: bool,
    /// With `serial`: the elected upgrader passes first.
    pub first_upgrader: bool,
    /// Where it stands relative to the outage, if the profile says so.
    pub phase: Option<Phase>,
    /// Its steps, in order for each member or database.
    pub steps: Vec<StepTemplate>,
}

impl Stage {
    /// A stage of no profile: neither serial nor in a phase of its own.
    pub fn new(name: &str, wait: Wait, steps: Vec<StepTemplate>) -> Self {
        Self {
            name: name.to_owned(),
            about: String::new(),
            wait,
            serial: false,
            first_upgrader: false,
            phase: None,
            steps,
        }
    }
}

/// What a stage waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Everything before it.
    All,
    /// For each member (or database) only its own earlier steps.
    Own,
}

/// What a step is repeated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Each member.
    Each,
    /// Each database.
    Database,
    /// Each database, done by the holder of its grant.
    Holder,
}

/// A step of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct StepTemplate {
    /// What is done.
    pub kind: ActionKind,
    /// For whom.
    pub on: On,
    /// When it is part of the plan.
    pub when: Condition,
    /// Details of the kinds that have some.
    pub with: With,
    /// Proofs: of a `prove` step itself, of `run` that it was done, of others in a proof step of their own after it.
    pub prove: Option<ProofTemplate>,
    /// How it is undone, for people.
    pub undo: String,
    /// Product facts it rests on.
    pub facts: Vec<String>,
    /// Past it people are told; none for the default.
    pub soft: Option<Template>,
    /// Past it the attempt failed; none for the default.
    pub hard: Option<Template>,
    /// How long it should take; none for the default.
    pub estimate: Option<Template>,
}

impl StepTemplate {
    /// A step of no profile, with nothing but its kind and the default limits.
    pub const fn new(kind: ActionKind, on: On) -> Self {
        Self {
            kind,
            on,
            when: Condition::Always,
            with: With::Nothing,
            prove: None,
            undo: String::new(),
            facts: Vec::new(),
            soft: None,
            hard: None,
            estimate: None,
        }
    }
}

/// Details of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum With {
    /// None.
    Nothing,
    /// Of `upgrade-database`.
    Upgrade {
        /// The vendor's tool.
        command: CommandTemplate,
        /// Whether it can go on with a half-done upgrade.
        resumes: Template,
    },
    /// Of `run`.
    Run {
        /// What to run.
        command: CommandTemplate,
    },
}

/// Proofs that must hold for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct ProofTemplate {
    /// All that apply must pass.
    pub probes: Vec<Alternative<ProbeTemplate>>,
    /// They must pass without a break for this long.
    pub settle: Template,
    /// How often they are tried.
    pub interval: Template,
    /// Past it the member failed.
    pub within: Template,
}

/// A probe.
#[derive(Debug, Clone, PartialEq)]
pub enum ProbeTemplate {
    /// An HTTP answer.
    Http {
        /// The URL.
        url: Template,
        /// Expected status.
        status: Template,
        /// Text the body must contain.
        contains: Template,
        /// Headers that must have this value.
        headers: TableTemplate,
        /// JSON pointer -> value.
        json: TableTemplate,
        /// Limit of one request.
        timeout: Template,
    },
    /// A TCP connect.
    Tcp {
        /// `host:port`.
        address: Template,
        /// Limit of one connect.
        timeout: Template,
    },
    /// A query on every database.
    Sql {
        /// SQL that answers one value.
        query: Template,
        /// Expected value.
        equals: Template,
    },
    /// A command.
    Command {
        /// What to run.
        command: CommandTemplate,
        /// Text stdout must contain.
        contains: Template,
    },
    /// A log.
    Log {
        /// The file.
        file: Template,
        /// Regular expressions that must match.
        must: Vec<Template>,
        /// Regular expressions that must not.
        must_not: Vec<Template>,
    },
}
