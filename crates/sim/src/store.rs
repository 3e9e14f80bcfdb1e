//! The node's store in memory: what [`Needs`] loads and a [`Commit`] saves, as rows of bytes.
//!
//! Every aggregate passes through `wire::record` on its way in and out, so that whatever a row cannot hold
//! is lost here as it would be on disk. A commit is staged whole and applied whole: a crash between two
//! of its writes leaves nothing of it.

use std::collections::BTreeMap;
use std::rc::Rc;

use tidm_ledger::tree::Hash;
use tidm_space::catalog::product::Product;
use tidm_space::contract::Contract;
use tidm_space::dataflow::message::Plane;
use tidm_space::dataflow::registration::Registration;
use tidm_space::dataflow::state::Flow;
use tidm_space::engine::commit::{About, Seen, Send, Timer};
use tidm_space::engine::refusal::Tally;
use tidm_space::engine::view::{More, Needs, View};
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::identity::member::Group;
use tidm_space::lease::machine::{Debit, DebitKind, Spent};
use tidm_space::lease::message::Nonce;
use tidm_space::lease::state::Lease;
use tidm_space::negotiation::message::Role;
use tidm_space::negotiation::state::Negotiation;
use tidm_space::time::Time;
use tidm_space::transfer::state::Transfer;
use tidm_space::wire::record::{self, BadRecord};

use crate::credentials::Credentials;

/// How long a claimed row is left alone (as the node's queue does).
pub const CLAIM_MS: i64 = 30_000;

/// One row: the columns that are searched, and the record.
#[derive(Clone, Debug)]
pub struct Row {
    pub peer: Option<Did>,
    pub pid: Option<Id>,
    /// The contract that it belongs to.
    pub of: Option<Id>,
    pub nonce: Option<Nonce>,
    pub role: Option<Role>,
    pub state: &'static str,
    pub open: bool,
    pub record: Rc<str>,
}

pub type Table = BTreeMap<Id, Row>;

/// A row of the outbox or of the timers.
#[derive(Clone, Debug)]
pub struct Queued {
    pub at: Time,
    pub claimed: i64,
    pub about: Option<About>,
    pub record: Rc<str>,
}

/// Tokens of the address that a data plane gave last for a flow.
#[derive(Clone, Debug)]
pub struct FlowToken {
    pub access: String,
    pub refresh: String,
    pub until: Time,
}

/// The log's one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub size: u64,
    pub root: Hash,
    pub fence: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Store {
    pub negotiations: Table,
    pub transfers: Table,
    /// Data flows: of a control plane with another program's data plane, and of such a data plane.
    pub flows: Table,
    /// The other half of this node, as it was registered.
    pub planes: Vec<Registration>,
    /// Data plane: the tokens of the addresses that it gave.
    pub tokens: BTreeMap<Id, FlowToken>,
    /// What DCP keeps: issuer and wallet.
    pub credentials: Credentials,
    pub contracts: Table,
    pub leases: Table,
    pub products: Table,
    pub debits: BTreeMap<(Id, String), Debit>,
    pub refusals: BTreeMap<(Id, String), Tally>,
    /// In the order of their sequence numbers.
    pub facts: Vec<(Id, Rc<[u8]>)>,
    /// Facts that have an index in the log: a prefix of [`Self::facts`].
    pub logged: usize,
    pub head: Option<Head>,
    pub outbox: BTreeMap<Id, Queued>,
    pub timers: BTreeMap<String, Queued>,
    pub seen: BTreeMap<(Did, Id), Seen>,
}

/// One row of a commit, encoded.
pub enum Write {
    Negotiation(Id, Row),
    Transfer(Id, Row),
    Flow(Id, Row),
    Contract(Id, Row),
    Lease(Id, Row),
    Product(Id, Row),
    Debit(Debit),
    Refusal(Tally),
    Fact(Id, Rc<[u8]>),
    Withdraw(About),
    Unsend(Id),
    Send(Id, Queued),
    Untimer(String),
    Timer(String, Queued),
    Seen(Seen),
}

/// Why a transaction failed; nothing of it stands.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Row(#[from] BadRecord),
    #[error("a unique index refuses {0}")]
    Unique(String),
}

impl Store {
    /// Loads all that is asked for.
    pub fn load(&self, needs: &Needs) -> Result<View, StoreError> {
        let mut view = View::default();
        if let Some(key) = &needs.message {
            view.seen = self.seen.get(key).cloned();
        }
        if let Some(id) = &needs.negotiation {
            view.negotiation = self.negotiation(id)?;
        }
        if let Some((peer, pid)) = &needs.negotiation_of {
            let found = of_peer(&self.negotiations, peer, pid);
            view.negotiation =
                found.map(|it| record::negotiation::decode(&it.record)).transpose()?;
        }
        if let Some(peer) = &needs.open_with {
            let open = self
                .negotiations
                .values()
                .filter(|it| it.open && it.peer.as_ref() == Some(peer))
                .count();
            view.open_negotiations = u32::try_from(open).unwrap_or(u32::MAX);
        }
        if let Some(id) = &needs.transfer {
            view.transfer = self.transfer(id)?;
        }
        if let Some((peer, pid)) = &needs.transfer_of {
            let found = of_peer(&self.transfers, peer, pid);
            view.transfer = found.map(|it| record::transfer::decode(&it.record)).transpose()?;
        }
        self.load_lease(needs, &mut view)?;
        self.load_flows(needs, &mut view)?;
        if let Some(id) = Self::wanted(needs, &view) {
            view.contract = self.contract(&id)?;
            if needs.refusals || needs.missed.is_some() {
                let of = |it: &&Tally| it.contract == id;
                view.refusals = self.refusals.values().filter(of).cloned().collect();
            }
        }
        let of = view.negotiation.as_ref().filter(|_| needs.negotiation_product);
        if let Some(id) = needs.product.as_ref().or_else(|| of.map(|it| &it.product)) {
            view.product =
                self.products.get(id).map(|it| record::product::decode(&it.record)).transpose()?;
        }
        if let Some(line) = &needs.line {
            for it in self.products.values() {
                let it = record::product::decode(&it.record)?;
                let newer = view.newest.as_ref().is_none_or(|old| old.version < it.version);
                if it.line == *line && newer {
                    view.newest = Some(it);
                }
            }
        }
        Ok(view)
    }

    /// With a flow of ours as control plane comes its transfer; with a transfer comes its flow.
    fn load_flows(&self, needs: &Needs, view: &mut View) -> Result<(), StoreError> {
        if let Some(id) = &needs.flow
            && let Some(flow) = self.flow(id)?
        {
            if flow.plane == Plane::Control {
                view.transfer = self.transfer(id)?;
            }
            view.flows.push(flow);
        }
        if let Some((plane, process)) = &needs.flow_of {
            let fits =
                |it: &&Row| it.of.as_ref() == Some(plane) && it.pid.as_ref() == Some(process);
            if let Some(row) = self.flows.values().find(fits) {
                view.flows.push(record::flow::decode(&row.record)?);
            }
        }
        if let Some(plane) = &needs.flows_with {
            let open = self.flows.values().filter(|it| it.open && it.of.as_ref() == Some(plane));
            view.open_flows = u32::try_from(open.count()).unwrap_or(u32::MAX);
        }
        if let Some(profile) = &needs.data_plane {
            let runs = |it: &&Registration| {
                it.plane == Plane::Data && it.profiles.iter().any(|known| known == profile)
            };
            view.data_plane = self.planes.iter().find(runs).cloned();
        }
        for it in view.transfer.iter().chain(&view.open_transfers) {
            if !view.flows.iter().any(|flow| flow.id == it.id)
                && let Some(flow) = self.flow(&it.id)?
            {
                view.flows.push(flow);
            }
        }
        Ok(())
    }

    /// The contract that this decision is about.
    fn wanted(needs: &Needs, view: &View) -> Option<Id> {
        if let Some(id) = &needs.contract {
            return Some(id.clone());
        }
        let of_transfer = needs.transfer_contract || needs.flow.is_some();
        let of_transfer =
            view.transfer.as_ref().filter(|_| of_transfer).map(|it| it.contract.clone());
        of_transfer.or_else(|| {
            let lease = view.lease.as_ref().filter(|_| needs.lease_contract);
            lease.map(|it| it.request.contract.clone())
        })
    }

    pub fn flow(&self, id: &Id) -> Result<Option<Flow>, BadRecord> {
        self.flows.get(id).map(|it| record::flow::decode(&it.record)).transpose()
    }

    /// The registered other half of that kind, if this is its id.
    pub fn plane(&self, plane: Plane, id: &Id) -> Option<&Registration> {
        self.planes.iter().find(|it| it.plane == plane && it.id == *id)
    }

    fn load_lease(&self, needs: &Needs, view: &mut View) -> Result<(), StoreError> {
        if let Some(id) = &needs.lease {
            view.lease = self.lease(id)?;
        }
        if let Some((contract, nonce)) = &needs.lease_of {
            let found = self
                .leases
                .values()
                .find(|it| it.of.as_ref() == Some(contract) && it.nonce.as_ref() == Some(nonce));
            view.lease = found.map(|it| record::lease::decode(&it.record)).transpose()?;
        }
        let of_lease = view
            .lease
            .as_ref()
            .filter(|_| needs.lease_contract)
            .map(|it| it.request.contract.clone());
        if let Some(contract) = needs.spent.as_ref().or(of_lease.as_ref()) {
            view.spent = self.spent(contract);
        }
        if let Some(contract) = needs.open_under.as_ref().or(of_lease.as_ref()) {
            let under = |it: &&Row| it.open && it.of.as_ref() == Some(contract);
            for row in self.leases.values().filter(under) {
                view.open_leases.push(record::lease::decode(&row.record)?);
            }
            for row in self.transfers.values().filter(under) {
                view.open_transfers.push(record::transfer::decode(&row.record)?);
            }
        }
        Ok(())
    }

    pub fn spent(&self, contract: &Id) -> Spent {
        DebitKind::ALL.into_iter().fold(Spent::default(), |spent, kind| {
            let sum = |back: bool| -> u64 {
                let all = self.debits.values().filter(|it| it.contract == *contract);
                all.filter(|it| it.kind == kind && it.back == back).map(|it| it.amount).sum()
            };
            // More given back than charged reads as nothing: what it lets happen is for the properties to find.
            spent.with(kind, sum(false).saturating_sub(sum(true)))
        })
    }

    /// Loads what some contracts' terms ask for besides.
    pub fn load_more(&self, more: &More, view: &mut View, now: Time) -> Result<(), StoreError> {
        let uses = || self.debits.values().filter(|it| it.kind == DebitKind::Use);
        if let Some((of, newest)) = &more.starts {
            let all = uses().filter(|it| it.contract == *of).map(|it| it.at).collect();
            view.starts = Some(newest.of(all, now));
        }
        if let Some(id) = &more.product {
            view.product = self.product(id)?;
        }
        for id in &more.sources {
            view.sources.extend(self.contract(id)?);
        }
        if let Some((groups, product)) = &more.group
            && let Some(of) = self.of_group(groups, product)?
        {
            view.group =
                Some(of.iter().map(|it| self.spent(it)).fold(Spent::default(), Spent::and));
        }
        if let Some((groups, product, newest)) = &more.group_starts
            && let Some(of) = self.of_group(groups, product)?
        {
            let theirs = uses().filter(|it| of.contains(&it.contract));
            view.group_starts = Some(newest.of(theirs.map(|it| it.at).collect(), now));
        }
        Ok(())
    }

    /// Contracts of a legal entity, on record for any of these, about the line of a product; `None`: the product is not here.
    fn of_group(&self, groups: &[Group], product: &Id) -> Result<Option<Vec<Id>>, StoreError> {
        let Some(line) = self.product(product)?.map(|it| it.line.clone()) else { return Ok(None) };
        let mut found = Vec::new();
        for id in self.contracts.keys() {
            let Some(it) = self.contract(id)? else { continue };
            let of = it.group.clone().unwrap_or_else(|| Group::from(&it.peer));
            let same = self.product(&it.product)?.is_some_and(|it| it.line == line);
            if it.role == Role::Provider && groups.contains(&of) && same {
                found.push(id.clone());
            }
        }
        Ok(Some(found))
    }

    pub fn product(&self, id: &Id) -> Result<Option<Product>, BadRecord> {
        self.products.get(id).map(|it| record::product::decode(&it.record)).transpose()
    }

    pub fn negotiation(&self, id: &Id) -> Result<Option<Negotiation>, BadRecord> {
        self.negotiations.get(id).map(|it| record::negotiation::decode(&it.record)).transpose()
    }

    pub fn transfer(&self, id: &Id) -> Result<Option<Transfer>, BadRecord> {
        self.transfers.get(id).map(|it| record::transfer::decode(&it.record)).transpose()
    }

    pub fn contract(&self, id: &Id) -> Result<Option<Contract>, BadRecord> {
        self.contracts.get(id).map(|it| record::contract::decode(&it.record)).transpose()
    }

    pub fn lease(&self, id: &Id) -> Result<Option<Lease>, BadRecord> {
        self.leases.get(id).map(|it| record::lease::decode(&it.record)).transpose()
    }

    /// Refuses what a unique index would; nothing was written then.
    pub fn admit(&self, writes: &[Write]) -> Result<(), StoreError> {
        for write in writes {
            match write {
                Write::Lease(id, row) => {
                    let same = |(other, had): (&Id, &Row)| {
                        other != id && had.of == row.of && had.nonce == row.nonce
                    };
                    if self.leases.iter().any(same) {
                        return Err(StoreError::Unique(format!("lease {id}")));
                    }
                }
                Write::Debit(it) if self.debits.contains_key(&(it.lease.clone(), it.word())) => {
                    return Err(StoreError::Unique(format!("debit of {}", it.lease)));
                }
                Write::Product(id, _) if self.products.contains_key(id) => {
                    return Err(StoreError::Unique(format!("product {id}")));
                }
                Write::Negotiation(..)
                | Write::Transfer(..)
                | Write::Flow(..)
                | Write::Contract(..)
                | Write::Product(..)
                | Write::Debit(_)
                | Write::Refusal(_)
                | Write::Fact(..)
                | Write::Withdraw(_)
                | Write::Unsend(_)
                | Write::Send(..)
                | Write::Untimer(_)
                | Write::Timer(..)
                | Write::Seen(_) => {}
            }
        }
        Ok(())
    }

    pub fn apply(&mut self, write: Write) {
        match write {
            Write::Negotiation(id, row) => drop(self.negotiations.insert(id, row)),
            Write::Transfer(id, row) => drop(self.transfers.insert(id, row)),
            Write::Flow(id, row) => drop(self.flows.insert(id, row)),
            Write::Contract(id, row) => {
                // A tombstone stays one, whatever an older replica of this row says (house D13).
                if row.open && self.contracts.get(&id).is_some_and(|had| !had.open) {
                    return;
                }
                self.contracts.insert(id, row);
            }
            Write::Lease(id, row) => drop(self.leases.insert(id, row)),
            Write::Product(id, row) => drop(self.products.insert(id, row)),
            Write::Debit(it) => drop(self.debits.insert((it.lease.clone(), it.word()), it)),
            Write::Refusal(it) => {
                drop(self.refusals.insert((it.contract.clone(), it.code.clone()), it));
            }
            Write::Fact(id, entry) => self.facts.push((id, entry)),
            Write::Withdraw(about) => self.outbox.retain(|_, it| it.about.as_ref() != Some(&about)),
            Write::Unsend(id) => drop(self.outbox.remove(&id)),
            Write::Send(id, row) => drop(self.outbox.insert(id, row)),
            Write::Untimer(key) => drop(self.timers.remove(&key)),
            Write::Timer(key, row) => drop(self.timers.insert(key, row)),
            Write::Seen(it) => {
                self.seen.entry((it.peer.clone(), it.id.clone())).or_insert(it);
            }
        }
    }

    /// Takes undelivered messages that are due.
    pub fn due_sends(&mut self, now: Time) -> Result<Vec<Send>, BadRecord> {
        claim(self.outbox.values_mut(), now).iter().map(|it| record::send::decode(it)).collect()
    }

    /// Takes timers that are due.
    pub fn due_timers(&mut self, now: Time) -> Result<Vec<Timer>, BadRecord> {
        claim(self.timers.values_mut(), now).iter().map(|it| record::timer::decode(it)).collect()
    }

    /// When the next row becomes due, if any waits.
    pub fn next_due(&self) -> Option<Time> {
        self.outbox
            .values()
            .chain(self.timers.values())
            .map(|it| it.at.max(Time::from_ms(it.claimed)))
            .min()
    }
}

fn claim<'a>(rows: impl Iterator<Item = &'a mut Queued>, now: Time) -> Vec<Rc<str>> {
    let mut taken = Vec::new();
    for row in rows.filter(|it| it.at <= now && it.claimed <= now.ms()) {
        row.claimed = now.ms() + CLAIM_MS;
        taken.push(row.record.clone());
    }
    taken
}

fn of_peer<'a>(table: &'a Table, peer: &Did, pid: &Id) -> Option<&'a Row> {
    table.values().find(|it| it.peer.as_ref() == Some(peer) && it.pid.as_ref() == Some(pid))
}
