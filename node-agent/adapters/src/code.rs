//! Every code a failure of the host can carry, each with a page in `deploy/errors/`.
//!
//! Processes are LK50xx, services LK51xx, files and probes LK53xx, secrets and templates LK54xx, balancers LK55xx, isolation
//! LK56xx; LK52xx are
//! the databases' own (`database::code`). A number is never reused.

use lockkeeper_agent::host::Failure;

/// What went wrong on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostCode {
    /// A unit ended without leaving a result.
    UnitDied,
    /// A unit's command ended with another status than the plan allows.
    CommandFailed,
    /// A command was ended because it took longer than its limit.
    CommandTimedOut,
    /// A command could not be started at all.
    CommandNotStarted,
    /// A unit was ended because its agent was lost.
    AgentLost,
    /// A unit was ended on request.
    UnitKilled,
    /// A process or group is still there after SIGKILL.
    NotGone,
    /// The spool directory could not be read or written.
    Spool,
    /// A stored file of this host does not read back.
    SpoolDamaged,
    /// The service is in a state that the plan does not expect.
    ServiceState,
    /// The service's status command answered neither running nor stopped.
    ServiceUnknown,
    /// The application could not be started.
    ServiceNotStarted,
    /// The balancer's runtime API did not answer, or in time.
    BalancerUnreachable,
    /// The balancer refused a command.
    BalancerRefused,
    /// The balancer's answer could not be read.
    BalancerAnswer,
    /// The backend has no such server.
    BalancerNoServer,
    /// What was set at the balancer did not read back.
    BalancerReadBack,
    /// The host was paused for so long that acting on would be acting late.
    ActingLate,
    /// A captured value is not one this host writes.
    CapturedValue,
    /// A file or directory could not be read or written.
    Files,
    /// The release directory already holds something else.
    ReleaseOccupied,
    /// The release differs from what was expected.
    ReleaseDiffers,
    /// A schema that is relied on does not read what the new version brings.
    SchemaNotFinished,
    /// A probe answered something else than expected.
    ProbeFailed,
    /// A probe is written so that it can never be tried.
    ProbeInvalid,
    /// A secret's reference could not be resolved.
    SecretUnresolved,
    /// A secret's file may be read by others.
    SecretExposed,
    /// A text holds a placeholder that nothing fills.
    PlaceholderUnknown,
    /// A secret would have ended up in an argument list.
    PlaceholderExposed,
    /// The plan names a target the work does not carry.
    TargetMissing,
    /// `nft` or `ss` refused what isolation needs.
    IsolationRefused,
    /// The rules in the kernel are not those that were put there.
    IsolationReadBack,
    /// Something forbidden can be reached.
    IsolationLeak,
    /// What proves isolation cannot be seen.
    IsolationBlind,
}

impl HostCode {
    /// Every code, in the order of their numbers.
    pub const ALL: &'static [HostCode] = &[
        HostCode::UnitDied,
        HostCode::CommandFailed,
        HostCode::CommandTimedOut,
        HostCode::CommandNotStarted,
        HostCode::AgentLost,
        HostCode::UnitKilled,
        HostCode::NotGone,
        HostCode::Spool,
        HostCode::SpoolDamaged,
        HostCode::ServiceState,
        HostCode::ServiceUnknown,
        HostCode::ServiceNotStarted,
        HostCode::BalancerUnreachable,
        HostCode::BalancerRefused,
        HostCode::BalancerAnswer,
        HostCode::BalancerNoServer,
        HostCode::BalancerReadBack,
        HostCode::ActingLate,
        HostCode::CapturedValue,
        HostCode::Files,
        HostCode::ReleaseOccupied,
        HostCode::ReleaseDiffers,
        HostCode::ProbeFailed,
        HostCode::ProbeInvalid,
        HostCode::SchemaNotFinished,
        HostCode::SecretUnresolved,
        HostCode::SecretExposed,
        HostCode::PlaceholderUnknown,
        HostCode::PlaceholderExposed,
        HostCode::TargetMissing,
        HostCode::IsolationRefused,
        HostCode::IsolationReadBack,
        HostCode::IsolationLeak,
        HostCode::IsolationBlind,
    ];

    /// The code as people read it, and the name of its page.
    pub const fn as_str(self) -> &'static str {
        match self {
            HostCode::UnitDied => "LK5001",
            HostCode::CommandFailed => "LK5002",
            HostCode::CommandTimedOut => "LK5003",
            HostCode::CommandNotStarted => "LK5004",
            HostCode::AgentLost => "LK5005",
            HostCode::UnitKilled => "LK5006",
            HostCode::NotGone => "LK5007",
            HostCode::Spool => "LK5008",
            HostCode::SpoolDamaged => "LK5009",
            HostCode::ServiceState => "LK5101",
            HostCode::ServiceUnknown => "LK5102",
            HostCode::ServiceNotStarted => "LK5103",
            HostCode::BalancerUnreachable => "LK5501",
            HostCode::BalancerRefused => "LK5502",
            HostCode::BalancerAnswer => "LK5503",
            HostCode::BalancerNoServer => "LK5504",
            HostCode::BalancerReadBack => "LK5505",
            HostCode::ActingLate => "LK5506",
            HostCode::CapturedValue => "LK5507",
            HostCode::Files => "LK5301",
            HostCode::ReleaseOccupied => "LK5302",
            HostCode::ReleaseDiffers => "LK5303",
            HostCode::ProbeFailed => "LK5351",
            HostCode::ProbeInvalid => "LK5352",
            HostCode::SchemaNotFinished => "LK5353",
            HostCode::SecretUnresolved => "LK5401",
            HostCode::SecretExposed => "LK5402",
            HostCode::PlaceholderUnknown => "LK5403",
            HostCode::PlaceholderExposed => "LK5404",
            HostCode::TargetMissing => "LK5405",
            HostCode::IsolationRefused => "LK5601",
            HostCode::IsolationReadBack => "LK5602",
            HostCode::IsolationLeak => "LK5603",
            HostCode::IsolationBlind => "LK5604",
        }
    }

    /// A failure with this code.
    pub fn failure(self, text: impl Into<String>) -> Failure {
        Failure { code: self.as_str().to_owned(), text: text.into() }
    }
}

impl std::fmt::Display for HostCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, path::Path};

    #[test]
    fn every_code_is_listed_once_and_has_a_page_of_its_own() {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/errors");
        let codes: BTreeSet<&str> = HostCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), HostCode::ALL.len(), "two codes share a number");
        for code in &codes {
            let page = pages.join(format!("{code}.md"));
            let text = std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
            assert!(text.starts_with(&format!("# {code}")), "{} must begin with its code", page.display());
        }
        for entry in std::fs::read_dir(&pages).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let Some(code) =
                name.strip_suffix(".md").filter(|c| c.starts_with("LK5") && !c.starts_with("LK52"))
            {
                assert!(codes.contains(code), "{name} has no HostCode");
            }
        }
    }

    #[test]
    fn the_list_holds_every_variant() {
        let source = include_str!("code.rs");
        let arms = source
            .lines()
            .filter(|l| l.trim_start().starts_with("HostCode::") && l.contains("=> \"LK5"))
            .count();
        assert_eq!(arms, HostCode::ALL.len(), "a variant is missing in ALL");
    }
}
