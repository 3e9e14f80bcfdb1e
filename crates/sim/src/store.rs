//! The node's store in memory: what [`Needs`] loads and a [`Commit`] saves, as rows of bytes.
//!
//! Every aggregate passes through `wire::record` on its way in and out, so that whatever a row cannot hold
//! is lost here as it would be on disk. A commit is staged whole and applied whole: a crash between two
//! of its writes leaves nothing of it.

use std::collections::BTreeMap;
use std::rc::Rc;

use tidm_ledger::tree::Hash;
use tidm_space::contract::Contract;
use tidm_space::engine::commit::{About, Commit, Seen, Send, Timer};
use tidm_space::engine::view::{Needs, View};
use tidm_space::evidence;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lease::machine::{Debit, DebitKind, Spent};
use tidm_space::lease::message::Nonce;
use tidm_space::lease::state::{Lease, Name as LeaseName};
use tidm_space::negotiation::message::Role;
use tidm_space::negotiation::state::Negotiation;
use tidm_space::time::Time;
use tidm_space::transfer::state::Transfer;
use tidm_space::wire::record::{self, BadRecord};

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
    pub contracts: Table,
    pub leases: Table,
    pub products: Table,
    pub debits: BTreeMap<(Id, &'static str), Debit>,
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
    Contract(Id, Row),
    Lease(Id, Row),
    Product(Id, Row),
    Debit(Debit),
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

pub fn negotiation_row(it: &Negotiation) -> Row {
    Row {
        peer: Some(it.peer.clone()),
        pid: it.peer_pid.clone(),
        of: it.state.agreement().map(|it| it.id.clone()),
        nonce: None,
        role: Some(it.role),
        state: it.state.name().token(),
        open: it.is_open(),
        record: record::negotiation::encode(it).into(),
    }
}

pub fn transfer_row(it: &Transfer) -> Row {
    Row {
        peer: Some(it.peer.clone()),
        pid: it.peer_pid.clone(),
        of: Some(it.contract.clone()),
        nonce: None,
        role: Some(it.role),
        state: it.state.name().token(),
        open: it.is_open(),
        record: record::transfer::encode(it).into(),
    }
}

pub fn contract_row(it: &Contract) -> Row {
    Row {
        peer: Some(it.peer.clone()),
        pid: None,
        of: None,
        nonce: None,
        role: Some(it.role),
        state: if it.is_active() { "active" } else { "ended" },
        open: it.is_active(),
        record: record::contract::encode(it).into(),
    }
}

pub fn lease_row(it: &Lease) -> Row {
    Row {
        peer: Some(it.peer.clone()),
        pid: None,
        of: Some(it.request.contract.clone()),
        nonce: Some(it.request.nonce),
        role: Some(it.role),
        state: it.state.name().word(),
        open: it.state.name() == LeaseName::Granted,
        record: record::lease::encode(it).into(),
    }
}

/// The rows of a commit, in the order of the node's statements.
pub fn stage(commit: &Commit, now: Time) -> Vec<Write> {
    let mut out = Vec::new();
    out.extend(
        commit.negotiations.iter().map(|it| Write::Negotiation(it.id.clone(), negotiation_row(it))),
    );
    out.extend(commit.transfers.iter().map(|it| Write::Transfer(it.id.clone(), transfer_row(it))));
    out.extend(commit.contracts.iter().map(|it| Write::Contract(it.id.clone(), contract_row(it))));
    out.extend(commit.leases.iter().map(|it| Write::Lease(it.id.clone(), lease_row(it))));
    out.extend(commit.debits.iter().cloned().map(Write::Debit));
    for it in &commit.products {
        let record: Rc<str> = record::product::encode(it).into();
        let row = Row {
            peer: None,
            pid: None,
            of: None,
            nonce: None,
            role: None,
            state: "listed",
            open: true,
            record,
        };
        out.push(Write::Product(it.id.clone(), row));
    }
    out.extend(
        commit
            .facts
            .iter()
            .map(|it| Write::Fact(it.id.clone(), evidence::encode::encode(it).into())),
    );
    out.extend(commit.withdrawn.iter().cloned().map(Write::Withdraw));
    out.extend(commit.unsends.iter().cloned().map(Write::Unsend));
    for it in &commit.sends {
        let claimed = if it.next <= now { now.ms() + CLAIM_MS } else { 0 };
        let record = record::send::encode(it).into();
        out.push(Write::Send(
            it.id.clone(),
            Queued { at: it.next, claimed, about: Some(it.about.clone()), record },
        ));
    }
    out.extend(commit.untimers.iter().cloned().map(Write::Untimer));
    for it in &commit.timers {
        let claimed = if it.at <= now { now.ms() + CLAIM_MS } else { 0 };
        let record = record::timer::encode(it).into();
        out.push(Write::Timer(it.key.clone(), Queued { at: it.at, claimed, about: None, record }));
    }
    out.extend(commit.seen.iter().cloned().map(Write::Seen));
    out
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
        if let Some(id) = wanted(needs, &view) {
            view.contract = self.contract(&id)?;
        }
        let of = view.negotiation.as_ref().filter(|_| needs.negotiation_product);
        if let Some(id) = needs.product.as_ref().or_else(|| of.map(|it| &it.product)) {
            view.product =
                self.products.get(id).map(|it| record::product::decode(&it.record)).transpose()?;
        }
        Ok(view)
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
        let mut spent = Spent::default();
        for it in self.debits.values().filter(|it| it.contract == *contract) {
            match it.kind {
                DebitKind::Use => spent.uses += it.amount,
                DebitKind::Rows => spent.rows += it.amount,
                DebitKind::Bytes => spent.bytes += it.amount,
            }
        }
        spent
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
                Write::Debit(it)
                    if self.debits.contains_key(&(it.lease.clone(), it.kind.word())) =>
                {
                    return Err(StoreError::Unique(format!("debit of {}", it.lease)));
                }
                Write::Product(id, _) if self.products.contains_key(id) => {
                    return Err(StoreError::Unique(format!("product {id}")));
                }
                Write::Negotiation(..)
                | Write::Transfer(..)
                | Write::Contract(..)
                | Write::Product(..)
                | Write::Debit(_)
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
            Write::Contract(id, row) => {
                // A tombstone stays one, whatever an older replica of this row says (house D13).
                if row.open && self.contracts.get(&id).is_some_and(|had| !had.open) {
                    return;
                }
                self.contracts.insert(id, row);
            }
            Write::Lease(id, row) => drop(self.leases.insert(id, row)),
            Write::Product(id, row) => drop(self.products.insert(id, row)),
            Write::Debit(it) => drop(self.debits.insert((it.lease.clone(), it.kind.word()), it)),
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

fn wanted(needs: &Needs, view: &View) -> Option<Id> {
    if let Some(id) = &needs.contract {
        return Some(id.clone());
    }
    let of_transfer =
        view.transfer.as_ref().filter(|_| needs.transfer_contract).map(|it| it.contract.clone());
    of_transfer.or_else(|| {
        view.lease.as_ref().filter(|_| needs.lease_contract).map(|it| it.request.contract.clone())
    })
}
