//! The fact and its kinds.
//!
//! Never serialised from here: [`super::encode`] is the one way to bytes and back.

use tidm_crypto::hash::Digest;

use crate::catalog::delivery::Use;
use crate::contract::End;
use crate::dataflow;
use crate::dataflow::message::Plane;
use crate::id::Id;
use crate::identity::did::Did;
use crate::negotiation;
use crate::negotiation::message::Role;
use crate::policy::usage::Level;
use crate::time::Time;
use crate::transfer;

/// One thing that happened, as one node saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub id: Id,
    pub at: Time,
    /// The node that records it.
    pub by: Did,
    pub links: Links,
    pub what: What,
}

/// The correlation keys; the same on both sides where both know them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    pub peer: Option<Did>,
    pub product: Option<Id>,
    pub negotiation: Option<Id>,
    pub contract: Option<Id>,
    pub transfer: Option<Id>,
    pub lease: Option<Id>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A product version was published: digest of content, digest of its source, size.
    Published {
        content: Digest,
        origin: Digest,
        rows: Option<u64>,
        bytes: u64,
    },
    /// Consumer: a product version of ours was published as made under this contract, whose provider is the peer: the digest
    /// of its content. The linked product is the one that was made.
    Derived {
        content: Digest,
    },
    Negotiation {
        from: negotiation::state::Name,
        to: negotiation::state::Name,
        by: Role,
        terms: Option<Digest>,
        reason: Option<String>,
    },
    /// Provider: a table for matching was made of a product version and signed: digests of its index and of the signed statement.
    TablePrepared {
        table: Digest,
        statement: Digest,
        entries: u64,
        bytes: u64,
    },
    /// The contract stands: what was signed, and by whom.
    Concluded {
        signed: Digest,
        provider_signed: bool,
        consumer_signed: bool,
    },
    Transfer {
        from: transfer::state::Name,
        to: transfer::state::Name,
        by: Role,
        reason: Option<String>,
    },
    /// A data flow moved: the work of a data plane, ours or one that we drive.
    Flow {
        from: dataflow::state::Name,
        to: dataflow::state::Name,
        by: Plane,
        reason: Option<String>,
    },
    /// Sealed or plain bytes were made available (provider) or arrived whole (consumer).
    Delivered {
        bytes: u64,
        content: Digest,
    },
    /// The gate said yes. `uses` counts this one; `key` is the digest of the one-time key.
    LeaseGranted {
        kind: Use,
        purpose: Option<String>,
        query: Option<Digest>,
        key: Digest,
        uses: u64,
        until: Time,
        /// What the answer costs, in millionths of ε; 0: answers have no price.
        epsilon: u64,
    },
    /// Evidence of the asker's environment was judged: the level it proves, or codes of what was refused.
    Appraised {
        evidence: Digest,
        level: Option<Level>,
        refused: String,
        /// Of what kind it was; `simulated` is no hardware's. Empty in facts of before.
        format: String,
    },
    /// The gate said no. One fact a minute for each contract and code: `more` were refused with this code before, since the
    /// last such fact and without one of their own. Those after the last fact are in the store, not in the log.
    LeaseRefused {
        kind: Use,
        code: String,
        rule: String,
        more: u64,
    },
    /// Consumer: a lease of the peer's gate arrived.
    LeaseHeld {
        kind: Use,
        until: Time,
    },
    /// The gate let a use go on (on its side), and its holder knows (on the other).
    LeaseRenewed {
        number: u32,
        until: Time,
    },
    /// Consumer: the peer's gate granted a lease that this node never got. Ended as returned, a program of ours used
    /// it without this node; ended otherwise, the answer was lost and the lease opened nothing. `more` such leases came
    /// since the last such fact and have none of their own: a peer may name any number.
    LeaseMissed {
        how: Closed,
        more: u64,
    },
    LeaseClosed {
        how: Closed,
        rows: u64,
        bytes: u64,
        result: Option<Digest>,
        /// SHA-256 of the holder's signature on its return, where it gave one.
        receipt: Option<Digest>,
    },
    ContractEnded {
        why: End,
        by: Role,
        reason: String,
    },
    /// The provider suspended the contract, with its reason, or resumed it: the number of this change.
    ContractStanding {
        change: u32,
        reason: Option<String>,
    },
    /// Provider: its person consented to uses under the contract.
    Consented,
    /// Provider: what the contract obliges to was not signed for by its time.
    DutyMissed {
        duty: String,
    },
    /// The data key is gone: no later release by the protocol can follow.
    KeyDestroyed,
    /// Consumer: ciphertext and caches deleted, receipt signed. Provider: that receipt arrived.
    CopiesDeleted {
        files: Vec<Digest>,
        receipt: Digest,
        /// The node that deleted them looked afterwards, and found none of them. Never of the provider's fact: no receipt says so.
        checked: bool,
    },
    /// Operator: what it did with its share of a data key that is split with it. `peer` is the consumer where one asked.
    Share {
        act: ShareAct,
        provider: String,
        /// Of a refusal its code, of a hold its subject and reason.
        detail: String,
        /// Digest of the one-time key that it was released to.
        key: Option<Digest>,
    },
    /// A message of the peer was refused and changed nothing.
    MessageRefused {
        code: String,
    },
    /// We could not reach or convince the peer, and gave up.
    GaveUp {
        code: String,
    },
    /// A membership of a space: the peer's where we are the issuer, ours where we joined.
    Membership {
        change: Change,
        space: String,
        /// The credential's, where there is one.
        credential: Option<Digest>,
    },
}

/// What an operator did about shares of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareAct {
    Released,
    Refused,
    /// Nothing more is released for a contract or participant.
    Held,
    Freed,
}

impl ShareAct {
    pub const ALL: [Self; 4] = [Self::Released, Self::Refused, Self::Held, Self::Freed];

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Held => "held",
            Self::Freed => "freed",
        }
    }
}

/// What became of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Issuer: the credential was signed.
    Issued,
    /// Holder: the credential is in our wallet.
    Joined,
    /// Issuer: every credential of the peer for that space is revoked.
    Revoked,
}

impl Change {
    pub const ALL: [Self; 3] = [Self::Issued, Self::Joined, Self::Revoked];

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Joined => "joined",
            Self::Revoked => "revoked",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    Returned,
    Expired,
    Revoked,
}

impl Closed {
    pub const ALL: [Self; 3] = [Self::Returned, Self::Expired, Self::Revoked];

    /// By its [`word`](Self::word).
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}
