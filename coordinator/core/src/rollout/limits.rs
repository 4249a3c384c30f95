//! Bounds of the replicated state, each with its reason.

/// Answers kept for repeated requests of people; their clients repeat within seconds. What agents repeat needs no
/// memory: an outcome names its attempt and token.
pub const REQUESTS_KEPT: usize = 256;

/// Finished rollouts kept whole for `history` and `status`. Each holds its plan (about 1 KiB a step).
pub const ROLLOUTS_KEPT: usize = 5;

/// Events kept of one rollout. A step makes about three and 50 members have about 450 steps. The state is copied
/// on write while somebody watches it, so this is also a bound on that copy.
pub const EVENTS_KEPT: usize = 4_000;

/// Captured values and evidence, in bytes. They are on every member, so that break-glass needs one directory only.
pub const TEXT_MAX: usize = 4096;

/// Outputs of one step.
pub const OUTPUTS_MAX: usize = 16;

/// Join tokens that may be open at a time: more than members plus witnesses of the largest cluster (50).
pub const JOIN_TOKENS_MAX: usize = 128;

/// Marks of effects kept for each database. A database's ledger is marked by every one of them that lands, so only that many
/// in a row that never reached it would make a group forget its own; the largest cluster (50 members) makes about 250 in
/// a rollout. Each has about 60 bytes.
pub const MARKS_KEPT: usize = 256;

/// Operators the group remembers, revoked ones for ever: ten times the people who ever work on one cluster.
pub const OPERATORS_MAX: usize = 1_000;

/// Authorities trusted at once: old and new while one is replaced, and two to spare; as many as the transport takes.
pub const AUTHORITIES_MAX: usize = 4;

/// Plans with approvals that were not applied yet.
pub const APPROVED_PLANS_MAX: usize = 64;

/// Grants given by the plan's policy in a row, without a person. Whoever loses three upgraders one after another has
/// something that no fourth one mends.
pub const REGRANTS_MAX: u32 = 3;
