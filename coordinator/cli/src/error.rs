//! What can go wrong on the command line itself. Each variant has a code and a page in `deploy/errors/`; errors of
//! the layers below keep their own codes.

use crate::{exit::Exit, node::NodeError};
use lockkeeper_agent::{host::Failure, identity::IdentityError};
use lockkeeper_coordinator::pki::{PkiError, TokenError, enrol::EnrolError};
use lockkeeper_core::ids::{ClusterId, MemberName};
use lockkeeper_proto::transport::TransportError;
use std::{borrow::Cow, io, path::PathBuf, time::Duration};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Nothing says where the cluster is.
    #[error("no cluster is known on this machine: no agent's socket at {}, no context in {}", socket.display(), contexts.display())]
    NoWay {
        /// Where the socket would be.
        socket: PathBuf,
        /// Where contexts would be.
        contexts: PathBuf,
    },
    /// More than one context, and none was named.
    #[error("{} holds contexts of several clusters: {names}", contexts.display())]
    Ambiguous {
        /// Where they are.
        contexts: PathBuf,
        /// Their names.
        names: String,
    },
    /// The named context is not there.
    #[error("there is no context {name}: {} does not exist", path.display())]
    NoContext {
        /// As it was given.
        name: String,
        /// The file looked for.
        path: PathBuf,
    },
    /// No agent gave an answer.
    #[error("cannot {what}: {}", tried.join("; "))]
    NoAnswer {
        /// What was asked.
        what: &'static str,
        /// Each way with its reason.
        tried: Vec<String>,
        /// Code of the last reason, for the remedy.
        last: Option<String>,
    },
    /// An agent answered with an error.
    #[error("cannot {what}: {text}")]
    Answered {
        /// What was asked.
        what: &'static str,
        /// Its code.
        code: Option<String>,
        /// Its words.
        text: String,
    },
    /// An answer this build does not understand.
    #[error("the agent's answer to {what:?} cannot be read: {reason}")]
    BadAnswer {
        /// What was asked.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Something else is there already.
    #[error("{} is there already and holds something else", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// A file larger than any honest one.
    #[error("{} has more than {limit} bytes", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// Nobody can be asked, and `--yes` was not given.
    #[error("this is not a terminal, so nobody can be asked")]
    NeedsYes,
    /// The person said no.
    #[error("not confirmed: nothing was changed")]
    Declined,
    /// Neither a code with a page nor a step's number.
    #[error("nothing is known of {0:?}: it is neither a code with a page nor the number of a step")]
    UnknownCode(String),
    /// There was never a rollout.
    #[error("there is no rollout to look into")]
    NoRollout,
    /// The rollout has no such step.
    #[error("rollout {rollout} has no step {step}; it has the steps 1 to {last}")]
    NoStep {
        /// Which rollout.
        rollout: u64,
        /// Asked for.
        step: u32,
        /// The highest number.
        last: u32,
    },
    /// Following ended because nobody answered.
    #[error("no agent has answered for {} s; the rollout goes on without this command", silence.as_secs())]
    LostSight {
        /// For how long.
        silence: Duration,
    },
    /// Without a home directory there is no place for contexts.
    #[error("this user has no home directory, so there is no place for contexts")]
    NoHome,
    /// The output could not be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// The process could not be set up.
    #[error("cannot {action}")]
    Start {
        /// What was attempted.
        action: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The plan file is not what it says.
    #[error("{} is not a plan file as it was written: {reason}", path.display())]
    BadPlan {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The name on the command line is not the one in `agent.toml`.
    #[error("{} says this node is {settings}, the command line says {given}", path.display())]
    OtherName {
        /// The settings.
        path: PathBuf,
        /// Its name there.
        settings: MemberName,
        /// Its name on the command line or in the token.
        given: MemberName,
    },
    /// Something on this machine.
    #[error("{}", .0.text)]
    Host(Failure),
    /// The command needs an approver's certificate of this node's cluster.
    #[error("this needs --context with the certificate of an approver of cluster {cluster}: {why}")]
    NoApprover {
        /// The node's cluster.
        cluster: ClusterId,
        /// What is wrong with the one given.
        why: String,
    },
    /// This node stands in quarantine.
    #[error("{text}")]
    Quarantined {
        /// The reason's code.
        code: &'static str,
        /// The reason.
        text: String,
    },
    /// There is no log store where one should be.
    #[error("there is no log store at {}", path.display())]
    NoStore {
        /// Where it should be.
        path: PathBuf,
    },
    /// The log store cannot be read.
    #[error("the log store {} cannot be read: {reason}", path.display())]
    StoreUnread {
        /// Which.
        path: PathBuf,
        /// Why, with its causes.
        reason: String,
    },
    /// The survivors named are not what this node knows.
    #[error("{0}")]
    NotASurvivor(String),
    /// Another survivor has, or may have, the longer log.
    #[error("{0}")]
    LongerLog(String),
    /// The survivors can still decide.
    #[error("the survivors are a quorum of the voters: the group goes on by itself")]
    StillQuorum,
    /// The state does not allow it.
    #[error("no new generation can be made: {0}")]
    CannotRecover(String),
    /// The audit's chain is broken, or two do not fit together.
    #[error("the audit of {whose} is not what was written: {text}")]
    Audit {
        /// An agent, a file or a data directory.
        whose: String,
        /// Its code.
        code: &'static str,
        /// Where and how.
        text: String,
    },
    /// A record is not one, or playing it gives something else.
    #[error("{whose}: {text}")]
    Record {
        /// An agent, a file or a data directory.
        whose: String,
        /// Its code.
        code: &'static str,
        /// What and where.
        text: String,
    },
    /// A data directory that cannot be read from outside.
    #[error("cannot read the store in {}: {reason}", path.display())]
    Data {
        /// The directory.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Certificates and their files.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A join token's text.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Joining.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// This node's identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// This node's files, or the agent.
    #[error(transparent)]
    Node(Box<NodeError>),
    /// Our own certificate, or the way to an agent.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl CliError {
    /// The code under which it is explained; of the layer it comes from if that has one.
    pub fn code(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            CliError::NoWay { .. } => "LK7001",
            CliError::Ambiguous { .. } => "LK7002",
            CliError::NoContext { .. } => "LK7003",
            CliError::NoAnswer { .. } => "LK7004",
            CliError::Answered { code, .. } => code.as_deref().unwrap_or("LK7005"),
            CliError::BadAnswer { .. } => "LK7006",
            CliError::Read { .. } => "LK7007",
            CliError::Write { .. } => "LK7008",
            CliError::Exists { .. } => "LK7009",
            CliError::TooLarge { .. } => "LK7010",
            CliError::NeedsYes => "LK7011",
            CliError::Declined => "LK7012",
            CliError::UnknownCode(_) => "LK7013",
            CliError::NoRollout => "LK7014",
            CliError::NoStep { .. } => "LK7015",
            CliError::LostSight { .. } => "LK7016",
            CliError::NoHome => "LK7017",
            CliError::Output(_) => "LK7018",
            CliError::Start { .. } => "LK7019",
            CliError::BadPlan { .. } => "LK7020",
            CliError::OtherName { .. } => "LK7021",
            CliError::Host(failure) => return Cow::Borrowed(failure.code.as_str()),
            CliError::NoApprover { .. } => "LK7022",
            CliError::Quarantined { code, .. } => *code,
            CliError::NoStore { .. } => "LK7401",
            CliError::StoreUnread { .. } => "LK7402",
            CliError::NotASurvivor(_) => "LK7403",
            CliError::LongerLog(_) => "LK7404",
            CliError::StillQuorum => "LK7405",
            CliError::CannotRecover(_) => "LK7406",
            CliError::Audit { code, .. } | CliError::Record { code, .. } => code,
            CliError::Data { .. } => "LK3608",
            CliError::Pki(error) => error.code(),
            CliError::Token(error) => error.code(),
            CliError::Enrol(error) => error.code(),
            CliError::Transport(error) => error.code(),
            CliError::Identity(error) => error.code(),
            // Its messages begin with their codes, those of the layers below included.
            CliError::Node(error) => {
                return Cow::Owned(code_in(&error.to_string()).unwrap_or("LK7019").to_owned());
            }
        })
    }

    /// The code whose page says what to do: behind a connection that failed it is the connection's.
    pub fn advice(&self) -> Cow<'_, str> {
        match self {
            CliError::NoAnswer { last: Some(code), .. } => Cow::Borrowed(code),
            other => other.code(),
        }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            CliError::NeedsYes => Exit::Usage,
            CliError::NoApprover { .. } | CliError::Quarantined { .. } => Exit::Blocked,
            // A decision of the group, not a breakage: the same as a rejected command.
            CliError::Answered { code: Some(code), .. } if code.starts_with("LK30") => Exit::Rejected,
            // The agent stands in quarantine: a person, or a peer, has to say something first.
            CliError::Answered { code: Some(code), .. } if matches!(code.as_str(), "LK6207" | "LK6212" | "LK6215") => {
                Exit::Blocked
            }
            CliError::Enrol(
                EnrolError::UnknownToken
                | EnrolError::ExpiredToken
                | EnrolError::UsedToken
                | EnrolError::OtherMember
                | EnrolError::OtherCluster,
            ) => Exit::Rejected,
            _ => Exit::Error,
        }
    }
}

impl From<NodeError> for CliError {
    // Boxed, because it is by far the largest.
    fn from(error: NodeError) -> Self {
        CliError::Node(Box::new(error))
    }
}

/// The code a message begins with.
fn code_in(message: &str) -> Option<&str> {
    let (code, _) = message.split_once(": ")?;
    (code.len() == 6 && code.starts_with("LK")).then_some(code)
}
