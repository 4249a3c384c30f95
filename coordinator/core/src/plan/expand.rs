//! Turns the profile's stages into steps with edges, for every member, database and balancer.

use super::{
    Strategy,
    action::{Action, ActionKind, BalancerServer},
    adopt::{self, For},
    build::Build,
    limits,
    observed::{PlanInput, Servers},
    order::{Lane, Order},
    restore, rolling,
    step::{Deadline, OwedKey, Phase, Serial, Step, Target, Way, Who},
};
use crate::{
    fault::{Fault, FaultCode},
    ids::{DatabaseName, Digest, MemberName, StepId},
    profile::{
        model::{On, Stage, StepTemplate},
        resolve::Unfilled,
        template::Template,
    },
    time::Millis,
    version::Version,
};
use std::collections::{BTreeMap, BTreeSet};

/// The steps of a plan.
pub(super) struct Ways {
    pub(super) steps: Vec<Step>,
    pub(super) undo: Vec<Step>,
    pub(super) restore: Vec<Step>,
}

/// A plan's steps in the making.
pub(super) struct Expansion<'a> {
    input: &'a PlanInput<'a>,
    from: &'a Version,
    upgraders: &'a BTreeMap<DatabaseName, Vec<MemberName>>,
    /// The tree that was staged on some member before. Looked for once: every member's step asks.
    tree: Option<&'a Digest>,
    order: Order,
    steps: Vec<Step>,
    undo: Vec<Step>,
    restore: Vec<Step>,
    phase: Phase,
    /// Members that certainly come after the first is admitted.
    others: BTreeSet<MemberName>,
    /// Which members the present stage is for.
    whom: For,
    /// Servers that an adoption found out of their balancers.
    out: Servers,
    faults: Vec<Fault>,
}

/// What steps made from one template share.
struct Frame<'t> {
    stage: &'t Stage,
    template: &'t StepTemplate,
    way: Way,
}

/// The parts of a step that differ from those of its template's other steps.
struct Made {
    action: Action,
    target: Target,
    who: Who,
    grant: Option<DatabaseName>,
    owes: Option<OwedKey>,
    settles: Option<OwedKey>,
    limits: (Deadline, Millis),
}

impl Made {
    fn new(action: Action, target: Target, who: Who, limits: (Deadline, Millis)) -> Self {
        Self { action, target, who, grant: None, owes: None, settles: None, limits }
    }
}

impl<'a> Expansion<'a> {
    pub(super) fn new(
        input: &'a PlanInput<'a>,
        from: &'a Version,
        upgraders: &'a BTreeMap<DatabaseName, Vec<MemberName>>,
    ) -> Self {
        // A release in use may have grown caches, so it is no measure for others.
        let members = input.cluster.members.keys().filter_map(|m| input.observed.members.get(m));
        let mut staged = members
            .filter(|seen| seen.version.as_ref() != Some(input.to))
            .filter_map(|seen| seen.release.as_ref());
        Self {
            input,
            from,
            upgraders,
            tree: staged.next(),
            order: Order::default(),
            steps: Vec::new(),
            undo: Vec::new(),
            restore: Vec::new(),
            phase: Phase::Before,
            others: BTreeSet::new(),
            whom: For::All,
            out: adopt::found_out(input),
            faults: Vec::new(),
        }
    }

    /// Adds every way: forward, back before the point of no return, and back after it.
    pub(super) fn every_way(&mut self) {
        if self.input.adopt {
            self.adopted();
            return;
        }
        if let Some((forward, back)) = rolling::stages(self.input, self.from) {
            for stage in &forward {
                self.stage(stage, Way::Forward);
            }
            self.turn_back();
            for stage in &back {
                self.stage(stage, Way::Undo);
            }
            return;
        }
        for stage in &self.input.profile.stages {
            self.stage(stage, Way::Forward);
        }
        self.turn_back();
        for stage in &self.input.profile.undo {
            self.stage(stage, Way::Undo);
        }
        self.turn_back();
        for stage in restore::stages(self.input.profile) {
            self.stage(&stage, Way::Restore);
        }
    }

    /// An adoption's ways: forward, and back to an open door. Past it there is nothing to restore.
    fn adopted(&mut self) {
        let new = adopt::new_members(self.input);
        let old: BTreeSet<MemberName> =
            self.input.cluster.members.keys().filter(|m| !new.contains(*m)).cloned().collect();
        for (whom, stage) in adopt::stages(self.input) {
            self.whom = whom;
            self.stage(&stage, Way::Forward);
            // Users are served again: those who follow notice nothing any more.
            if whom == For::New && stage.steps.iter().any(|s| s.kind == ActionKind::Admit) {
                self.others.clone_from(&old);
            }
        }
        self.whom = For::All;
        self.turn_back();
        for stage in adopt::undo(self.input) {
            self.stage(&stage, Way::Undo);
        }
    }

    /// Whether the present stage is about this member.
    fn is_for(&self, member: &MemberName) -> bool {
        let seen = self.input.observed.members.get(member).and_then(|seen| seen.version.as_ref());
        match self.whom {
            For::All => true,
            For::New => seen == Some(self.input.to),
            For::Old => seen != Some(self.input.to),
        }
    }

    /// Steps added from here on lead back and depend on none of those before.
    fn turn_back(&mut self) {
        self.order.restart();
        self.phase = Phase::Outage;
        self.others.clear();
    }

    /// What was made, and what stood in the way.
    pub(super) fn finish(self) -> (Ways, Vec<Fault>) {
        (Ways { steps: self.steps, undo: self.undo, restore: self.restore }, self.faults)
    }

    /// Adds a stage for all its members or databases.
    fn stage(&mut self, stage: &Stage, way: Way) {
        self.order.begin(stage.wait);
        let scope = self.build(way).scope();
        let steps: Vec<&StepTemplate> = stage.steps.iter().filter(|s| scope.holds(&s.when)).collect();
        let first = self.first_database();
        if stage.first_upgrader
            && way == Way::Forward
            && let Some(may) = first.as_ref().and_then(|d| self.upgraders.get(d))
        {
            let may: BTreeSet<&MemberName> = may.iter().collect();
            self.others = self.input.cluster.members.keys().filter(|m| !may.contains(m)).cloned().collect();
        }
        if steps.iter().any(|s| matches!(s.kind, ActionKind::Drain | ActionKind::StopService)) {
            self.phase = Phase::Outage;
        }
        if steps.first().is_some_and(|s| s.on == On::Each) {
            for member in self.input.cluster.members.keys().filter(|m| self.is_for(m)).collect::<Vec<_>>() {
                self.order.enter(Lane::Member(member.clone()));
                for template in &steps {
                    self.on_member(&Frame { stage, template, way }, member, first.as_ref());
                }
            }
        } else {
            for database in self.input.cluster.databases.keys() {
                // Databases have a fixed order, so "one after another" is an edge and no run.
                if !stage.serial {
                    self.order.enter(Lane::Database(database.clone()));
                }
                for template in &steps {
                    self.on_database(&Frame { stage, template, way }, database);
                }
            }
        }
        self.order.end();
    }

    fn build(&self, way: Way) -> Build<'a> {
        let version = match way {
            Way::Forward => self.input.to,
            Way::Undo | Way::Restore => self.from,
        };
        Build::new(self.input, self.from, version, self.tree)
    }

    fn first_database(&self) -> Option<DatabaseName> {
        self.input.cluster.databases.keys().next().cloned()
    }

    fn on_member(&mut self, frame: &Frame<'_>, member: &MemberName, first: Option<&DatabaseName>) {
        let kind = frame.template.kind;
        let build = self.build(frame.way);
        let serial = frame.stage.serial.then(|| Serial {
            run: frame.stage.name.clone(),
            member: member.clone(),
            first: first.filter(|_| frame.stage.first_upgrader).cloned(),
        });
        if matches!(kind, ActionKind::Drain | ActionKind::Admit) {
            let made = self.balancer_steps(frame, member);
            let ids =
                made.into_iter().map(|made| self.push(frame, made, serial.clone(), Some(member))).collect();
            self.order.advance(ids);
            return;
        }
        // After the point of no return it is the new release that is stopped.
        let stops_new =
            (frame.way == Way::Restore || self.rolls_back(frame)) && kind == ActionKind::StopService;
        let made_by = if stops_new { self.build(Way::Forward) } else { build };
        let action = made_by.member_action(frame.template, member);
        let Some(action) = self.taken(frame, action) else { return };
        let limits = self.limits(frame.template, kind);
        let mut made = Made::new(action, Target::Member(member.clone()), Who::Member(member.clone()), limits);
        let service = OwedKey(format!("{member}/service"));
        made.owes = (kind == ActionKind::StopService).then(|| service.clone());
        made.settles = (kind == ActionKind::StartService).then(|| service.clone());
        let id = self.push(frame, made, serial.clone(), Some(member));
        self.order.advance(vec![id]);
        if kind == ActionKind::Prove || kind == ActionKind::Run {
            return;
        }
        if let Some(proof) = &frame.template.prove {
            let prove = build.prove(proof, member);
            let Some(prove) = self.taken(frame, prove) else { return };
            let hard = self.duration(&proof.within);
            let limits = (
                Deadline { soft: Millis(hard.0 / 2), hard },
                Millis(prove.settle.0.saturating_add(limits::PROOF_ESTIMATE.0)),
            );
            let target = Target::Member(member.clone());
            let mut made = Made::new(Action::Prove(prove), target, Who::Member(member.clone()), limits);
            // On the way back a step is taken only while its key is owed; the start's proof goes with the start.
            let with_start =
                frame.way == Way::Undo && kind == ActionKind::StartService && !self.rolls_back(frame);
            made.settles = with_start.then_some(service);
            let id = self.push(frame, made, serial, Some(member));
            self.order.advance(vec![id]);
        }
    }

    /// One step for every balancer the member is behind.
    fn balancer_steps(&mut self, frame: &Frame<'_>, member: &MemberName) -> Vec<Made> {
        let kind = frame.template.kind;
        let mut all = Vec::new();
        for (name, spec) in &self.input.cluster.balancers {
            let Some(server) = spec.servers.get(member) else { continue };
            let server = BalancerServer {
                balancer: name.clone(),
                member: member.clone(),
                server: server.clone(),
                wait: spec.drain_wait,
            };
            let target = Target::Balancer(name.clone(), member.clone());
            // Who was out before us is not put back for our sake, but let in because it is proven.
            let ours = self.whom != For::New && !self.out.get(name).is_some_and(|o| o.contains_key(member));
            let key = ours.then(|| OwedKey(format!("{name}/{member}")));
            let (mut deadline, mut estimate) = self.limits(frame.template, kind);
            let made = if kind == ActionKind::Drain {
                deadline.soft = Millis(deadline.soft.0.saturating_add(spec.drain_wait.0));
                deadline.hard =
                    deadline.hard.max(Millis(spec.drain_wait.0.saturating_add(limits::DRAIN_MARGIN.0)));
                estimate = estimate.max(spec.drain_wait);
                Made {
                    owes: key,
                    ..Made::new(Action::Drain(server), target, Who::Executor, (deadline, estimate))
                }
            } else {
                Made {
                    settles: key,
                    ..Made::new(Action::Admit(server), target, Who::Executor, (deadline, estimate))
                }
            };
            all.push(made);
        }
        all
    }

    fn on_database(&mut self, frame: &Frame<'_>, database: &DatabaseName) {
        let kind = frame.template.kind;
        let build = self.build(frame.way);
        let target = Target::Database(database.clone());
        let limits = self.limits(frame.template, kind);
        let door = OwedKey(format!("{database}/door"));
        if kind == ActionKind::UpgradeDatabase {
            let none = Vec::new();
            let may = self.upgraders.get(database).unwrap_or(&none);
            let upgrade = build.upgrade(frame.template, database, may);
            let Some(upgrade) = self.taken(frame, upgrade) else { return };
            self.grant_group(
                frame,
                database,
                Made::new(Action::UpgradeDatabase(upgrade), target, Who::Holder(database.clone()), limits),
            );
            return;
        }
        let Some(action) = self.taken(frame, build.database_action(kind, database)) else { return };
        let mut made = Made::new(action, target, Who::Executor, limits);
        made.owes = (kind == ActionKind::ShutDoor).then(|| door.clone());
        made.settles = (kind == ActionKind::OpenDoor).then_some(door);
        let id = self.push(frame, made, None, None);
        self.order.advance(vec![id]);
    }

    /// The steps of a grant: the way in is made, one attempt is made, the way in is taken away.
    fn grant_group(&mut self, frame: &Frame<'_>, database: &DatabaseName, upgrade: Made) {
        let build = self.build(frame.way);
        let holder = Who::Holder(database.clone());
        let around = [
            (ActionKind::MintCredential, holder),
            (ActionKind::AdmitHolder, Who::ExecutorNotHolder),
            (ActionKind::CloseGrant, Who::ExecutorNotHolder),
        ];
        let mut made: Vec<Made> = Vec::new();
        for (kind, who) in around {
            let Some(action) = self.taken(frame, build.database_action(kind, database)) else { return };
            made.push(Made::new(action, Target::Database(database.clone()), who, limits::defaults(kind)));
        }
        made.insert(2, upgrade);
        for mut step in made {
            step.grant = Some(database.clone());
            let id = self.push(frame, step, None, None);
            self.order.advance(vec![id]);
        }
    }

    fn push(
        &mut self,
        frame: &Frame<'_>,
        made: Made,
        serial: Option<Serial>,
        member: Option<&MemberName>,
    ) -> StepId {
        let (id, before) = self.order.next();
        let kind = made.action.kind();
        let own = kind == frame.template.kind;
        let late = member.is_some_and(|m| self.others.contains(m));
        let phase = frame.stage.phase.unwrap_or(if late { Phase::After } else { self.phase });
        let step = Step {
            id,
            stage: frame.stage.name.clone(),
            phase,
            irreversible: kind == ActionKind::UpgradeDatabase,
            action: made.action,
            target: made.target,
            who: made.who,
            after: before.steps,
            after_all: before.all,
            serial,
            while_owed: member.filter(|_| self.rolls_back(frame)).and_then(|m| self.out_of(m)),
            grant: made.grant,
            owes: made.owes,
            settles: made.settles,
            deadline: made.limits.0,
            estimate: made.limits.1,
            facts: frame.template.facts.clone(),
            undo: if own { frame.template.undo.clone() } else { String::new() },
        };
        match frame.way {
            Way::Forward => self.steps.push(step),
            Way::Undo => self.undo.push(step),
            Way::Restore => self.restore.push(step),
        }
        id
    }

    /// Whether these steps put a member back that a rolling plan took out.
    fn rolls_back(&self, frame: &Frame<'_>) -> bool {
        self.input.strategy == Strategy::Rolling && frame.way == Way::Undo
    }

    /// What is owed from before a member is stopped until after it is proven: its place in its first balancer.
    fn out_of(&self, member: &MemberName) -> Option<OwedKey> {
        let mut balancers = self.input.cluster.balancers.iter();
        balancers
            .find(|(_, spec)| spec.servers.contains_key(member))
            .map(|(name, _)| OwedKey(format!("{name}/{member}")))
    }

    fn limits(&mut self, template: &StepTemplate, kind: ActionKind) -> (Deadline, Millis) {
        let (mut deadline, mut estimate) = limits::defaults(kind);
        if let Some(soft) = &template.soft {
            deadline.soft = self.duration(soft);
        }
        if let Some(hard) = &template.hard {
            deadline.hard = self.duration(hard);
        }
        if let Some(given) = &template.estimate {
            estimate = self.duration(given);
        }
        // A soft limit beyond the hard one would never be told.
        deadline.soft = deadline.soft.min(deadline.hard);
        (deadline, estimate)
    }

    fn duration(&mut self, template: &Template) -> Millis {
        match self.build(Way::Forward).scope().duration(template) {
            Ok(duration) => duration,
            Err(error) => {
                self.faults.push(Fault::new(FaultCode::Unfilled, format!("a limit cannot be read: {error}")));
                Millis(0)
            }
        }
    }

    /// The value, or a fault once for all members.
    fn taken<T>(&mut self, frame: &Frame<'_>, made: Result<T, Problem>) -> Option<T> {
        let fault = match made {
            Ok(value) => return Some(value),
            Err(Problem::Unfilled(error)) => {
                let code = match error {
                    Unfilled::Parameter(_) => FaultCode::MissingParameter,
                    Unfilled::ParameterType(_, _)
                    | Unfilled::MemberValue { .. }
                    | Unfilled::NoMeaning(_)
                    | Unfilled::NotA(_, _)
                    | Unfilled::Slot(_, _) => FaultCode::Unfilled,
                };
                Fault::new(code, error.to_string())
                    .found(format!("needed by {} of stage {:?}", frame.template.kind, frame.stage.name))
                    .help("see [parameters] of the cluster file and lockkeeper profile show")
            }
            Err(Problem::Fault(fault)) => *fault,
        };
        if !self.faults.iter().any(|f| f.code == fault.code && f.message == fault.message) {
            self.faults.push(fault);
        }
        None
    }
}

/// Why an action could not be made.
#[derive(Debug)]
pub(super) enum Problem {
    /// A text could not be filled in.
    Unfilled(Unfilled),
    /// Something else.
    Fault(Box<Fault>),
}

impl From<Unfilled> for Problem {
    fn from(error: Unfilled) -> Self {
        Problem::Unfilled(error)
    }
}
