//! What consumer and gate say about a use.
//!
//! Never carries a key in the clear: the data key travels wrapped to [`Request::key`], added by the shell
//! after the grant is durable.

use std::time::Duration;

use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::domain;
use tidm_crypto::hash::{Digest, sha256};

use crate::catalog::delivery::Use;
use crate::id::Id;
use crate::identity::did::Did;
use crate::policy::privacy::Epsilon;
use crate::policy::usage::Level;
use crate::time::Time;

/// A single-use value of the asker: a retry carries the same one.
pub type Nonce = [u8; 16];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub contract: Id,
    pub kind: Use,
    pub nonce: Nonce,
    /// One-time X25519 public key of the process that will use the data.
    pub key: [u8; 32],
    pub purpose: Option<String>,
    /// SHA-256 of the normalised query, or of what a session of matching was agreed as; the provider checks it against
    /// what is run.
    pub query: Option<Digest>,
    /// Items that the asker puts into a matching: what the gate counts.
    pub items: Option<u64>,
    /// What a noisy answer may cost.
    pub epsilon: Option<Epsilon>,
    /// How long the use needs the key.
    pub span: Duration,
}

/// Whoever holds a lease goes on with its use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    pub lease: Id,
    /// Which renewal of this lease it is, from 1 on: a retry carries the same number.
    pub number: u32,
    /// How long the use needs the lease from now on.
    pub span: Duration,
}

impl Request {
    /// What attestation evidence binds: all of the request but the one-time key, which it binds by itself.
    pub fn attested(&self) -> Digest {
        let mut items = vec![
            Value::Text(self.contract.to_string()),
            Value::Text(self.kind.name().to_owned()),
            Value::Bytes(self.nonce.to_vec()),
            self.purpose.clone().map_or(Value::Null, Value::Text),
            Value::from(self.query),
            Value::from(self.items),
            Value::from(u64::try_from(self.span.as_millis()).unwrap_or(u64::MAX)),
        ];
        items.extend(self.epsilon.map(|it| Value::from(it.micro())));
        sha256(&tuple(domain::ATTESTED_REQUEST, items))
    }
}

impl Renewal {
    /// What attestation evidence binds, beside the one-time key of the request that opened the lease.
    pub fn attested(&self) -> Digest {
        let items = vec![
            Value::Text(self.lease.to_string()),
            Value::from(u64::from(self.number)),
            Value::from(u64::try_from(self.span.as_millis()).unwrap_or(u64::MAX)),
        ];
        sha256(&tuple(domain::ATTESTED_RENEWAL, items))
    }
}

/// What this node's own appraisal of the asker's evidence came to. Never read from a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The evidence's format as its maker is named: `snp`, `tdx`, …, or `simulated`, which no hardware made.
    pub format: &'static str,
    /// SHA-256 of the evidence as received.
    pub evidence: Digest,
    /// The level proven: E3 or E4; none where no trusted environment was.
    pub level: Option<Level>,
    /// Codes of what was refused, with a comma between; empty where the evidence was accepted.
    pub refused: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub lease: Id,
    pub contract: Id,
    pub until: Time,
    /// `None`: the contract does not count.
    pub uses_left: Option<u64>,
    /// In millionths; `None`: answers have no price.
    pub epsilon_left: Option<u64>,
}

/// What came of a use: the consumer's receipt, or the provider's own finding for a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub done: bool,
    pub rows: u64,
    pub bytes: u64,
    /// SHA-256 of what left the sandbox; none where nothing did.
    pub result: Option<Digest>,
}

/// What the holder of a lease signs when it gives it back: which, who, and what came of the use.
pub fn return_bytes(lease: &Id, holder: &Did, it: &Outcome) -> Vec<u8> {
    let items = vec![
        Value::Text(lease.to_string()),
        Value::Text(holder.to_string()),
        Value::Bool(it.done),
        Value::from(it.rows),
        Value::from(it.bytes),
        Value::from(it.result),
    ];
    tuple(domain::LEASE_RETURN, items)
}
