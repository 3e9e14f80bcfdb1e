//! The unit of work, executed in memory: load, decide, save whole or not at all, then do what it owes.
//!
//! Never decides: this is the simulated twin of the node's `store::writer`. Planted bugs live here.

use tidm_space::contract::State as ContractState;
use tidm_space::engine::commit::{About, Answer, Commit, Decision, Due, Timer};
use tidm_space::engine::input::{Heard, Input, Outcome};
use tidm_space::engine::view::View;
use tidm_space::engine::{decide, needs, needs_more};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::machine::{Debit, DebitKind};
use tidm_space::lease::state::{Lease, Name as LeaseName, State as LeaseState};
use tidm_space::negotiation::message::{Kind, Role};
use tidm_space::negotiation::state::State;
use tidm_space::time::Time;

use crate::bug::Bug;
use crate::invariants::{Moment, Was};
use crate::node::CrashPoint;
use crate::stage::stage;
use crate::store::Write;
use crate::world::{Event, World};

/// What came of a unit of work.
pub enum Ran {
    /// Durable, and answered like this.
    Done(Answer),
    /// The node died in the middle: nobody is answered.
    Crashed,
}

impl World {
    /// One unit of work of a node that is up.
    pub(crate) fn work(&mut self, at: usize, input: Input) -> Ran {
        let node = &mut self.nodes[at];
        let now = node.now(self.ms);
        let mut view = match node.store.load(&needs(&input)) {
            Ok(view) => view,
            Err(why) => {
                self.violated("rows can be read", format!("n{at}: {why}"));
                return Ran::Crashed;
            }
        };
        let delivered = matches!(input, Input::Delivered { .. });
        let asks = matches!(&input, Input::Heard(it) if matches!(it.what, Heard::Ask(_)));
        blind(self.bug, asks, &mut view);
        let given_up = give_up_finalize(self.bug, &view, &input);
        let once = order_once(self.bug, &input);
        let more = needs_more(&self.nodes[at].as_engine(), &view, &input);
        if let Err(why) = self.nodes[at].store.load_more(&more, &mut view, now) {
            self.violated("rows can be read", format!("n{at}: {why}"));
            return Ran::Crashed;
        }
        forget(self.bug, &mut view);
        if matches!(&input, Input::Heard(it) if matches!(it.what, Heard::Renew(_))) {
            renew_anyway(self.bug, now, &mut view);
        }
        let node = &mut self.nodes[at];
        let mut ids = node.ids.clone();
        let Decision { mut commit, reply } = decide(&node.as_engine(), &view, input, now, &mut ids);
        node.ids = ids;
        if let Err(Fault::ApiMisuse(what)) = &reply {
            self.violated("no misuse of our own", format!("n{at}: {what}"));
        }
        twist(self.bug, &mut commit);
        commit.negotiations.extend(given_up);
        if let Some(order) = once {
            commit.sends.retain(|it| it.id != order);
            commit.unsends.push(order);
        }
        let crash = self.nodes[at].crash;
        if crash == Some(CrashPoint::AfterDelivery) && delivered {
            self.crash(at);
            return Ran::Crashed;
        }
        let writes = stage(&commit, now);
        if let Err(why) = self.nodes[at].store.admit(&writes) {
            return Ran::Done(Err(Fault::Unavailable {
                reason: why.to_string(),
                retry_after: std::time::Duration::ZERO,
            }));
        }
        if crash == Some(CrashPoint::InCommit) && !commit.is_empty() {
            if self.bug == Some(Bug::TornCommit) {
                let half = writes.len().div_ceil(2);
                self.save(at, &commit, writes, half);
            }
            self.crash(at);
            if self.bug == Some(Bug::AnswerBeforeDurable) && asks {
                return Ran::Done(reply);
            }
            return Ran::Crashed;
        }
        let all = writes.len();
        self.save(at, &commit, writes, all);
        if crash == Some(CrashPoint::AfterCommit) && !commit.is_empty() {
            self.crash(at);
            return Ran::Crashed;
        }
        self.follow(at, commit);
        Ran::Done(reply)
    }

    fn save(&mut self, at: usize, commit: &Commit, writes: Vec<Write>, count: usize) {
        let was = Was::of(&self.nodes[at].store, commit);
        let mut facts = Vec::new();
        for write in writes.into_iter().take(count) {
            if let Write::Fact(_, entry) = &write {
                facts.push(entry.clone());
            }
            self.nodes[at].store.apply(write);
        }
        self.reference.facts.entry(at).or_default().extend(facts);
        let fresh = commit
            .leases
            .iter()
            .filter(|it| it.role == Role::Provider && it.state.name() == LeaseName::Granted);
        for it in fresh.filter(|it| !was.leases.contains_key(&it.id)) {
            let grants = self.reference.grants.entry(at).or_default();
            grants.push((it.request.contract.clone(), it.id.clone()));
        }
        self.check(&Moment::Committed { node: at, was: &was, commit });
        for it in &commit.contracts {
            let key = (at, it.id.clone());
            match &it.state {
                ContractState::Active => drop(self.reference.suspended.remove(&key)),
                ContractState::Suspended { .. } => drop(self.reference.suspended.insert(key)),
                ContractState::Ended { .. } => {
                    self.reference.suspended.remove(&key);
                    self.reference.ended.insert(key);
                }
            }
        }
    }

    /// What became durable and wants to be done at once.
    fn follow(&mut self, at: usize, commit: Commit) {
        let now = self.nodes[at].now(self.ms);
        for send in commit.sends.into_iter().filter(|it| it.next <= now) {
            self.deliver(at, send);
        }
        for timer in commit.timers.into_iter().filter(|it| it.at <= now) {
            self.take(at, timer);
        }
        self.look_soon(at);
    }

    /// A timer was taken from the store; a moment later it fires.
    pub(crate) fn take(&mut self, at: usize, timer: Timer) {
        let (epoch, delay) = (self.nodes[at].epoch, self.dice.between(0, 30));
        self.later(delay, Event::Fire { node: at, epoch, timer: Box::new(timer) });
    }

    /// Looks again when the next row becomes due.
    pub(crate) fn look_soon(&mut self, at: usize) {
        let node = &self.nodes[at];
        let Some(due) = node.store.next_due().filter(|_| node.up) else { return };
        let due = node.clock.world_ms(due).max(self.ms + 1);
        if node.look_at.is_none_or(|it| due < it || it <= self.ms) {
            self.nodes[at].look_at = Some(due);
            self.later(due - self.ms, Event::Look { node: at });
        }
    }

    pub(crate) fn look(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if !node.up || node.look_at.is_none_or(|it| it > self.ms) {
            return;
        }
        node.look_at = None;
        let now = node.now(self.ms);
        let due =
            node.store.due_sends(now).and_then(|sends| Ok((sends, node.store.due_timers(now)?)));
        match due {
            Ok((sends, timers)) => {
                for send in sends {
                    self.deliver(at, send);
                }
                for timer in timers {
                    self.take(at, timer);
                }
                self.look_soon(at);
            }
            Err(why) => self.violated("rows can be read", format!("n{at}: {why}")),
        }
    }

    /// The process dies; what it held in memory is gone.
    pub(crate) fn crash(&mut self, at: usize) {
        self.coverage.crashes += 1;
        let down = self.dice.between(50, 60_000);
        let bug = self.bug;
        let node = &mut self.nodes[at];
        node.up = false;
        node.crash = None;
        node.look_at = None;
        node.forget();
        if bug == Some(Bug::LoseOutbox) {
            node.store.outbox.clear();
        }
        self.log.add(self.step, self.ms, || format!("n{at} crashes, back in {down} ms"));
        self.later(down, Event::Restart { node: at });
    }
}

fn blind(bug: Option<Bug>, asks: bool, view: &mut View) {
    let Some(contract) = view.contract.as_mut().filter(|_| asks) else { return };
    // Once its row is not saved again with the grant: the terms themselves stay.
    if bug == Some(Bug::GateWithoutDate) && contract.first_use.is_some() {
        contract.policy.obligations.clear();
    }
    let shown = match &contract.state {
        ContractState::Active => false,
        ContractState::Suspended { .. } => bug == Some(Bug::DeafGate),
        ContractState::Ended { .. } => bug == Some(Bug::BlindGate),
    };
    if shown {
        contract.state = ContractState::Active;
    }
}

/// The planted bugs: the gate is not shown what was used before.
fn forget(bug: Option<Bug>, view: &mut View) {
    if bug == Some(Bug::ForgetStarts) {
        view.starts = view.starts.take().map(|_| vec![]);
    }
    if bug == Some(Bug::CountAccounts) {
        view.group = view.group.map(|_| view.spent);
    }
}

/// The planted bugs: what a renewal depends on is not shown.
fn renew_anyway(bug: Option<Bug>, now: Time, view: &mut View) {
    let Some(contract) = view.contract.as_mut() else { return };
    if bug == Some(Bug::RenewBlindly) {
        contract.policy.permissions.iter_mut().for_each(|rule| rule.constraints.clear());
    }
    if bug == Some(Bug::RenewTheDead) {
        contract.state = ContractState::Active;
        if let Some(lease) = &mut view.lease {
            lease.state = LeaseState::Granted;
            lease.until = lease.until.max(now.after(std::time::Duration::from_secs(1)));
        }
    }
}

fn twist(bug: Option<Bug>, commit: &mut Commit) {
    match bug {
        Some(Bug::SkipDebit) => commit.debits.clear(),
        Some(Bug::NoLastDay) => {
            commit.timers.retain(|it| !matches!(it.what, Due::ContractEnd { .. }));
        }
        Some(Bug::FreeTime) => commit.debits.retain(|it| it.kind != DebitKind::Seconds),
        Some(Bug::FreeAmounts) => {
            commit.debits.retain(|it| !matches!(it.kind, DebitKind::Rows | DebitKind::Bytes));
        }
        // What was reserved comes back whole, as if nothing had been used.
        Some(Bug::GiveBackAll) => {
            let whole = |it: &Debit, lease: &Lease| match it.kind {
                DebitKind::Seconds => lease.reserved.seconds,
                DebitKind::Rows => lease.reserved.rows,
                DebitKind::Bytes => lease.reserved.bytes,
                DebitKind::Use | DebitKind::Items | DebitKind::Epsilon => None,
            };
            for it in commit.debits.iter_mut().filter(|it| it.back) {
                let lease = commit.leases.iter().find(|lease| lease.id == it.lease);
                it.amount = lease.and_then(|lease| whole(it, lease)).unwrap_or(it.amount);
            }
        }
        Some(Bug::OtherTerms) => {
            for it in commit.contracts.iter_mut().filter(|it| it.role == Role::Provider) {
                it.policy.permissions.iter_mut().for_each(|rule| rule.constraints.clear());
            }
        }
        _ => {}
    }
}

/// The planted bug: a finalization that was not answered once is given up.
fn give_up_finalize(
    bug: Option<Bug>,
    view: &View,
    input: &Input,
) -> Option<tidm_space::negotiation::state::Negotiation> {
    let Input::Delivered { send, outcome: Outcome::Unreachable { .. } } = input else {
        return None;
    };
    let About::Negotiation(_) = &send.about else { return None };
    let it = view.negotiation.as_ref().filter(|_| bug == Some(Bug::GiveUpFinalize))?;
    let finalizes = it.pending.as_ref().is_some_and(|it| it.body.kind() == Kind::Finalize);
    let mut it = it.clone();
    it.pending = None;
    it.state = State::Terminated { by: it.role, code: Some("planted".to_owned()), reason: vec![] };
    finalizes.then_some(it)
}

/// The planted bug: an order to a data plane that was not answered once is not repeated.
fn order_once(bug: Option<Bug>, input: &Input) -> Option<Id> {
    let Input::Delivered { send, outcome: Outcome::Unreachable { .. } } = input else {
        return None;
    };
    let orders = matches!(send.about, About::Flow(_)) && bug == Some(Bug::OrderOnce);
    orders.then(|| send.id.clone())
}
