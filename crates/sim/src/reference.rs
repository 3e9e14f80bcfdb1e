//! What should be true, written down as it happens, independently of what any store says later.
//!
//! Never read by a node.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tidm_ledger::tree::Hash;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::policy::model::Policy;

#[derive(Debug, Default)]
pub struct Reference {
    /// Terms that a person of either side put on the table, by consumer and product.
    pub proposed: BTreeMap<(usize, Id), Vec<Policy>>,
    /// Leases whose grant left the provider, by provider and contract.
    pub released: BTreeMap<(usize, Id), BTreeSet<Id>>,
    /// Leases that became durable at a provider, with their contracts, in their order.
    pub grants: BTreeMap<usize, Vec<(Id, Id)>>,
    /// Rows and bytes that left a provider, by lease: whole objects that a key opened, and results.
    pub left: BTreeMap<(usize, Id), (u64, u64)>,
    /// Tombstones that became durable, by node and contract.
    pub ended: BTreeSet<(usize, Id)>,
    /// Suspensions that became durable and were not undone, by node and contract.
    pub suspended: BTreeSet<(usize, Id)>,
    /// Contracts whose key was erased.
    pub destroyed: BTreeSet<(usize, Id)>,
    /// Facts that became durable, in their order, by node.
    pub facts: BTreeMap<usize, Vec<Rc<[u8]>>>,
    /// Signatures that verified, with the payload: looked up rather than computed again for the other side.
    pub verified: std::cell::RefCell<BTreeMap<(usize, String), Vec<u8>>>,
    /// Roots that were signed, by node and size.
    pub signed: BTreeMap<(usize, u64), Hash>,
    /// Flows that a data plane was told to stop, and has acknowledged to have stopped.
    pub halted: BTreeSet<(usize, Id)>,
    /// Memberships by holder, in the world's time.
    pub memberships: BTreeMap<Did, Vec<Membership>>,
    /// Who (second) was refused a hearing by whom (first): to them messages did not stop being lost.
    pub unheard: BTreeSet<(usize, usize)>,
    /// How far each node's clock was set back in all.
    pub set_back_ms: BTreeMap<usize, i64>,
    /// Largest head that a custodian saw, by node.
    pub witnessed: BTreeMap<usize, u64>,
}

/// From when to when a credential stood at its issuer.
#[derive(Clone, Copy, Debug)]
pub struct Membership {
    pub since: i64,
    pub revoked: Option<i64>,
}
