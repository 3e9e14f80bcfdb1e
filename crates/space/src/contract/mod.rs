//! A contract: what both sides signed, and whether it still holds.
//!
//! Never counts uses: that is the gate's table of debits ([`crate::lease`]). An ended contract is a
//! tombstone: it never opens anything again, whatever else a store may hold (house D13). A suspended one opens nothing
//! until its provider resumes it.
//!
//! ```text
//!   ACTIVE ◄── resume ── suspend ──► SUSPENDED
//!     └─────────── end ───────────────► ENDED
//! ```

use tidm_crypto::hash::Digest;

use crate::approval::Rules;
use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::identity::member::Group;
use crate::negotiation::message::{Role, Signature};
use crate::policy::compile::compile_signed;
use crate::policy::model::Policy;
use crate::policy::terms::Terms;
use crate::time::Time;

/// One side's copy of a finalized agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// The agreement's id, the same on both sides.
    pub id: Id,
    /// Ours.
    pub role: Role,
    pub peer: Did,
    /// The peer's DSP base, without a trailing slash.
    pub address: String,
    pub negotiation: Id,
    /// The product version that it is about.
    pub product: Id,
    pub policy: Policy,
    /// SHA-256 of what was signed ([`signed_bytes`]).
    pub digest: Digest,
    /// `None`: *unsigned by* that side, shown wherever the contract is shown (house D14).
    pub provider_signature: Option<Signature>,
    pub consumer_signature: Option<Signature>,
    pub signed_at: Time,
    /// When the first lease was granted or held, or plain bytes were first delivered; each side by its own clock.
    pub first_use: Option<Time>,
    /// Provider: when its person consented to uses, where the terms ask for that first.
    pub consented: Option<Time>,
    /// Provider: the consumer's legal entity, once a use was charged to it. It stays so, whatever a list says later.
    pub group: Option<Group>,
    pub state: State,
    /// Suspensions and resumptions so far: what the provider says of them arrives in any order.
    pub changes: u32,
    /// Provider: the consumer's deletion receipt arrived. Consumer: ours was signed.
    pub deletion: Option<Deletion>,
    /// Provider: since when a receipt is overdue that the contract's duty to delete owes. It may still come.
    pub missed: Option<Time>,
    /// What this node does by itself with transfers under it.
    pub rules: Rules,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Active,
    /// By the provider, for a while.
    Suspended {
        at: Time,
        reason: String,
    },
    /// The tombstone.
    Ended {
        why: End,
        by: Role,
        at: Time,
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Revoked,
    Expired,
    UsedUp,
    /// By either side, as the contract allows.
    Agreed,
}

impl End {
    pub const ALL: [Self; 4] = [Self::Revoked, Self::Expired, Self::UsedUp, Self::Agreed];

    pub fn word(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::UsedUp => "used-up",
            Self::Agreed => "agreed",
        }
    }

    /// By its [`word`](Self::word).
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

/// A signed deletion receipt; evidence of destruction, never proof that no copy exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    pub at: Time,
    /// SHA-256 of each deleted file's ciphertext.
    pub files: Vec<Digest>,
    pub receipt: Signature,
}

impl Contract {
    pub fn provider<'a>(&'a self, me: &'a Did) -> &'a Did {
        match self.role {
            Role::Provider => me,
            Role::Consumer => &self.peer,
        }
    }

    pub fn consumer<'a>(&'a self, me: &'a Did) -> &'a Did {
        match self.role {
            Role::Provider => &self.peer,
            Role::Consumer => me,
        }
    }

    /// The terms as both sides signed them, for keeping them; what is yet to be signed goes by
    /// [`compile`](crate::policy::compile::compile).
    pub fn terms(&self) -> Result<Terms, Fault> {
        compile_signed(&self.policy).map_err(|_| {
            Fault::ApiMisuse("a contract with terms that nobody here can enforce was signed")
        })
    }

    /// When this node ends it by its own clock. The end of its use is the provider's to say, whose gate counts; that its copies are
    /// gone in time each side sees to, whether or not it hears of the other.
    pub fn ends(&self, terms: &Terms) -> Option<Time> {
        match self.role {
            Role::Provider => terms.until(self.first_use),
            Role::Consumer => terms.gone_by(self.first_use),
        }
    }

    pub fn is_active(&self) -> bool {
        self.state == State::Active
    }

    /// Whether the tombstone stands. A suspended contract is neither active nor over.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    /// How it stands.
    pub fn word(&self) -> &'static str {
        match self.state {
            State::Active => "active",
            State::Suspended { .. } => "suspended",
            State::Ended { .. } => "ended",
        }
    }

    /// The tombstone check: the first thing that the gate asks.
    pub fn check_active(&self) -> Result<(), Fault> {
        match &self.state {
            State::Active => Ok(()),
            State::Suspended { at, reason } => Err(Fault::denied(
                "contract.suspended",
                "suspended",
                format!("the contract is suspended since {at}: {reason}"),
            )),
            State::Ended { why, at, reason, .. } => Err(Fault::denied(
                "contract.ended",
                why.word(),
                format!("the contract ended at {at} ({}): {reason}", why.word()),
            )),
        }
    }
}

/// What both sides sign: one JSON object in RFC 8785 form, so that any JWS tool can show it. The policy is
/// in it by the digest of its terms ([`crate::wire::terms::digest`]), itself over RFC 8785.
pub fn signed_bytes(
    id: &Id,
    provider: &Did,
    consumer: &Did,
    product: &Id,
    policy: Digest,
    at: Time,
) -> Vec<u8> {
    let statement = serde_json::json!({
        "@type": tidm_crypto::domain::CONTRACT_SIGNATURE,
        "agreement": id.as_str(),
        "provider": provider.as_str(),
        "consumer": consumer.as_str(),
        "target": product.as_str(),
        "policySha256": policy.to_string(),
        "timestamp": at.to_string(),
    });
    // Texts alone: their canonical form always exists.
    tidm_crypto::jcs::canonical(&statement).unwrap_or_default()
}

/// What a deletion receipt says.
pub fn deletion_bytes(contract: &Id, consumer: &Did, files: &[Digest], at: Time) -> Vec<u8> {
    use tidm_crypto::cbor::{Value, tuple};
    tuple(
        tidm_crypto::domain::DELETION_RECEIPT,
        vec![
            Value::Text(contract.to_string()),
            Value::Text(consumer.to_string()),
            Value::Array(files.iter().map(|it| Value::Bytes(it.as_bytes().to_vec())).collect()),
            Value::Int(at.ms()),
        ],
    )
}
