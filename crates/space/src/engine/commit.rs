//! One unit of work: everything that must become durable together.
//!
//! Never executed in parts: either all rows are saved or none. Executing it twice must be impossible
//! (aggregates carry the version they were loaded at) or harmless.

use tidm_crypto::hash::Digest;

use crate::catalog::product::Product;
use crate::contract::Contract;
use crate::dataflow::state::Flow;
use crate::evidence::fact::{Fact, Links, What};
use crate::fault::Fault;
use crate::id::{Id, Ids};
use crate::identity::did::Did;
use crate::lease::machine::Debit;
use crate::lease::message::Grant;
use crate::lease::state::Lease;
use crate::negotiation::state::Negotiation;
use crate::time::Time;
use crate::transfer::state::Transfer;

use super::node::Node;
use super::refusal::Tally;
use super::view::{Needs, View};

/// What must be saved in one transaction, in any order.
#[must_use]
#[derive(Clone, Debug, Default)]
pub struct Commit {
    pub negotiations: Vec<Negotiation>,
    pub transfers: Vec<Transfer>,
    pub flows: Vec<Flow>,
    pub contracts: Vec<Contract>,
    pub leases: Vec<Lease>,
    pub products: Vec<Product>,
    pub debits: Vec<Debit>,
    /// Tallies of refusals, each in the place of the one before.
    pub refusals: Vec<Tally>,
    pub facts: Vec<Fact>,
    /// New outbox rows, and rows whose next try moved.
    pub sends: Vec<Send>,
    /// Outbox rows that are done with.
    pub unsends: Vec<Id>,
    /// Outbox rows about this subject are pointless from now on, whatever their id.
    pub withdrawn: Vec<About>,
    pub seen: Option<Seen>,
    pub timers: Vec<Timer>,
    /// Timers that are done with, by key.
    pub untimers: Vec<String>,
}

impl Commit {
    pub fn is_empty(&self) -> bool {
        self.negotiations.is_empty()
            && self.transfers.is_empty()
            && self.flows.is_empty()
            && self.contracts.is_empty()
            && self.leases.is_empty()
            && self.products.is_empty()
            && self.debits.is_empty()
            && self.refusals.is_empty()
            && self.facts.is_empty()
            && self.sends.is_empty()
            && self.unsends.is_empty()
            && self.withdrawn.is_empty()
            && self.seen.is_none()
            && self.timers.is_empty()
            && self.untimers.is_empty()
    }
}

/// A message on its way: an outbox row. Delivered at least once, in no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// The message's `@id`.
    pub id: Id,
    pub to: Did,
    /// Absolute address to POST to.
    pub url: String,
    /// The JSON document, complete.
    pub body: String,
    pub about: About,
    pub attempts: u32,
    pub first: Time,
    pub next: Time,
}

/// What a message is about: whose state moves when it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    Negotiation(Id),
    Transfer(Id),
    /// A notice of our profile: its loss is retried, its refusal changes no state.
    Notice {
        contract: Id,
    },
    /// A data flow: an order to a data plane, or its report to a control plane.
    Flow(Id),
}

impl About {
    pub(super) fn needs(&self) -> Needs {
        match self {
            Self::Negotiation(id) => Needs { negotiation: Some(id.clone()), ..Needs::default() },
            Self::Transfer(id) => {
                Needs { transfer: Some(id.clone()), transfer_contract: true, ..Needs::default() }
            }
            Self::Notice { contract } => {
                Needs { contract: Some(contract.clone()), ..Needs::default() }
            }
            Self::Flow(id) => super::dataflow::of(id),
        }
    }
}

/// A message id that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub peer: Did,
    pub id: Id,
    pub digest: Digest,
    pub at: Time,
}

/// Something to look at later. A timer with the same key replaces the earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    pub key: String,
    pub at: Time,
    /// Tries so far, for jobs.
    pub attempts: u32,
    pub what: Due,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing moved: end it.
    NegotiationIdle(Id),
    TransferIdle(Id),
    /// The delay of an approval rule is over.
    NegotiationRule(Id),
    TransferRule(Id),
    LeaseEnd {
        lease: Id,
    },
    ContractEnd {
        contract: Id,
    },
    /// Provider: a duty to delete was to be signed for by now.
    DeletionDue {
        contract: Id,
    },
    /// Something for the shell to do; it reports by a [`super::input::Wish`].
    Job(Job),
}

/// Work of the shell that must happen at least once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Provider: seal and lay ready what this transfer delivers.
    Provide { transfer: Id },
    /// Consumer: fetch what a started transfer delivers, or clear away what had arrived of one that broke off.
    Fetch { transfer: Id },
    /// Provider: send what a started transfer delivers to where the consumer wants it.
    Push { transfer: Id },
    /// Provider: erase the contract's wrapping key.
    DestroyKey { contract: Id },
    /// Consumer: delete ciphertext and caches.
    Erase { contract: Id },
    /// Data plane: get a flow ready, or move its bytes.
    Flow { flow: Id },
}

impl Timer {
    pub fn new(at: Time, what: Due) -> Self {
        Self { key: what.key(), at, attempts: 0, what }
    }
}

impl Due {
    /// One timer of each kind per subject.
    pub fn key(&self) -> String {
        match self {
            Self::NegotiationIdle(id) => format!("negotiation-idle {id}"),
            Self::TransferIdle(id) => format!("transfer-idle {id}"),
            Self::NegotiationRule(id) => format!("negotiation-rule {id}"),
            Self::TransferRule(id) => format!("transfer-rule {id}"),
            Self::LeaseEnd { lease } => format!("lease-end {lease}"),
            Self::ContractEnd { contract } => format!("contract-end {contract}"),
            Self::DeletionDue { contract } => format!("deletion-due {contract}"),
            Self::Job(Job::Provide { transfer }) => format!("provide {transfer}"),
            Self::Job(Job::Fetch { transfer }) => format!("fetch {transfer}"),
            Self::Job(Job::Push { transfer }) => format!("push {transfer}"),
            Self::Job(Job::DestroyKey { contract }) => format!("destroy-key {contract}"),
            Self::Job(Job::Erase { contract }) => format!("erase {contract}"),
            Self::Job(Job::Flow { flow }) => format!("flow {flow}"),
        }
    }

    pub(super) fn needs(&self) -> Needs {
        match self {
            Self::NegotiationIdle(id) => {
                Needs { negotiation: Some(id.clone()), ..Needs::default() }
            }
            Self::NegotiationRule(id) => Needs {
                negotiation: Some(id.clone()),
                negotiation_product: true,
                ..Needs::default()
            },
            Self::TransferIdle(id) | Self::TransferRule(id) => {
                Needs { transfer: Some(id.clone()), transfer_contract: true, ..Needs::default() }
            }
            Self::LeaseEnd { lease } => {
                Needs { lease: Some(lease.clone()), lease_contract: true, ..Needs::default() }
            }
            Self::ContractEnd { contract } => Needs {
                contract: Some(contract.clone()),
                open_under: Some(contract.clone()),
                ..Needs::default()
            },
            Self::DeletionDue { contract } => {
                Needs { contract: Some(contract.clone()), ..Needs::default() }
            }
            Self::Job(_) => Needs::default(),
        }
    }
}

/// What the caller is told once the commit is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Nothing,
    /// The negotiation as it stands, and whether this call made it.
    Negotiation {
        it: Box<Negotiation>,
        created: bool,
    },
    Transfer {
        it: Box<Transfer>,
        created: bool,
    },
    Flow {
        it: Box<Flow>,
        created: bool,
    },
    Lease(Grant),
    Contract(Id),
    Product(Id),
}

pub type Answer = Result<Reply, Fault>;

/// A decision: what to save, and what to answer after that. A refusal may leave a fact, too.
#[must_use]
#[derive(Debug)]
pub struct Decision {
    pub commit: Commit,
    pub reply: Answer,
}

/// A decision in the making.
pub(super) struct Work<'a> {
    pub(super) node: &'a Node<'a>,
    pub(super) view: &'a View,
    pub(super) now: Time,
    pub(super) ids: &'a mut dyn Ids,
    pub(super) commit: Commit,
}

impl Work<'_> {
    pub(super) fn fact(&mut self, links: Links, what: What) {
        let fact =
            Fact { id: self.ids.fresh(), at: self.now, by: self.node.me.clone(), links, what };
        self.commit.facts.push(fact);
    }

    pub(super) fn timer(&mut self, at: Time, what: Due) {
        self.commit.timers.push(Timer::new(at, what));
    }

    pub(super) fn untimer(&mut self, what: &Due) {
        self.commit.untimers.push(what.key());
    }

    /// A refusal changes nothing but may leave its fact, and is counted.
    pub(super) fn finish(self, reply: Answer) -> Decision {
        let mut commit = self.commit;
        if reply.is_err() {
            let Commit { facts, refusals, .. } = commit;
            commit = Commit { facts, refusals, ..Commit::default() };
        }
        Decision { commit, reply }
    }
}
