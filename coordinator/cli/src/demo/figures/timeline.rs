//! What each member did when, merged from the balancer's log and the applications' own. Knows no drawing.

use super::balancer::Change;
use anyhow::Context as _;
use lockkeeper_core::ids::MemberName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What a member is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Takes new requests.
    InBalancer,
    /// Runs, took requests and takes no new ones.
    Draining,
    /// Does not run.
    Stopped,
    /// Its migration runs.
    Upgrading,
    /// Started and not ready.
    Starting,
    /// Ready and not yet admitted.
    Proving,
}

impl Phase {
    /// Its sign in the demo's picture.
    pub fn letter(self) -> char {
        match self {
            Phase::InBalancer => '=',
            Phase::Draining => 'd',
            Phase::Stopped => '.',
            Phase::Upgrading => 'U',
            Phase::Starting => 's',
            Phase::Proving => 'P',
        }
    }
}

/// How many characters a picture of a lane has.
const PICTURE_WIDTH: u64 = 60;

/// A member's phases, one after the other, without gaps from the client's first request to its last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lane {
    /// The member.
    pub member: MemberName,
    /// Its phases.
    pub segments: Vec<Segment>,
    /// The same as text: each character is the phase at that moment of the run.
    pub picture: String,
}

/// One phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// From when, Unix milliseconds.
    pub from: u64,
    /// To when.
    pub to: u64,
    /// Doing what.
    pub phase: Phase,
}

/// What happened to one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happened {
    TakesNew(bool),
    Started,
    Ready,
    Ended,
    UpgradeBegan,
    UpgradeEnded,
}

#[derive(Deserialize)]
struct Line {
    event: String,
    #[serde(default)]
    at: u64,
}

/// The lanes of all servers of the balancer between `from` and `to`.
pub fn lanes(keep: &Path, changes: &[Change], from: u64, to: u64) -> anyhow::Result<Vec<Lane>> {
    let mut events: BTreeMap<&MemberName, Vec<(u64, Happened)>> = BTreeMap::new();
    for Change { at, server, takes_new } in changes {
        events.entry(server).or_default().push((*at, Happened::TakesNew(*takes_new)));
    }
    let mut lanes = Vec::new();
    for (member, mut events) in events {
        events.extend(application(&keep.join(format!("app-{member}.log")))?);
        // Stable: what one log says in one millisecond stays in its order.
        events.sort_by_key(|(at, _)| *at);
        let segments = segments(&events, from, to);
        let picture = draw(&segments, from, to);
        lanes.push(Lane { member: member.clone(), segments, picture });
    }
    Ok(lanes)
}

fn application(path: &Path) -> anyhow::Result<Vec<(u64, Happened)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut events = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let Line { event, at } =
            serde_json::from_str(line).with_context(|| format!("{}, line {number}", path.display()))?;
        let happened = match event.as_str() {
            "start" => Happened::Started,
            "ready" => Happened::Ready,
            "stopped" => Happened::Ended,
            "upgrade-begin" => Happened::UpgradeBegan,
            "upgrade-end" | "failed" => Happened::UpgradeEnded,
            _ => continue,
        };
        events.push((at, happened));
    }
    Ok(events)
}

/// A member's state while its events are gone through.
#[derive(Default)]
struct State {
    running: bool,
    ready: bool,
    upgrading: bool,
    takes_new: bool,
    /// It was in the balancer since it last became ready.
    was_in: bool,
}

impl State {
    fn take(&mut self, happened: Happened) {
        match happened {
            Happened::TakesNew(takes_new) => self.takes_new = takes_new,
            Happened::Started => (self.running, self.ready, self.was_in) = (true, false, false),
            Happened::Ready => self.ready = true,
            Happened::Ended => (self.running, self.ready) = (false, false),
            Happened::UpgradeBegan => self.upgrading = true,
            Happened::UpgradeEnded => self.upgrading = false,
        }
        self.was_in |= self.ready && self.takes_new;
    }

    fn phase(&self) -> Phase {
        match (self.upgrading, self.running, self.ready) {
            (true, _, _) => Phase::Upgrading,
            (false, false, _) => Phase::Stopped,
            (false, true, false) => Phase::Starting,
            (false, true, true) if self.takes_new => Phase::InBalancer,
            (false, true, true) if self.was_in => Phase::Draining,
            (false, true, true) => Phase::Proving,
        }
    }
}

fn segments(events: &[(u64, Happened)], from: u64, to: u64) -> Vec<Segment> {
    let mut state = State::default();
    let mut segments: Vec<Segment> = Vec::new();
    let mut push = |segment: Segment| match segments.last_mut() {
        _ if segment.to <= segment.from => {}
        Some(last) if last.phase == segment.phase => last.to = segment.to,
        Some(_) | None => segments.push(segment),
    };
    let mut at = from;
    for (next, happened) in events {
        let next = (*next).clamp(from, to);
        push(Segment { from: at, to: next, phase: state.phase() });
        state.take(*happened);
        at = next;
    }
    push(Segment { from: at, to, phase: state.phase() });
    segments
}

fn draw(segments: &[Segment], from: u64, to: u64) -> String {
    let moment = |column| from + to.saturating_sub(from) * column / PICTURE_WIDTH;
    (0..PICTURE_WIDTH)
        .filter_map(|column| segments.iter().find(|segment| segment.to > moment(column)))
        .map(|segment| segment.phase.letter())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrader_s_lane_has_every_phase_in_order() {
        use Happened::{Ended, Ready, Started, TakesNew, UpgradeBegan, UpgradeEnded};
        let events = [
            (10, TakesNew(true)),
            (11, TakesNew(false)),
            (20, Started),
            (30, Ready),
            (40, TakesNew(true)),
            (200, TakesNew(false)),
            (250, Ended),
            (300, UpgradeBegan),
            (400, UpgradeEnded),
            (410, Started),
            (450, Ready),
            (500, TakesNew(true)),
        ];
        let lane = segments(&events, 100, 600);
        let picture: String = lane.iter().map(|segment| segment.phase.letter()).collect();
        assert_eq!(picture, "=d.U.sP=");
        assert_eq!((lane[0].from, lane[0].to, lane[7].from, lane[7].to), (100, 200, 500, 600));
        assert!(lane.windows(2).all(|pair| pair[0].to == pair[1].from));
    }
}
