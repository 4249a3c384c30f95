//! Bounds of the coordinator, each with its reason.

use lockkeeper_core::time::Millis;

/// One proposal or linearizable read, from the caller's view. Covers an election (1.2 s) twice and a forward.
pub const REQUEST_DEADLINE: Millis = Millis::from_secs(5);

/// One try of a forward to the leader; shorter than the deadline, so that another leader can be tried.
pub const FORWARD_DEADLINE: Millis = Millis(1_500);

/// Pause between tries when nobody leads: a quarter of the shortest election time-out.
pub const NO_LEADER_PAUSE: Millis = Millis(100);

/// How often the leader looks even when nothing changed: bounds how late a lost member is noticed.
pub const LEADER_TICK: Millis = Millis(250);

/// How often the leader repeats a proposal that it already made and that has not shown in the state yet.
pub const REPEAT_AFTER: Millis = Millis(2_000);

/// How often an agent gives a sign of life. `lost_after` is 10 s by default, so nine may be lost in a row.
pub const BEAT_EVERY: Millis = Millis(1_000);

/// The largest group whose leader tells everybody what it has heard of whom, once a second: about 3 kB to each of 50. In
/// larger ones those who want to know ask the leader.
pub const SIGHTINGS_TOLD_MAX: usize = 50;

/// Largest encoded envelope. A plan for 1,000 members has about 9,000 steps of about 600 bytes.
pub const ENVELOPE_MAX: usize = 16 << 20;

/// Largest answer an API gives or takes: the state with its plans, see [`ENVELOPE_MAX`].
pub const MESSAGE_MAX: usize = 32 << 20;

/// A join token's longest life.
pub const JOIN_TOKEN_MAX: Millis = Millis::from_secs(24 * 3600);

/// Addresses told to those who join and to operators: one per voter of the largest group.
pub const ADDRESSES_TOLD: usize = 5;
