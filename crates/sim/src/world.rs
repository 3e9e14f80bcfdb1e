//! A world: nodes, network, true time, and the queue of what comes next. One thread, one seed.
//!
//! A run has a safety phase (happenings, faults, bad weather), a healing, and a liveness phase in which what is
//! open must end by itself. Never decides for a node, and never looks at a real clock.

use std::collections::BTreeMap;
use std::rc::Rc;

use tidm_space::dataflow::message::Plane;
use tidm_space::engine::commit::Timer;
use tidm_space::identity::did::Did;
use tidm_space::lease::machine::DebitKind;
use tidm_space::negotiation::state::State;
use tidm_space::policy::compile::compile;
use tidm_space::policy::counted::Wants;

use crate::bug::Bug;
use crate::clock::{BEGIN_MS, Clock};
use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::invariants::{self, Moment, Violation};
use crate::log::EventLog;
use crate::members::Space;
use crate::net::{FAIR, Net};
use crate::node::{BadNode, SimNode};
use crate::reference::Reference;
use crate::signaling::registration;
use crate::strategy;
use crate::traitors::{Kind, Traitor};

/// What comes next, at its time.
#[derive(Debug)]
pub enum Event {
    /// A request arrives at a server. `from` is who really sent it, `as_did` whom its token names.
    Request {
        call: u64,
        from: usize,
        epoch: u64,
        to: usize,
        path: String,
        body: Rc<str>,
        as_did: Did,
    },
    /// Its answer arrives at the caller.
    Answer { call: u64, to: usize, epoch: u64, status: u16, body: String },
    /// The caller waited long enough.
    Late { call: u64, to: usize, epoch: u64 },
    /// A node looks at what is due.
    Look { node: usize },
    /// A timer that the node took from its store fires.
    Fire { node: usize, epoch: u64, timer: Box<Timer> },
    /// A job of the node comes to its end.
    JobDone { node: usize, epoch: u64, timer: Box<Timer> },
    /// An issuer looks at which wallets are to be told.
    Tell { node: usize },
    /// A crashed node comes back.
    Restart { node: usize },
}

/// A violation with the place where it was seen.
#[derive(Clone, Debug)]
pub struct Found {
    pub seed: u64,
    pub step: usize,
    pub violation: Violation,
}

pub struct World {
    pub seed: u64,
    pub ms: i64,
    pub dice: Dice,
    pub nodes: Vec<SimNode>,
    pub net: Net,
    pub reference: Reference,
    pub coverage: Coverage,
    pub log: EventLog,
    pub bug: Option<Bug>,
    pub traitor: Option<Traitor>,
    pub healed: bool,
    pub step: usize,
    pub violations: Vec<Violation>,
    pub(crate) queue: BTreeMap<(i64, u64), Event>,
    pub(crate) order: u64,
    pub(crate) calls: u64,
    /// Publishers are the nodes below this number.
    pub providers: usize,
    /// Participants are the nodes below this number; those above are data planes.
    pub members: usize,
    /// The space whose credentials are asked for; none: everybody is heard.
    pub space: Option<Space>,
}

/// Healing takes the longest deadline and some more.
const LIVENESS_MS: i64 = 16 * 24 * 3_600_000;
/// Longer than anything is repeated or remembered as under way, shorter than a running transfer may stand still.
const CALM_MS: i64 = 2 * 24 * 3_600_000;
/// More events than this in one world is a loop without end.
const EVENTS: u64 = 400_000;

/// How to run a world.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub seed: u64,
    /// Happenings of the safety phase.
    pub steps: usize,
    pub bug: Option<Bug>,
    pub keep_log: bool,
}

impl World {
    pub fn new(setup: Setup) -> Result<Self, BadNode> {
        let mut dice = Dice::new(setup.seed);
        let count = 3 + dice.below(5);
        let demands = !dice.chance(20);
        let providers = 1 + dice.below(count - 1);
        let mut nodes = Vec::with_capacity(count);
        for index in 0..count {
            let witnessed = dice.chance(50);
            let mut node = SimNode::new(index, demands, witnessed)?;
            node.keys.believes_backups = setup.bug == Some(Bug::KeyFromBackup);
            nodes.push(node);
        }
        let space = dice.chance(45).then(|| {
            let documents = nodes.iter().map(|it| (it.did.clone(), it.document())).collect();
            let id = "urn:sim:space".to_owned();
            Space { id, operator: 0, by_hand: dice.chance(30), documents }
        });
        for member in 0..count {
            if dice.chance(45) {
                let index = nodes.len();
                let mut plane = SimNode::new(index, demands, dice.chance(50))?;
                let control = &mut nodes[member];
                plane.of = Some(member);
                plane.background = dice.chance(50);
                let (theirs, ours) = (
                    registration(&control.did, &control.base, Plane::Control),
                    registration(&plane.did, &plane.base, Plane::Data),
                );
                plane.store.planes.push(theirs);
                control.store.planes.push(ours);
                nodes.push(plane);
            }
        }
        let traitor = match dice.below(6) {
            0 => Some(Kind::Replayer),
            1 => Some(Kind::Forger),
            2 => Some(Kind::OverAsker),
            _ => None,
        };
        Ok(Self {
            seed: setup.seed,
            ms: BEGIN_MS,
            dice,
            nodes,
            net: Net::new(),
            reference: Reference::default(),
            coverage: Coverage { seeds: 1, ..Coverage::default() },
            log: EventLog::new(setup.keep_log),
            bug: setup.bug,
            traitor: traitor.map(|kind| Traitor::new(kind, count - 1)),
            healed: false,
            step: 0,
            violations: Vec::new(),
            queue: BTreeMap::new(),
            order: 0,
            calls: 0,
            providers,
            members: count,
            space,
        })
    }

    /// Runs a whole world; the first violation ends it.
    pub fn run(&mut self, steps: usize) -> Option<Found> {
        self.found_space();
        for step in 0..steps {
            self.step = step;
            let pause = strategy::pause(self);
            let until = self.ms + pause;
            self.pump(until);
            let happening = strategy::next(self, step);
            *self.coverage.happenings.entry(happening.name()).or_default() += 1;
            self.log.add(step, self.ms, || happening.line());
            self.happen(happening);
            if !self.violations.is_empty() {
                return self.found();
            }
        }
        self.heal();
        if self.violations.is_empty() {
            let end = Moment::End;
            self.check(&end);
            self.count_ends();
        }
        self.found()
    }

    /// Nearly everybody is invited, and asks for its membership.
    fn found_space(&mut self) {
        let Some(operator) = self.space.as_ref().map(|it| it.operator) else { return };
        for at in 0..self.members {
            if self.dice.chance(90) {
                let did = self.nodes[at].did.clone();
                self.nodes[operator].store.credentials.invitations.insert(did, false);
                self.join(at);
            }
        }
        let until = self.ms + 1_000;
        self.pump(until);
        if self.space.as_ref().is_some_and(|it| it.by_hand) {
            for (id, approves) in self.filed(operator) {
                self.decide_by_hand(operator, &id, approves);
            }
            let until = self.ms + 1_000;
            self.pump(until);
        }
    }

    /// Requests that wait for a person, and what that person will say.
    fn filed(&mut self, operator: usize) -> Vec<(String, bool)> {
        let requests = &self.nodes[operator].store.credentials.requests;
        let filed = requests.iter().filter(|(_, it)| it.state == "received");
        let filed: Vec<String> = filed.map(|(id, _)| id.clone()).collect();
        // Some wait longer: a person decides about them among everything else.
        let at_once = filed.into_iter().filter(|_| self.dice.chance(60)).collect::<Vec<_>>();
        at_once.into_iter().map(|id| (id, self.dice.chance(90))).collect()
    }

    fn found(&self) -> Option<Found> {
        self.violations.first().map(|it| Found {
            seed: self.seed,
            step: self.step,
            violation: it.clone(),
        })
    }

    /// Everything works again; what is open must end by itself.
    fn heal(&mut self) {
        self.log.add(self.step, self.ms, || "healed".to_owned());
        self.healed = true;
        self.net.weather = FAIR;
        self.net.mend();
        for at in 0..self.nodes.len() {
            self.nodes[at].crash = None;
            let back = self.nodes[at].clock.error_ms;
            *self.reference.set_back_ms.entry(at).or_default() += back.max(0);
            self.nodes[at].clock = Clock::default();
            if !self.nodes[at].up {
                self.restart(at);
            }
            self.look_soon(at);
            self.tell_soon(at);
        }
        self.pump(self.ms + CALM_MS);
        if self.violations.is_empty() {
            self.check(&Moment::Calm);
        }
        self.pump(self.ms + LIVENESS_MS);
        for at in 0..self.nodes.len() {
            self.sequence(at, None);
        }
    }

    /// Everything that comes until then.
    pub(crate) fn pump(&mut self, until: i64) {
        while self.violations.is_empty()
            && let Some((&(at, order), _)) = self.queue.first_key_value()
            && at <= until
        {
            let Some(event) = self.queue.remove(&(at, order)) else { break };
            self.ms = self.ms.max(at);
            if self.order > EVENTS {
                self.violated("4 both sides end alike", format!("no end after {EVENTS} events"));
                break;
            }
            self.come(event);
        }
        self.ms = self.ms.max(until);
    }

    fn come(&mut self, event: Event) {
        match event {
            Event::Request { call, from, epoch, to, path, body, as_did } => {
                self.arrive(call, from, epoch, to, &path, &body, &as_did);
            }
            Event::Answer { call, to, epoch, status, body } => {
                if self.nodes[to].up && self.nodes[to].epoch == epoch {
                    self.answered(to, call, status, &body);
                }
            }
            Event::Late { call, to, epoch } => {
                if self.nodes[to].up && self.nodes[to].epoch == epoch {
                    self.unanswered(to, call);
                }
            }
            Event::Look { node } => self.look(node),
            Event::Tell { node } => self.tell(node),
            Event::Fire { node, epoch, timer } => {
                if self.nodes[node].up && self.nodes[node].epoch == epoch {
                    self.fire(node, *timer);
                }
            }
            Event::JobDone { node, epoch, timer } => {
                if self.nodes[node].up && self.nodes[node].epoch == epoch {
                    self.job_done(node, *timer);
                }
            }
            Event::Restart { node } => {
                if !self.nodes[node].up {
                    self.restart(node);
                }
            }
        }
    }

    pub(crate) fn later(&mut self, after_ms: i64, event: Event) {
        self.order += 1;
        self.queue.insert((self.ms + after_ms.max(0), self.order), event);
    }

    pub(crate) fn check(&mut self, moment: &Moment<'_>) {
        let found = invariants::check(self, moment);
        for it in found {
            self.log.add(self.step, self.ms, || format!("VIOLATION {}: {}", it.property, it.why));
            self.violations.push(it);
        }
    }

    pub(crate) fn violated(&mut self, property: &'static str, why: String) {
        self.log.add(self.step, self.ms, || format!("VIOLATION {property}: {why}"));
        self.violations.push(Violation { property, why });
    }

    pub fn is_traitor(&self, node: usize) -> bool {
        self.traitor.as_ref().is_some_and(|it| it.node == node)
    }

    /// Whether one of them was ever refused a hearing by the other: its messages did not stop being lost.
    pub fn unheard(&self, a: usize, b: usize) -> bool {
        let unheard = &self.reference.unheard;
        unheard.contains(&(a, b)) || unheard.contains(&(b, a))
    }

    pub fn node_of(&self, did: &Did) -> Option<usize> {
        self.nodes.iter().position(|it| it.did == *did)
    }

    fn count_ends(&mut self) {
        let mut coverage = std::mem::take(&mut self.coverage);
        for node in &self.nodes {
            for id in node.store.negotiations.keys() {
                if let Ok(Some(it)) = node.store.negotiation(id) {
                    let end = if let State::Terminated { code: Some(code), .. } = &it.state {
                        format!("TERMINATED {code}")
                    } else {
                        it.state.name().token().to_owned()
                    };
                    *coverage.ends.entry(end).or_default() += 1;
                }
            }
            for row in node.store.transfers.values() {
                *coverage.transfers.entry(row.state).or_default() += 1;
            }
            for id in node.store.contracts.keys() {
                if let Ok(Some(it)) = node.store.contract(id)
                    && it.role == tidm_space::negotiation::message::Role::Provider
                {
                    coverage.contracts += 1;
                    if let tidm_space::contract::State::Ended { why, .. } = &it.state {
                        *coverage.contracts_ended.entry(why.word()).or_default() += 1;
                    }
                }
            }
            for row in node.store.flows.values().filter(|_| node.of.is_some()) {
                *coverage.flows.entry(row.state).or_default() += 1;
            }
            for row in node.store.credentials.requests.values() {
                *coverage.issuances.entry(row.state).or_default() += 1;
            }
            for it in node.store.debits.values() {
                match it.kind {
                    DebitKind::Use => coverage.leases += 1,
                    DebitKind::Rows
                    | DebitKind::Bytes
                    | DebitKind::Items
                    | DebitKind::Seconds
                    | DebitKind::Epsilon => {
                        *coverage.charged.entry(it.word()).or_default() += 1;
                    }
                }
            }
            for id in node.store.contracts.keys() {
                let Ok(Some(it)) = node.store.contract(id) else { continue };
                let Ok(terms) = compile(&it.policy) else { continue };
                let (wants, uses) = (Wants::of(&terms), node.store.spent(id).uses);
                for (what, there) in [("period", wants.starts.any()), ("entity", wants.group)] {
                    if there && uses > 0 {
                        *coverage.charged.entry(what.to_owned()).or_default() += uses;
                    }
                }
            }
        }
        self.coverage = coverage;
    }
}
