//! Two sides' facts about one contract, laid side by side: what agrees, what is missing, what contradicts.
//!
//! Never believes either side: each statement is shown with who made it. The same facts and the same `at`
//! always give the same report, so that a third party who holds both logs gets it, too.
//!
//! What a report cannot show: something that both sides left out, and what happened outside of the nodes.

mod check;
pub mod share;
mod standing;
mod text;
mod verdict;

use std::collections::BTreeMap;
use std::time::Duration;

use tidm_crypto::hash::{Digest, Sha256Hasher};

use crate::catalog::delivery::Use;
use crate::contract::{Contract, End};
use crate::id::Id;
use crate::identity::did::Did;
use crate::negotiation;
use crate::negotiation::message::Role;
use crate::time::Time;
use crate::transfer;

use super::encode::encode;
use super::fact::{Closed, Fact, What};

pub use check::check;
pub use text::{finding, markdown};
pub use verdict::Verdict;

/// What one side still owes this shortly before the report is *pending*, not missing: notices are retried.
pub const GRACE: Duration = Duration::from_secs(60);

/// What both sides are measured against: our copy of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub contract: Id,
    pub product: Id,
    pub provider: Did,
    pub consumer: Did,
    /// SHA-256 of what was signed.
    pub signed: Digest,
    /// Most uses; `None`: the contract does not count.
    pub limit: Option<u64>,
}

impl Subject {
    /// From our copy; `me` is this node.
    pub fn of(contract: &Contract, me: &Did) -> Self {
        Self {
            contract: contract.id.clone(),
            product: contract.product.clone(),
            provider: contract.provider(me).clone(),
            consumer: contract.consumer(me).clone(),
            signed: contract.digest,
            limit: contract.terms().ok().and_then(|it| it.summary.uses),
        }
    }

    pub(super) fn party(&self, role: Role) -> &Did {
        match role {
            Role::Provider => &self.provider,
            Role::Consumer => &self.consumer,
        }
    }
}

/// One side's own account, in the order of its facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub facts: u64,
    /// SHA-256 over the canonical bytes of the facts, each behind its length, in the report's order.
    pub digest: Option<Digest>,
    pub concluded: Option<Conclusion>,
    /// Where the negotiation ended, as far as facts about the contract tell.
    pub negotiation: Option<negotiation::state::Name>,
    pub transfers: BTreeMap<Id, transfer::state::Name>,
    pub deliveries: Vec<Delivery>,
    /// Of the provider's gate.
    pub leases: BTreeMap<Id, LeaseView>,
    /// Of the consumer's gate: the provider may join a matching.
    pub joined: BTreeMap<Id, LeaseView>,
    pub refusals: Vec<Refusal>,
    pub ended: Option<Ending>,
    /// Suspensions with their reasons, and resumptions, by the number of the change.
    pub standing: BTreeMap<u32, (Time, Option<String>)>,
    /// When a duty was found not to be signed for, and which.
    pub missed: Vec<(Time, String)>,
    /// Consumer: product versions that it published as made under the contract.
    pub derived: Vec<(Time, Id)>,
    pub key_destroyed: Option<Time>,
    pub deletion: Option<Deletion>,
    /// Messages of the peer that were refused, and deliveries that were given up.
    pub troubles: Vec<(Time, String)>,
    /// Facts that this side cannot have recorded about this contract.
    pub foreign: Vec<Id>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conclusion {
    pub at: Time,
    pub signed: Digest,
    pub provider_signed: bool,
    pub consumer_signed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub at: Time,
    pub bytes: u64,
    pub content: Digest,
}

/// What one side says of one lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseView {
    pub opened: Option<Opened>,
    /// Consumer only: when it learned of a grant that its node never got, and how that lease ended.
    pub missed: Option<(Time, Closed)>,
    /// Number and new end of each renewal.
    pub renewed: BTreeMap<u32, Time>,
    pub closed: Option<ClosedView>,
}

impl LeaseView {
    /// When it ends by itself, as far as this side knows.
    pub fn until(&self) -> Option<Time> {
        let last = self.renewed.values().next_back().copied();
        last.or_else(|| self.opened.as_ref().map(|it| it.until))
    }
}

/// The grant (provider) or its arrival (consumer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    pub at: Time,
    pub kind: Use,
    pub until: Time,
    /// Provider only: which use this was, why, and the digest of the query.
    pub use_number: Option<u64>,
    pub purpose: Option<String>,
    pub query: Option<Digest>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedView {
    pub at: Time,
    pub how: Closed,
    pub rows: u64,
    pub bytes: u64,
    pub result: Option<Digest>,
    /// Of the holder's signature on its return.
    pub receipt: Option<Digest>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub at: Time,
    pub kind: Use,
    pub code: String,
    pub rule: String,
    /// So many before it with the same code have no fact of their own.
    pub more: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub at: Time,
    pub why: End,
    pub by: Role,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    pub at: Time,
    pub files: Vec<Digest>,
    pub receipt: Digest,
}

impl Account {
    /// Reads one side's facts. Order and repetition of `facts` do not matter.
    pub fn of(subject: &Subject, role: Role, facts: &[Fact]) -> Self {
        let mut sorted: Vec<&Fact> = facts.iter().collect();
        sorted.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        sorted.dedup_by(|a, b| a == b);
        let mut it = Self::default();
        let mut hasher = Sha256Hasher::new();
        for fact in sorted {
            it.facts += 1;
            let bytes = encode(fact);
            hasher.update(&(bytes.len() as u64).to_be_bytes());
            hasher.update(&bytes);
            let theirs = fact.by == *subject.party(role)
                && fact.links.contract.as_ref() == Some(&subject.contract);
            if theirs { it.take(fact, role) } else { it.foreign.push(fact.id.clone()) }
        }
        it.digest = (it.facts > 0).then(|| hasher.finish());
        it
    }

    fn take(&mut self, fact: &Fact, role: Role) {
        let at = fact.at;
        match &fact.what {
            What::Published { .. }
            | What::TablePrepared { .. }
            | What::Flow { .. }
            | What::Appraised { .. }
            | What::Consented
            | What::Share { .. }
            | What::Membership { .. } => {}
            What::Negotiation { to, .. } => self.negotiation = Some(*to),
            What::Concluded { signed, provider_signed, consumer_signed } => {
                let (signed, provider_signed, consumer_signed) =
                    (*signed, *provider_signed, *consumer_signed);
                self.concluded = Some(Conclusion { at, signed, provider_signed, consumer_signed });
            }
            What::Transfer { to, .. } => {
                if let Some(id) = &fact.links.transfer {
                    self.transfers.insert(id.clone(), *to);
                }
            }
            What::Delivered { bytes, content } => {
                self.deliveries.push(Delivery { at, bytes: *bytes, content: *content });
            }
            What::LeaseRefused { kind, code, rule, more } => {
                self.refusals.push(Refusal {
                    at,
                    kind: *kind,
                    code: code.clone(),
                    rule: rule.clone(),
                    more: *more,
                });
            }
            What::LeaseGranted { .. }
            | What::LeaseHeld { .. }
            | What::LeaseRenewed { .. }
            | What::LeaseMissed { .. }
            | What::LeaseClosed { .. } => self.take_lease(fact, role),
            What::ContractEnded { why, by, reason } => {
                let ending = Ending { at, why: *why, by: *by, reason: reason.clone() };
                self.ended.get_or_insert(ending);
            }
            What::ContractStanding { change, reason } => {
                self.standing.insert(*change, (at, reason.clone()));
            }
            What::Derived { .. } => {
                self.derived.extend(fact.links.product.clone().map(|it| (at, it)));
            }
            What::DutyMissed { duty } => self.missed.push((at, duty.clone())),
            What::KeyDestroyed => {
                self.key_destroyed.get_or_insert(at);
            }
            What::CopiesDeleted { files, receipt, .. } => {
                let deletion = Deletion { at, files: files.clone(), receipt: *receipt };
                self.deletion.get_or_insert(deletion);
            }
            What::MessageRefused { code } | What::GaveUp { code } => {
                self.troubles.push((at, code.clone()));
            }
        }
    }

    fn take_lease(&mut self, fact: &Fact, role: Role) {
        let Some(id) = &fact.links.lease else {
            self.foreign.push(fact.id.clone());
            return;
        };
        let at = fact.at;
        let granted = matches!(fact.what, What::LeaseGranted { .. });
        let held = matches!(fact.what, What::LeaseHeld { .. } | What::LeaseMissed { .. });
        let joining = match role {
            Role::Consumer if granted => true,
            Role::Provider if held => true,
            Role::Consumer | Role::Provider => !granted && !held && self.joined.contains_key(id),
        };
        let of = if joining { &mut self.joined } else { &mut self.leases };
        let lease = of.entry(id.clone()).or_default();
        match &fact.what {
            What::LeaseGranted { kind, purpose, query, uses, until, .. } => {
                lease.opened = Some(Opened {
                    at,
                    kind: *kind,
                    until: *until,
                    use_number: Some(*uses),
                    purpose: purpose.clone(),
                    query: *query,
                });
            }
            What::LeaseHeld { kind, until } => {
                let none = (None, None, None);
                let (use_number, purpose, query) = none;
                lease.opened =
                    Some(Opened { at, kind: *kind, until: *until, use_number, purpose, query });
            }
            What::LeaseRenewed { number, until } => drop(lease.renewed.insert(*number, *until)),
            What::LeaseMissed { how, .. } => lease.missed = Some((at, *how)),
            What::LeaseClosed { how, rows, bytes, result, receipt } => {
                let (how, rows, bytes) = (*how, *rows, *bytes);
                let (result, receipt) = (*result, *receipt);
                lease.closed = Some(ClosedView { at, how, rows, bytes, result, receipt });
            }
            What::Published { .. }
            | What::Derived { .. }
            | What::TablePrepared { .. }
            | What::Negotiation { .. }
            | What::Concluded { .. }
            | What::Transfer { .. }
            | What::Flow { .. }
            | What::Delivered { .. }
            | What::Appraised { .. }
            | What::LeaseRefused { .. }
            | What::ContractEnded { .. }
            | What::ContractStanding { .. }
            | What::Consented
            | What::DutyMissed { .. }
            | What::KeyDestroyed
            | What::CopiesDeleted { .. }
            | What::MessageRefused { .. }
            | What::GaveUp { .. }
            | What::Share { .. }
            | What::Membership { .. } => {}
        }
    }

    /// Uses that this side says to have begun.
    pub fn uses(&self) -> u64 {
        self.leases.values().filter(|it| it.opened.is_some()).count() as u64
    }
}

/// How bad a finding is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The two sides, or one side and the contract, say what cannot both be true.
    Contradiction,
    /// One side lacks a fact that the other's implies.
    Missing,
    /// Not there yet, and may still come.
    Pending,
    /// Worth knowing.
    Note,
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Self::Contradiction => "contradiction",
            Self::Missing => "missing",
            Self::Pending => "pending",
            Self::Note => "note",
        }
    }
}

/// One thing that does not fit. `code` is stable; the words for people are made by [`finding`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub severity: Severity,
    pub code: Code,
    /// Which lease, transfer or fact.
    pub about: Option<Id>,
    /// Values of the two sides or of rule and record, in that order.
    pub detail: Vec<String>,
}

/// Every kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    NoPeerFacts,
    ForeignFact,
    NotConcluded,
    SignedDiffers,
    SignaturesDiffer,
    NegotiationDiffers,
    TransfersDiffer,
    NotProvided,
    NotArrived,
    NotHeld,
    NeverArrived,
    UsedByProgram,
    NotGranted,
    LeaseTermsDiffer,
    RenewalNotGranted,
    RenewalNotHeld,
    OutcomeDiffers,
    EndedDifferently,
    LeaseOpen,
    CloseWithoutOpen,
    CountBroken,
    CountExceeded,
    UseAfterEnd,
    UseWhileSuspended,
    StandingDiffers,
    DutyMissed,
    EndUnknown,
    EndDiffers,
    KeyNotDestroyed,
    KeyDestroyedEarly,
    DeletionMissing,
    DeletionNotReceived,
    DeletionDiffers,
    DeletionIncomplete,
    Refused,
    ShareWithoutLease,
    Trouble,
}

impl Code {
    pub fn word(self) -> &'static str {
        match self {
            Self::NoPeerFacts => "peer.no-facts",
            Self::ForeignFact => "fact.foreign",
            Self::NotConcluded => "contract.not-concluded",
            Self::SignedDiffers => "contract.signed-differs",
            Self::SignaturesDiffer => "contract.signatures-differ",
            Self::NegotiationDiffers => "negotiation.differs",
            Self::TransfersDiffer => "transfer.differs",
            Self::NotProvided => "delivery.not-provided",
            Self::NotArrived => "delivery.not-arrived",
            Self::NotHeld => "lease.not-held",
            Self::NeverArrived => "lease.never-arrived",
            Self::UsedByProgram => "lease.used-by-program",
            Self::NotGranted => "lease.not-granted",
            Self::LeaseTermsDiffer => "lease.terms-differ",
            Self::RenewalNotGranted => "lease.renewal-not-granted",
            Self::RenewalNotHeld => "lease.renewal-not-held",
            Self::OutcomeDiffers => "lease.outcome-differs",
            Self::EndedDifferently => "lease.ended-differently",
            Self::LeaseOpen => "lease.open",
            Self::CloseWithoutOpen => "lease.close-without-open",
            Self::CountBroken => "uses.count-broken",
            Self::CountExceeded => "uses.exceeded",
            Self::UseAfterEnd => "uses.after-end",
            Self::UseWhileSuspended => "uses.while-suspended",
            Self::StandingDiffers => "standing.differs",
            Self::DutyMissed => "duty.missed",
            Self::EndUnknown => "end.unknown",
            Self::EndDiffers => "end.differs",
            Self::KeyNotDestroyed => "key.not-destroyed",
            Self::KeyDestroyedEarly => "key.destroyed-early",
            Self::DeletionMissing => "deletion.missing",
            Self::DeletionNotReceived => "deletion.not-received",
            Self::DeletionDiffers => "deletion.differs",
            Self::DeletionIncomplete => "deletion.incomplete",
            Self::Refused => "lease.refused",
            Self::ShareWithoutLease => "share.without-lease",
            Self::Trouble => "message.trouble",
        }
    }
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub subject: Subject,
    /// As of when; what is pending depends on it.
    pub at: Time,
    pub provider: Account,
    pub consumer: Account,
    /// Of the operator that a data key is split with.
    pub operator: Option<share::Account>,
    /// Which side's facts could not be had.
    pub absent: Option<Role>,
    /// Worst first.
    pub findings: Vec<Finding>,
}

#[cfg(test)]
mod tests;
