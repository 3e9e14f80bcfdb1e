//! What became of each copy that a provider delivered under one contract, from its own facts.
//!
//! Never proof that no copy exists: *destroyed* means that the consumer's node signed for it. Copies are those that the
//! protocol delivered; what somebody made of an open one is nobody's to list.

use std::collections::BTreeMap;

use tidm_crypto::hash::Digest;

use crate::contract::Contract;
use crate::id::Id;
use crate::lang::Lang;
use crate::time::Time;
use crate::transfer::state::Name;

use super::fact::{Fact, What};

/// One content that was delivered: however often, a node keeps it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// SHA-256 of what was delivered; sealed where the contract says so.
    pub content: Digest,
    pub bytes: u64,
    /// By these transfers.
    pub transfers: Vec<Id>,
    /// When it was made available last.
    pub at: Time,
    pub fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The contract stands: the copy is where it is to be.
    InUse,
    /// The consumer's node signed that it deleted it.
    Destroyed { at: Time },
    /// The consumer's node signed for its copies, and not for this one.
    NotNamed { at: Time },
    /// The consumer's node would not hear that the contract ended.
    Refused { at: Time, code: String },
    /// No word yet since the contract ended.
    NotHeard { since: Time },
    /// It was made available and never fetched whole, and nothing is left that could fetch it.
    NeverArrived,
}

impl Fate {
    pub fn word(&self) -> &'static str {
        match self {
            Self::InUse => "in-use",
            Self::Destroyed { .. } => "destroyed",
            Self::NotNamed { .. } => "not-named",
            Self::Refused { .. } => "refused",
            Self::NotHeard { .. } => "not-heard",
            Self::NeverArrived => "never-arrived",
        }
    }

    /// One line for people.
    pub fn says(&self, lang: Lang) -> String {
        let p = |zh, en| lang.pick(zh, en);
        match self {
            Self::InUse => p("合约有效，副本在用", "in use: the contract stands").to_owned(),
            Self::Destroyed { at } => {
                format!(
                    "{} {at}",
                    p("使用方已签署销毁回执", "destroyed, signed for by the consumer at")
                )
            }
            Self::NotNamed { at } => format!(
                "{} {at}",
                p("使用方回执未列出此副本", "not named by the receipt that the consumer signed at")
            ),
            Self::Refused { at, code } => {
                format!(
                    "{} {at} [{code}]",
                    p("使用方拒绝召回通知", "the consumer refused the recall at")
                )
            }
            Self::NotHeard { since } => {
                format!("{} {since}", p("尚未收到使用方答复，自", "not heard yet, since"))
            }
            Self::NeverArrived => p("未曾完整交付", "never delivered whole").to_owned(),
        }
    }
}

/// The kinds of facts that [`copies`] reads.
pub const KINDS: &[&str] = &["delivered", "transfer", "contract-ended", "gave-up"];

/// The copies under a contract that this node provides, in the order of their first delivery.
pub fn copies(contract: &Contract, facts: &[Fact]) -> Vec<Copy> {
    let mut order: Vec<Digest> = Vec::new();
    let mut found: BTreeMap<Digest, Copy> = BTreeMap::new();
    let mut ended = None;
    let mut refused = None;
    let mut states: BTreeMap<&Id, Name> = BTreeMap::new();
    for fact in facts {
        match &fact.what {
            What::Delivered { bytes, content } => {
                if !found.contains_key(content) {
                    order.push(*content);
                }
                let fate = Fate::InUse;
                let fresh =
                    Copy { content: *content, bytes: *bytes, transfers: vec![], at: fact.at, fate };
                let it = found.entry(*content).or_insert(fresh);
                it.at = it.at.max(fact.at);
                it.transfers
                    .extend(fact.links.transfer.clone().filter(|id| !it.transfers.contains(id)));
            }
            What::Transfer { to, .. } => {
                if let Some(id) = &fact.links.transfer {
                    states.insert(id, *to);
                }
            }
            What::ContractEnded { .. } => ended = ended.or(Some(fact.at)),
            What::GaveUp { code } if ended.is_some() && code != UNREACHABLE => {
                refused = Some((fact.at, code.clone()));
            }
            What::GaveUp { .. }
            | What::Share { .. }
            | What::Published { .. }
            | What::Derived { .. }
            | What::TablePrepared { .. }
            | What::Negotiation { .. }
            | What::Concluded { .. }
            | What::Flow { .. }
            | What::Appraised { .. }
            | What::LeaseGranted { .. }
            | What::LeaseRefused { .. }
            | What::LeaseHeld { .. }
            | What::LeaseRenewed { .. }
            | What::LeaseMissed { .. }
            | What::LeaseClosed { .. }
            | What::ContractStanding { .. }
            | What::Consented
            | What::DutyMissed { .. }
            | What::KeyDestroyed
            | What::CopiesDeleted { .. }
            | What::MessageRefused { .. }
            | What::Membership { .. } => {}
        }
    }
    let fate = |copy: &Copy| {
        let name = |id: &Id| states.get(id).copied();
        let arrived = copy.transfers.iter().any(|id| name(id) == Some(Name::Completed));
        let over = copy.transfers.iter().all(|id| name(id).is_some_and(|it| it.is_terminal()));
        let named = |it: &crate::contract::Deletion| it.files.contains(&copy.content);
        match (&contract.deletion, ended, &refused) {
            (Some(receipt), ..) if named(receipt) => Fate::Destroyed { at: receipt.at },
            (..) if over && !arrived => Fate::NeverArrived,
            (Some(receipt), ..) => Fate::NotNamed { at: receipt.at },
            (None, None, _) => Fate::InUse,
            (None, Some(_), Some((at, code))) => Fate::Refused { at: *at, code: code.clone() },
            (None, Some(since), None) => Fate::NotHeard { since },
        }
    };
    let mut out: Vec<Copy> = order.iter().filter_map(|it| found.remove(it)).collect();
    for copy in &mut out {
        copy.fate = fate(copy);
    }
    out
}

/// Nobody was there, which refuses nothing.
const UNREACHABLE: &str = "peer.unreachable";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Deletion, End, State};
    use crate::evidence::fact::Links;
    use crate::negotiation::message::{Role, Signature};
    use crate::wire::samples::{agreement, at, contract, did, digest, id};

    fn fact(seconds: i64, transfer: Option<&str>, what: What) -> Fact {
        let links = Links { transfer: transfer.map(id), ..Links::default() };
        let id = id(&format!("urn:fact:{seconds}"));
        Fact { id, at: at(seconds), by: did("did:web:me.example"), links, what }
    }

    fn moved(seconds: i64, transfer: &str, to: Name) -> Fact {
        let what = What::Transfer { from: Name::Started, to, by: Role::Consumer, reason: None };
        fact(seconds, Some(transfer), what)
    }

    fn delivered(seconds: i64, transfer: &str, content: &str) -> Fact {
        let what = What::Delivered { bytes: 7, content: digest(content) };
        fact(seconds, Some(transfer), what)
    }

    #[test]
    fn each_copy_has_its_own_end() {
        let mut facts = vec![
            delivered(1, "t1", "one"),
            moved(2, "t1", Name::Completed),
            delivered(3, "t2", "one"),
            moved(4, "t2", Name::Terminated),
            delivered(5, "t3", "two"),
            moved(6, "t3", Name::Completed),
            delivered(7, "t4", "three"),
            moved(8, "t4", Name::Terminated),
        ];
        let mut it = contract(agreement(false).policy);
        let words = |it: &Contract, facts: &[Fact]| {
            copies(it, facts).iter().map(|it| it.fate.word()).collect::<Vec<_>>()
        };
        assert_eq!(words(&it, &facts), ["in-use", "in-use", "never-arrived"]);
        assert_eq!(copies(&it, &facts)[0].transfers, [id("t1"), id("t2")]);
        let (why, by) = (End::Revoked, Role::Provider);
        it.state = State::Ended { why, by, at: at(9), reason: "recalled".to_owned() };
        facts.push(fact(9, None, What::ContractEnded { why, by, reason: "recalled".to_owned() }));
        assert_eq!(words(&it, &facts), ["not-heard", "not-heard", "never-arrived"]);
        facts.push(fact(10, None, What::GaveUp { code: UNREACHABLE.to_owned() }));
        assert_eq!(words(&it, &facts), ["not-heard", "not-heard", "never-arrived"]);
        facts.push(fact(11, None, What::GaveUp { code: "notice.refused".to_owned() }));
        assert_eq!(words(&it, &facts), ["refused", "refused", "never-arrived"]);
        let receipt = Signature("a.b.c".to_owned());
        it.deletion = Some(Deletion { at: at(12), files: vec![digest("one")], receipt });
        assert_eq!(words(&it, &facts), ["destroyed", "not-named", "never-arrived"]);
        for copy in copies(&it, &facts) {
            let (zh, en) = (copy.fate.says(Lang::Zh), copy.fate.says(Lang::En));
            assert!(!zh.is_ascii() && en.is_ascii(), "{zh} {en}");
        }
    }
}
