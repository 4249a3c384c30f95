//! The words of why something waits, fails or stands still. Each has a page in `deploy/errors/` of its own name, so that
//! `lockkeeper explain WORD` answers; codes of agents (`LK5xxx`) stand beside them and have theirs.

use std::fmt;

macro_rules! words {
    ($($(#[$doc:meta])* $variant:ident = $word:literal;)*) => {
        /// Why something of a rollout does not go on, or goes on by itself.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Word { $($(#[$doc])* $variant,)* }

        impl Word {
            /// Every word.
            pub const ALL: &'static [Word] = &[$(Word::$variant,)*];

            /// The word as people see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Word::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// The rollout halted because an attempt failed.
    StepFailed = "step-failed";
    /// The agent that has a step was not heard of for `lost_after`.
    MemberLost = "member-lost";
    /// The holder of an open grant was not heard of for `lost_after`.
    UpgraderLost = "upgrader-lost";
    /// An assignment is past its hard deadline and its agent says nothing.
    NoAnswer = "no-answer";
    /// A setting was given back, but reads differently.
    OwedDiffers = "owed-differs";
    /// The rollout as a whole stands still until a person decides.
    Halted = "halted";
    /// A person stopped it at a step boundary.
    Paused = "paused";
    /// Steps before it are not done.
    Order = "order";
    /// Another member passes the serial run.
    Serial = "serial";
    /// An agent works on it.
    UnderWay = "under-way";
    /// It can be handed out now.
    Ready = "ready";
    /// Facts that the approval rests on have changed.
    FactsChanged = "facts-changed";
    /// The only agent that may do it is silent.
    MemberAway = "member-away";
    /// No agent that may work a shared target is heard of.
    NoExecutor = "no-executor";
    /// No member that may upgrade a database is heard of.
    NoUpgrader = "no-upgrader";
    /// The step belongs to a grant, and none is open.
    NoGrant = "no-grant";
    /// The plan says something that cannot be done.
    BadPlan = "bad-plan";
    /// The group was recovered without its quorum; everything is looked at anew.
    Recovered = "recovered";
    /// Another group under the same name has acted on a database; one of both is a copy.
    TwinGroup = "twin-group";
    /// A rolling plan would leave fewer members in a balancer than the capacity floor.
    CapacityFloor = "capacity-floor";
    /// A restore would give up rows that nobody accepted to lose.
    LossNotAccepted = "loss-not-accepted";
    /// All is done that may be done, and what was taken is not given back.
    StillOwed = "still-owed";
    /// Another migration tool holds a lock in a target database.
    ForeignLock = "foreign-lock";
    /// A machine's clock is off.
    ClockSkew = "clock-skew";
    /// A disk has little room left.
    DiskLow = "disk-low";
    /// A member is out of a balancer while no rollout is under way.
    LeftOut = "left-out";
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<Word> for String {
    fn from(word: Word) -> String {
        word.as_str().to_owned()
    }
}
