//! The codes of faults in cluster files, profiles and plans; each has a page in `deploy/errors/`.

use super::Severity;
use serde::{Serialize, Serializer};
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $severity:ident;)*) => {
        /// Which rule was broken. `LK1xxx`: cluster and profile files. `LK2xxx`: plans and the linter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FaultCode { $($(#[$doc])* $variant,)* }

        impl FaultCode {
            /// Every code.
            pub const ALL: &'static [FaultCode] = &[$(FaultCode::$variant,)*];

            /// The code as people see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(FaultCode::$variant => $code,)* }
            }

            /// How bad breaking this rule is.
            pub const fn severity(self) -> Severity {
                match self { $(FaultCode::$variant => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    // The document: what any file may get wrong.
    /// The text is not TOML.
    Syntax = "LK1001", Error;
    /// A key or table is there twice.
    DuplicateKey = "LK1002", Error;
    /// A member or witness is there twice.
    DuplicateMember = "LK1003", Error;
    /// The file is larger than any honest one.
    FileTooLarge = "LK1004", Error;
    /// A value of another type than asked for.
    WrongType = "LK1005", Error;
    /// A key that must be there is not.
    MissingKey = "LK1006", Error;
    /// A key nobody reads.
    UnknownKey = "LK1007", Error;

    // Values.
    /// Not a name.
    BadName = "LK1101", Error;
    /// Not a version.
    BadVersion = "LK1102", Error;
    /// Not a duration.
    BadDuration = "LK1103", Error;
    /// Not an address.
    BadAddress = "LK1104", Error;
    /// A word outside the list.
    BadWord = "LK1105", Error;
    /// A number outside its bounds.
    OutOfRange = "LK1106", Error;
    /// A secret was written down instead of a reference to it.
    SecretValue = "LK1107", Error;
    /// Not a reference to a secret.
    BadSecretRef = "LK1108", Error;
    /// A placeholder nobody knows, or one that has no meaning at its place.
    BadPlaceholder = "LK1109", Error;
    /// Known, but not by this version of Lockkeeper.
    NotSupported = "LK1110", Error;
    /// A text that must say something is empty, or a path is not absolute.
    BadText = "LK1111", Error;

    // The cluster as a whole.
    /// Two agents with one address.
    DuplicateAddress = "LK1201", Error;
    /// A name that is not in the file.
    UnknownReference = "LK1202", Error;
    /// The capacity floor leaves nothing to upgrade.
    CapacityFloor = "LK1203", Error;
    /// An even number of voters.
    EvenVoters = "LK1204", Error;
    /// More than five voters.
    TooManyVoters = "LK1205", Error;
    /// No such profile.
    UnknownProfile = "LK1206", Error;
    /// The profile asks for a parameter that is not there.
    MissingParameter = "LK1207", Error;
    /// A parameter the profile does not know.
    UnknownParameter = "LK1208", Error;
    /// A parameter of another type than the profile asks for.
    ParameterType = "LK1209", Error;
    /// A database server without an administrator's login.
    MissingAdmin = "LK1210", Error;
    /// A door the engine does not have.
    DoorNotForEngine = "LK1211", Error;
    /// A database's instances do not fit its engine.
    BadInstances = "LK1212", Error;
    /// A login that would pass through the shut door is shared.
    SharedLogin = "LK1213", Error;
    /// A login door, but the product cannot be told a login.
    CredentialMissing = "LK1214", Error;
    /// Two members behind one server of a balancer.
    SharedServer = "LK1215", Error;
    /// No member has the role the profile's upgrader must have.
    NoUpgrader = "LK1216", Error;
    /// A cluster without members.
    NoMembers = "LK1217", Error;
    /// Policies that contradict each other.
    PolicyConflict = "LK1218", Error;

    // Worth knowing.
    /// Two voters on one host.
    VotersShareHost = "LK1310", Warning;
    /// A member behind no balancer although there are balancers.
    NotBalanced = "LK1311", Warning;
    /// One loss stops the group.
    OneVoter = "LK1312", Warning;
    /// A shared target with one possible executor.
    OneExecutor = "LK1313", Warning;

    // Profiles.
    /// A profile names a step nobody knows.
    UnknownStep = "LK1401", Error;
    /// A profile of another format.
    ProfileFormat = "LK1402", Error;
    /// A run-time placeholder where only texts known beforehand may stand.
    RuntimePlaceholder = "LK1403", Error;
    /// A password in an argument list, where every process of the host can read it.
    PasswordInArguments = "LK1404", Error;
    /// A profile names a parameter it does not declare.
    UndeclaredParameter = "LK1405", Error;
    /// A ladder that leads nowhere.
    BadLadder = "LK1406", Error;
    /// A step that does not fit its target or lacks what it needs.
    BadStep = "LK1407", Error;
    /// A step only the planner may place.
    ReservedStep = "LK1408", Error;
    /// Two stages or profiles of one name.
    DuplicateName = "LK1409", Error;
    /// Stages that leave out what every offline upgrade must do.
    IncompleteProfile = "LK1410", Error;

    // Plans.
    /// All members and databases are where they shall be.
    NothingToDo = "LK2001", Warning;
    /// The target is below what is installed.
    Downgrade = "LK2002", Error;
    /// No way up the profile's ladder.
    OffLadder = "LK2003", Error;
    /// More than one hop.
    ManyHops = "LK2004", Error;
    /// Members stand at different versions.
    MixedVersions = "LK2005", Error;
    /// A member's agent or version was not seen.
    MemberNotObserved = "LK2006", Error;
    /// A database was not seen.
    DatabaseNotObserved = "LK2007", Error;
    /// An agent that cannot do what the plan needs of it.
    ActionNotAnnounced = "LK2008", Error;
    /// Staged releases differ between members.
    ReleasesDiffer = "LK2009", Error;
    /// Nobody may act on a shared target.
    NoExecutor = "LK2010", Error;
    /// Nobody may upgrade a database.
    NobodyMayUpgrade = "LK2011", Error;
    /// A text of the profile could not be filled in.
    Unfilled = "LK2012", Error;
    /// A text for the elected upgrader differs between the members that may be elected.
    DependsOnElection = "LK2013", Error;
    /// More steps than a plan may have.
    PlanTooLarge = "LK2014", Error;
    /// Fewer than two possible executors are in order.
    FewExecutors = "LK2015", Warning;
    /// One loss stops the rollout.
    OneLossStops = "LK2016", Warning;
    /// A rolling plan between versions that may not have one schema.
    RollingSchema = "LK2018", Error;
    /// A rolling plan for members that cannot be missed.
    RollingCapacity = "LK2019", Error;
    /// A database is upgraded already, and an ordinary plan would upgrade it again.
    SchemaFinished = "LK2040", Error;
    /// Whether a schema is finished cannot be said.
    AdoptUnjudged = "LK2041", Error;
    /// A half-upgraded database cannot be adopted.
    AdoptTouched = "LK2042", Error;
    /// A plan file is not what Lockkeeper wrote (`plan-altered`).
    PlanAltered = "LK2020", Error;
    /// A plan file of another format.
    PlanFormat = "LK2021", Error;
    /// A plan file that is no plan.
    PlanUnreadable = "LK2022", Error;
    /// The world is no longer as the plan says (`stale plan`).
    StalePlan = "LK2023", Error;

    // The linter's laws.
    /// Numbers are not 1, 2, 3 … or an edge leads nowhere or round.
    LawOrder = "LK2101", Error;
    /// A member is stopped before it is drained.
    LawDrainBeforeStop = "LK2102", Error;
    /// A database is touched while a member may still write.
    LawStopBeforeDatabase = "LK2103", Error;
    /// A database is upgraded without a backup that was proven.
    LawBackupBeforeUpgrade = "LK2104", Error;
    /// A grant is opened before the door is shut.
    LawDoorBeforeGrant = "LK2105", Error;
    /// A grant's steps are incomplete or out of order.
    LawGrantWhole = "LK2106", Error;
    /// Not exactly one point of no return for a database.
    LawOneUpgrade = "LK2107", Error;
    /// A grant's door worked by its own holder.
    LawExecutorNotHolder = "LK2108", Error;
    /// Something owed is not given back on the way forward.
    LawOwedForward = "LK2109", Error;
    /// Something owed has no undo.
    LawOwedUndo = "LK2110", Error;
    /// Members may start at the same time, or the first is not the upgrader.
    LawSerialStart = "LK2111", Error;
    /// A member is admitted before it is proven.
    LawProofBeforeAdmit = "LK2112", Error;
    /// A secret stands in a plan.
    LawNoSecret = "LK2113", Error;
    /// A password placeholder in an argument list.
    LawNoPasswordArgument = "LK2114", Error;
    /// An undo that belongs to a step after the point of no return.
    LawUndoBeforeNoReturn = "LK2115", Error;
    /// A login door without a way to deliver the login.
    LawCredentialDelivered = "LK2116", Error;
    /// A shared target has no executor or only one.
    LawTwoExecutors = "LK2117", Error;
    /// A member starts before the door is open again or its release is switched.
    LawOpenBeforeStart = "LK2118", Error;
    /// A member is left out of a part of the way.
    LawNobodyForgotten = "LK2119", Error;
    /// A deadline that is no limit.
    LawDeadlines = "LK2120", Error;
    /// Users are put out before everything is staged.
    LawStagedBeforeOutage = "LK2121", Error;
    /// A rolling plan has more than one member out, too few in, or something to do at a database.
    LawRolling = "LK2122", Error;
    /// The way back after the point of no return is not whole.
    LawRestoreWhole = "LK2130", Error;
    /// The way back after the point of no return has another order.
    LawRestoreOrder = "LK2131", Error;
    /// An adopted plan upgrades, backs up or restores.
    LawAdoptedNoUpgrade = "LK2140", Error;
    /// An adopted plan relies on a schema that is not judged before.
    LawAdoptedJudged = "LK2141", Error;
    /// An adopted plan lets an old release run against the new schema.
    LawAdoptedOldOut = "LK2142", Error;
    /// An adopted plan leaves a member out of a part of the way.
    LawAdoptedWhole = "LK2143", Error;
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for FaultCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
