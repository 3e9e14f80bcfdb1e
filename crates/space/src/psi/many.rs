//! What more than two parties agree on before lists are matched: who takes part, under which contracts, with which keys.
//!
//! ```text
//!   leader ── Invitation(proposal) ──────► each member: terms and parties hold, a key for this session
//!          ◄─ Word(key, size, signature) ─
//!          ── Start(proposal, all words, lease request) ──► each member: all words verify; its gate: lease for the leader
//!          ◄─ Acceptance(lease, request to join) ──         (from here on as for two: `super`)
//! ```
//!
//! Threats. The leader carries the members' words. A leader that put in a key of its own would learn shares, and with them who has what
//! pairwise: so every member holds every word against the signing key of the participant that it names, and what is signed is
//! the session, all participants, the contract of each (as a digest that only those who know the contract can tell), the rule, the
//! leader's size, and the signer's place, key and size. Two names of one legal entity would be one party that counts twice: refused.
//! All leases name the digest of the whole, words included. Never knows items, results or secret keys.

use std::collections::BTreeSet;

use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::domain;
use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::jws::Unverified;
use tidm_crypto::sign::VerifyingKey;

use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::identity::member::Group;
use crate::lease::message::Request;
use crate::limits::{MATCH_MANY_ITEMS, MATCH_MEMBERS, MATCH_WORD_BYTES};
use crate::policy::matching::{Equals, Key, Matching, Part, Reveal, To};

/// How it is computed, as people see it: KMPRT17.
pub const PROTOCOL: &str = "kmprt17";
/// The JWS type of a member's word.
pub const WORD_TYPE: &str = "tidm-member-key+jws";

/// What the leader proposes to all, the same to each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Drawn by the leader, never again.
    pub id: [u8; 32],
    pub leader: Did,
    /// Items that the leader puts in, as an upper bound.
    pub items: u64,
    /// The contracts' key, its columns numbered from 1: see [`numbered`].
    pub key: Key,
    /// In the order that gives each its number.
    pub members: Vec<Member>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub did: Did,
    /// Its contract with the leader: see [`under`].
    pub under: Digest,
}

/// A contract as other members see it in this session: something that they cannot tell from another one's.
pub fn under(session: &[u8; 32], contract: &Id) -> Digest {
    let parts = vec![Value::Bytes(session.to_vec()), Value::Text(contract.to_string())];
    sha256(&tuple(domain::JOB_CONTRACT, parts))
}

/// A key whose columns are called by their places, since each provider calls its own as it likes.
#[must_use]
pub fn numbered(key: &Key) -> Key {
    let part = |(at, it): (usize, &Part)| Part { column: (at + 1).to_string(), form: it.form };
    Key { parts: key.parts.iter().enumerate().map(part).collect(), equals: key.equals }
}

fn parties(why: impl Into<String>) -> Fault {
    Fault::refused("psi.parties", why)
}

fn signed(why: impl Into<String>) -> Fault {
    Fault::misbehaved("psi.member-key", why)
}

fn number(it: u64) -> Value {
    Value::Int(i64::try_from(it).unwrap_or(i64::MAX))
}

impl Proposal {
    /// Bounds, and that all parties are different.
    ///
    /// # Errors
    /// [`Fault::Refused`] `psi.parties`, `psi.size`.
    pub fn check(&self) -> Result<(), Fault> {
        if !(2..=MATCH_MEMBERS).contains(&self.members.len()) {
            let why = format!("besides the leader there are 2 to {MATCH_MEMBERS} members");
            return Err(parties(why));
        }
        size(self.items)?;
        if self.key != numbered(&self.key) {
            return Err(parties("the key's columns are not called by their numbers"));
        }
        let mut seen = BTreeSet::from([self.leader.as_str()]);
        match self.members.iter().find(|it| !seen.insert(it.did.as_str())) {
            Some(it) => Err(parties(format!("{} takes part twice", it.did))),
            None => Ok(()),
        }
    }

    /// No two parties are one legal entity.
    ///
    /// # Errors
    /// [`Fault::Refused`] `psi.parties`.
    pub fn check_apart(&self, group: impl Fn(&Did) -> Group) -> Result<(), Fault> {
        let mut seen = BTreeSet::from([group(&self.leader)]);
        match self.members.iter().find(|it| !seen.insert(group(&it.did))) {
            Some(it) => {
                Err(parties(format!("{} is the same legal entity as another party", it.did)))
            }
            None => Ok(()),
        }
    }

    /// The place of a member with this contract.
    ///
    /// # Errors
    /// [`Fault::Refused`] `psi.parties`.
    pub fn number_of(&self, did: &Did, contract: &Id) -> Result<usize, Fault> {
        let under = under(&self.id, contract);
        let mut all = self.members.iter();
        let found = all.position(|it| it.did == *did && it.under == under);
        found.ok_or_else(|| parties(format!("{did} is no member of this session by {contract}")))
    }

    /// What every word is about.
    pub fn digest(&self) -> Digest {
        let member = |it: &Member| {
            Value::Array(vec![
                Value::Text(it.did.to_string()),
                Value::Bytes(it.under.as_bytes().to_vec()),
            ])
        };
        let parts = vec![
            Value::Text(PROTOCOL.to_owned()),
            Value::Bytes(self.id.to_vec()),
            Value::Text(self.leader.to_string()),
            number(self.items),
            Value::Text(self.key.to_string()),
            Value::Array(self.members.iter().map(member).collect()),
        ];
        sha256(&tuple(domain::JOB, parts))
    }
}

fn size(items: u64) -> Result<(), Fault> {
    if (1..=MATCH_MANY_ITEMS).contains(&items) {
        return Ok(());
    }
    let why = format!("each party among many puts in 1 to {MATCH_MANY_ITEMS} items, not {items}");
    Err(Fault::refused("psi.size", why))
}

/// Whether a contract with these terms lets it be worked out what all have, by this key.
///
/// # Errors
/// [`Fault::Refused`] `psi.reveal`, `psi.columns`.
pub fn allowed(terms: &Matching, key: &Key) -> Result<(), Fault> {
    let no = |why: &str| Err(Fault::refused("psi.reveal", why));
    if !terms.reveals(Reveal::Common) {
        return no(
            "the contract does not reveal what more than two parties have in common (tidm:matchReveal common)",
        );
    }
    if terms.result_to() == To::Both {
        return no(
            "among more than two only the leader learns, and the contract gives results to both",
        );
    }
    let Some(own) = &terms.key else {
        return Err(Fault::refused("psi.terms", "this contract says no key to match by"));
    };
    if own.equals == Equals::Multiply {
        return no(
            "among more than two, keys are counted: the contract lets all rows with equal keys count (tidm:matchKey)",
        );
    }
    if numbered(own) != *key {
        let why = format!("the contract matches by {own}, in other forms than the session's {key}");
        return Err(Fault::refused("psi.columns", why));
    }
    Ok(())
}

/// A member's word: its key of this session, and how many items it puts in at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub key: [u8; 32],
    pub items: u64,
    /// A JWS over [`Word::signed`].
    pub signature: String,
}

impl Word {
    /// What the member of this number signs.
    pub fn signed(proposal: &Proposal, at: usize, key: &[u8; 32], items: u64) -> Vec<u8> {
        let did = proposal.members.get(at).map_or("", |it| it.did.as_str());
        let parts = vec![
            Value::Bytes(proposal.digest().as_bytes().to_vec()),
            number(at as u64),
            Value::Text(did.to_owned()),
            Value::Bytes(key.to_vec()),
            number(items),
        ];
        tuple(domain::JOB_KEY, parts)
    }

    /// The id of the key that it says it is signed with.
    ///
    /// # Errors
    /// [`Fault::PeerMisbehaved`] `psi.member-key`.
    pub fn key_id(&self) -> Result<Option<String>, Fault> {
        Ok(self.parsed()?.header.kid)
    }

    fn parsed(&self) -> Result<Unverified, Fault> {
        let parsed = Unverified::parse_within(&self.signature, MATCH_WORD_BYTES);
        parsed.map_err(|_| signed("a member's word is no JWS"))
    }

    /// Whether the member of this number said it, `with` being its signing key.
    ///
    /// # Errors
    /// [`Fault::PeerMisbehaved`] `psi.member-key`.
    pub fn verify(&self, proposal: &Proposal, at: usize, with: &VerifyingKey) -> Result<(), Fault> {
        let who = proposal.members.get(at).ok_or_else(|| signed("a word of no member"))?;
        size(self.items)?;
        let parsed = self.parsed()?;
        let typed = parsed.header.typ.as_deref() == Some(WORD_TYPE);
        let expected = Self::signed(proposal, at, &self.key, self.items);
        match parsed.verify(with) {
            Ok(payload) if typed && *payload == *expected => Ok(()),
            Ok(_) => Err(signed(format!("{} signed another key or another session", who.did))),
            Err(_) => Err(signed(format!("the key of {} is not signed by it", who.did))),
        }
    }
}

/// What all parties have agreed on: as many words as members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub proposal: Proposal,
    pub words: Vec<Word>,
}

impl Agreed {
    /// What does not need anybody's signing key.
    ///
    /// # Errors
    /// [`Fault::Refused`] `psi.parties`, `psi.size`, [`Fault::PeerMisbehaved`] `psi.member-key`.
    pub fn check(&self) -> Result<(), Fault> {
        self.proposal.check()?;
        if self.words.len() != self.proposal.members.len() {
            return Err(signed("there is not one word of each member"));
        }
        self.words.iter().try_for_each(|it| size(it.items))?;
        let keys: BTreeSet<&[u8; 32]> = self.words.iter().map(|it| &it.key).collect();
        if keys.len() != self.words.len() {
            return Err(signed("two members have one key"));
        }
        Ok(())
    }

    /// What all leases of the session name. Signatures are not part of it: they can be written in more than one way.
    pub fn digest(&self) -> Digest {
        let word = |it: &Word| Value::Array(vec![Value::Bytes(it.key.to_vec()), number(it.items)]);
        let parts = vec![
            Value::Text(PROTOCOL.to_owned()),
            Value::Bytes(self.proposal.digest().as_bytes().to_vec()),
            Value::Array(self.words.iter().map(word).collect()),
        ];
        sha256(&tuple(domain::JOB, parts))
    }
}

/// Leader to a member: would you, and with which key?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    pub contract: Id,
    pub proposal: Proposal,
}

/// Leader to a member: everybody's word is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub agreed: Agreed,
    pub lease: Request,
}

impl Start {
    /// Whether the lease that is asked for is one for this session.
    pub fn fits(&self) -> bool {
        let lease = &self.lease;
        lease.kind == crate::policy::usage::Use::Psi
            && lease.query == Some(self.agreed.digest())
            && lease.items == Some(self.agreed.proposal.items)
    }
}

/// The term for which a result is not shown: the strictest of all contracts.
pub fn withheld<'a>(
    all: impl IntoIterator<Item = &'a Matching>,
    matches: u64,
    items: u64,
) -> Option<&'static str> {
    all.into_iter().find_map(|it| it.withheld(matches, items))
}

#[cfg(test)]
mod tests;
