//! Lineage (溯源): from source to product, contract, sealed object, copy, use and result, as a W3C PROV graph.
//!
//! Never more than the facts say: a relation stands only where a fact of this node names both ends.
//! [`crate::wire::prov`] writes the graph; names in it are made by [`name`], one per thing, for ever.

use std::collections::{BTreeMap, BTreeSet};

use tidm_crypto::hash::Digest;

use crate::id::Id;
use crate::identity::did::Did;
use crate::negotiation::message::Role;
use crate::policy::privacy::micro_text;
use crate::policy::usage::Use;
use crate::time::Time;

use super::fact::{Fact, What};

/// A thing of PROV: entity, activity or agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thing {
    /// `tidm:` term of the kind of thing.
    pub kind: &'static str,
    pub label: String,
    /// Further attributes: `tidm:` term and value.
    pub notes: BTreeMap<&'static str, String>,
    /// Activities: first and last fact about it.
    pub started: Option<Time>,
    pub ended: Option<Time>,
}

/// A relation of PROV-DM between two things, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// activity used entity
    Used,
    /// entity wasGeneratedBy activity
    Generated,
    /// entity wasInvalidatedBy activity
    Invalidated,
    /// entity wasDerivedFrom entity
    Derived,
    /// activity wasAssociatedWith agent
    Associated,
    /// entity wasAttributedTo agent
    Attributed,
    /// activity wasInformedBy activity
    Informed,
}

/// The graph; equal facts give equal graphs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    pub entities: BTreeMap<String, Thing>,
    pub activities: BTreeMap<String, Thing>,
    pub agents: BTreeMap<String, Thing>,
    pub relations: BTreeSet<(Relation, String, String)>,
}

/// A PROV qualified name's local part: the kind, a dot, and the id with all but letters, digits, `-` and `_` as `%XX`.
///
/// PROV-N §3.7.1 allows percent escapes in local names; a dot must not be last and nothing here ends in one.
pub fn name(kind: &str, id: &str) -> String {
    use std::fmt::Write as _;
    let mut out = format!("{kind}.");
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The graph of these facts, which one node recorded. Order and repetition do not matter.
pub fn graph(facts: &[Fact]) -> Graph {
    let mut sorted: Vec<&Fact> = facts.iter().collect();
    sorted.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    sorted.dedup_by(|a, b| a == b);
    let mut work = Work {
        graph: Graph::default(),
        products: BTreeMap::new(),
        roles: BTreeMap::new(),
        sealed: BTreeMap::new(),
    };
    // Which product a contract is about, and which side we are, is said by some facts and needed by others.
    for fact in &sorted {
        work.learn(fact);
    }
    for fact in sorted {
        work.take(fact);
    }
    work.graph
}

struct Work {
    graph: Graph,
    products: BTreeMap<Id, Id>,
    roles: BTreeMap<Id, Role>,
    /// What was delivered under a contract: uses read it.
    sealed: BTreeMap<Id, BTreeSet<String>>,
}

impl Work {
    fn learn(&mut self, fact: &Fact) {
        let links = &fact.links;
        let Some(contract) = &links.contract else { return };
        // The product of this fact was made under the contract; the contract is about another one.
        let derived = matches!(fact.what, What::Derived { .. });
        if let Some(product) = links.product.as_ref().filter(|_| !derived) {
            self.products.insert(contract.clone(), product.clone());
        }
        match &fact.what {
            // Both parties of a matching grant the other one and hold.
            What::LeaseGranted { kind: Use::Psi, .. } | What::LeaseHeld { kind: Use::Psi, .. } => {}
            What::LeaseGranted { .. }
            | What::Appraised { .. }
            | What::LeaseRefused { .. }
            | What::KeyDestroyed => {
                self.roles.insert(contract.clone(), Role::Provider);
            }
            What::LeaseHeld { .. } | What::LeaseMissed { .. } | What::Derived { .. } => {
                self.roles.insert(contract.clone(), Role::Consumer);
            }
            // A transfer is asked for by the consumer and started by the provider: who says what about itself tells.
            What::Published { .. }
            | What::TablePrepared { .. }
            | What::Negotiation { .. }
            | What::Concluded { .. }
            | What::Transfer { .. }
            | What::Flow { .. }
            | What::Delivered { .. }
            | What::LeaseRenewed { .. }
            | What::LeaseClosed { .. }
            | What::ContractEnded { .. }
            | What::ContractStanding { .. }
            | What::Consented
            | What::DutyMissed { .. }
            | What::CopiesDeleted { .. }
            | What::MessageRefused { .. }
            | What::GaveUp { .. }
            | What::Share { .. }
            | What::Membership { .. } => {}
        }
    }

    fn agent(&mut self, did: &Did) -> String {
        let name = name("party", did.as_str());
        let thing = Thing { kind: "Participant", label: did.to_string(), ..Thing::default() };
        self.graph.agents.entry(name.clone()).or_insert(thing);
        name
    }

    fn entity(&mut self, kind: &'static str, prefix: &str, id: &str) -> String {
        let name = name(prefix, id);
        let thing = Thing { kind, label: id.to_owned(), ..Thing::default() };
        self.graph.entities.entry(name.clone()).or_insert(thing);
        name
    }

    fn note(&mut self, entity: &str, term: &'static str, value: impl ToString) {
        if let Some(it) = self.graph.entities.get_mut(entity) {
            it.notes.insert(term, value.to_string());
        }
    }

    /// The activity, its span widened to `at`, associated with who records it and with the peer.
    fn activity(&mut self, kind: &'static str, prefix: &str, id: &Id, fact: &Fact) -> String {
        let name = name(prefix, id.as_str());
        let thing = Thing { kind, label: id.to_string(), ..Thing::default() };
        let it = self.graph.activities.entry(name.clone()).or_insert(thing);
        it.started = Some(it.started.map_or(fact.at, |old| old.min(fact.at)));
        it.ended = Some(it.ended.map_or(fact.at, |old| old.max(fact.at)));
        for did in std::iter::once(&fact.by).chain(&fact.links.peer) {
            let agent = self.agent(did);
            self.relate(Relation::Associated, &name, &agent);
        }
        name
    }

    fn activity_note(&mut self, activity: &str, term: &'static str, value: impl ToString) {
        if let Some(it) = self.graph.activities.get_mut(activity) {
            it.notes.insert(term, value.to_string());
        }
    }

    fn relate(&mut self, relation: Relation, from: &str, to: &str) {
        self.graph.relations.insert((relation, from.to_owned(), to.to_owned()));
    }

    fn product(&mut self, id: &Id) -> String {
        self.entity("ProductVersion", "product", id.as_str())
    }

    fn contract(&mut self, id: &Id) -> String {
        self.entity("Contract", "contract", id.as_str())
    }

    fn take(&mut self, fact: &Fact) {
        match &fact.what {
            What::Published { content, origin, rows, bytes } => {
                self.published(fact, content, origin, *rows, *bytes);
            }
            What::Derived { .. } => self.derived(fact),
            What::Negotiation { to, .. } => {
                if let Some(id) = &fact.links.negotiation {
                    let activity = self.activity("Negotiation", "negotiation", id, fact);
                    self.activity_note(&activity, "state", to.token());
                    if let Some(product) = fact.links.product.clone() {
                        let product = self.product(&product);
                        self.relate(Relation::Used, &activity, &product);
                    }
                }
            }
            What::Concluded { signed, .. } => self.concluded(fact, signed),
            What::Transfer { to, .. } => {
                if let (Some(id), Some(contract)) = (&fact.links.transfer, &fact.links.contract) {
                    let activity = self.activity("Transfer", "transfer", id, fact);
                    self.activity_note(&activity, "state", to.token());
                    let contract = self.contract(contract);
                    self.relate(Relation::Used, &activity, &contract);
                }
            }
            What::Delivered { bytes, content } => self.delivered(fact, *bytes, content),
            What::LeaseGranted { kind, purpose, query, uses, epsilon, .. } => {
                if let Some(activity) = self.use_of(fact) {
                    self.activity_note(&activity, "kindOfUse", kind.name());
                    self.activity_note(&activity, "useNumber", uses);
                    if *epsilon > 0 {
                        self.activity_note(&activity, "epsilon", micro_text(*epsilon));
                    }
                    if let Some(purpose) = purpose {
                        self.activity_note(&activity, "purpose", purpose);
                    }
                    if let Some(query) = query {
                        self.activity_note(&activity, "queryDigest", query);
                    }
                }
            }
            What::LeaseHeld { kind, .. } => {
                if let Some(activity) = self.use_of(fact) {
                    self.activity_note(&activity, "kindOfUse", kind.name());
                }
            }
            // The use goes on: its span ends later.
            What::LeaseRenewed { .. } => drop(self.use_of(fact)),
            What::LeaseMissed { how, .. } => {
                if let Some(activity) = self.use_of(fact) {
                    self.activity_note(&activity, "ended", how.word());
                }
            }
            What::LeaseClosed { how, rows, bytes, result, .. } => {
                if let Some(activity) = self.use_of(fact) {
                    self.activity_note(&activity, "ended", how.word());
                    if let Some(result) = result {
                        self.result(fact, &activity, result, *rows, *bytes);
                    }
                }
            }
            What::ContractEnded { why, .. } => self.over(fact, "ContractEnd", "end", why.word()),
            What::KeyDestroyed => self.over(fact, "KeyDestruction", "key-destruction", "key"),
            What::CopiesDeleted { files, receipt, .. } => self.deleted(fact, files, receipt),
            // What flowed is a fact of its own, the states between are not lineage.
            What::Flow { .. } | What::TablePrepared { .. } => {}
            // Nothing flowed.
            What::Appraised { .. }
            | What::LeaseRefused { .. }
            | What::ContractStanding { .. }
            | What::Consented
            | What::DutyMissed { .. }
            | What::MessageRefused { .. }
            | What::GaveUp { .. }
            | What::Share { .. }
            | What::Membership { .. } => {}
        }
    }

    fn published(
        &mut self,
        fact: &Fact,
        content: &Digest,
        origin: &Digest,
        rows: Option<u64>,
        bytes: u64,
    ) {
        let Some(id) = fact.links.product.clone() else { return };
        let product = self.product(&id);
        self.note(&product, "contentDigest", content);
        self.note(&product, "bytes", bytes);
        if let Some(rows) = rows {
            self.note(&product, "rows", rows);
        }
        let source = self.entity("Origin", "origin", &origin.to_string());
        let activity = self.activity("Publication", "publication", &fact.id, fact);
        let owner = self.agent(&fact.by);
        self.relate(Relation::Used, &activity, &source);
        self.relate(Relation::Generated, &product, &activity);
        self.relate(Relation::Derived, &product, &source);
        self.relate(Relation::Attributed, &product, &owner);
    }

    /// What was made under a contract goes back to it, and to what was delivered or asked under it.
    fn derived(&mut self, fact: &Fact) {
        let (Some(made), Some(contract)) =
            (fact.links.product.clone(), fact.links.contract.clone())
        else {
            return;
        };
        let product = self.product(&made);
        let agreed = self.contract(&contract);
        self.relate(Relation::Derived, &product, &agreed);
        for read in self.inputs(&contract) {
            self.relate(Relation::Derived, &product, &read);
        }
        if let Some(peer) = &fact.links.peer {
            let provider = self.agent(peer);
            self.relate(Relation::Attributed, &agreed, &provider);
        }
    }

    fn concluded(&mut self, fact: &Fact, signed: &Digest) {
        let Some(id) = fact.links.contract.clone() else { return };
        let contract = self.contract(&id);
        self.note(&contract, "signedDigest", signed);
        if let Some(negotiation) = &fact.links.negotiation {
            let activity = self.activity("Negotiation", "negotiation", negotiation, fact);
            self.relate(Relation::Generated, &contract, &activity);
        }
        if let Some(product) = fact.links.product.clone() {
            let product = self.product(&product);
            self.relate(Relation::Derived, &contract, &product);
        }
    }

    /// Provider: bytes were laid ready. Consumer: they arrived and are a copy.
    fn delivered(&mut self, fact: &Fact, bytes: u64, content: &Digest) {
        let (Some(contract), Some(transfer)) =
            (fact.links.contract.clone(), fact.links.transfer.clone())
        else {
            return;
        };
        let activity = self.activity("Transfer", "transfer", &transfer, fact);
        let label = format!("{contract} {content}");
        let object = self.entity("DeliveredObject", "object", &label);
        self.note(&object, "contentDigest", content);
        self.note(&object, "bytes", bytes);
        let agreed = self.contract(&contract);
        self.relate(Relation::Used, &activity, &agreed);
        if let Some(product) = self.products.get(&contract).cloned() {
            let product = self.product(&product);
            self.relate(Relation::Derived, &object, &product);
        }
        let made = if self.roles.get(&contract) == Some(&Role::Consumer) {
            let copy = self.entity("Copy", "copy", &format!("{label} {}", fact.by));
            self.note(&copy, "contentDigest", content);
            self.relate(Relation::Derived, &copy, &object);
            self.relate(Relation::Used, &activity, &object);
            let holder = self.agent(&fact.by);
            self.relate(Relation::Attributed, &copy, &holder);
            copy
        } else {
            object
        };
        self.relate(Relation::Generated, &made, &activity);
        self.sealed.entry(contract).or_default().insert(made);
    }

    /// The use under a lease: it reads what was delivered, or the product itself where it runs beside it.
    fn use_of(&mut self, fact: &Fact) -> Option<String> {
        let (lease, contract) = (fact.links.lease.clone()?, fact.links.contract.clone()?);
        let activity = self.activity("Use", "use", &lease, fact);
        let agreed = self.contract(&contract);
        self.relate(Relation::Used, &activity, &agreed);
        for read in self.inputs(&contract) {
            self.relate(Relation::Used, &activity, &read);
        }
        Some(activity)
    }

    fn inputs(&mut self, contract: &Id) -> BTreeSet<String> {
        if let Some(all) = self.sealed.get(contract) {
            return all.clone();
        }
        let product = self.products.get(contract).cloned();
        product.map(|it| self.product(&it)).into_iter().collect()
    }

    fn result(&mut self, fact: &Fact, activity: &str, result: &Digest, rows: u64, bytes: u64) {
        let Some(lease) = fact.links.lease.clone() else { return };
        let entity = self.entity("Result", "result", &format!("{lease} {result}"));
        self.note(&entity, "contentDigest", result);
        self.note(&entity, "rows", rows);
        self.note(&entity, "bytes", bytes);
        self.relate(Relation::Generated, &entity, activity);
        let inputs = fact.links.contract.clone().map(|it| self.inputs(&it)).unwrap_or_default();
        for read in inputs {
            self.relate(Relation::Derived, &entity, &read);
        }
    }

    /// The contract no longer opens anything.
    fn over(&mut self, fact: &Fact, kind: &'static str, prefix: &'static str, why: &str) {
        let Some(id) = fact.links.contract.clone() else { return };
        let activity = self.activity(kind, prefix, &fact.id, fact);
        self.activity_note(&activity, "reason", why);
        let contract = self.contract(&id);
        let relation = if kind == "ContractEnd" { Relation::Invalidated } else { Relation::Used };
        let (from, to) =
            if relation == Relation::Used { (activity, contract) } else { (contract, activity) };
        self.relate(relation, &from, &to);
    }

    /// A signed receipt for deleted files: evidence of destruction.
    fn deleted(&mut self, fact: &Fact, files: &[Digest], receipt: &Digest) {
        let Some(id) = fact.links.contract.clone() else { return };
        let activity = self.activity("Deletion", "deletion", &fact.id, fact);
        let paper = self.entity("DeletionReceipt", "receipt", &receipt.to_string());
        self.relate(Relation::Generated, &paper, &activity);
        let contract = self.contract(&id);
        self.relate(Relation::Used, &activity, &contract);
        let copies: Vec<String> = self.sealed.get(&id).into_iter().flatten().cloned().collect();
        for copy in copies {
            let thing = self.graph.entities.get(&copy);
            let listed = thing.is_some_and(|it| {
                it.kind == "Copy"
                    && it
                        .notes
                        .get("contentDigest")
                        .is_some_and(|digest| files.iter().any(|file| file.to_string() == *digest))
            });
            if listed {
                self.relate(Relation::Invalidated, &copy, &activity);
            }
        }
    }
}

#[cfg(test)]
mod tests;
