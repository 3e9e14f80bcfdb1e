//! The log of what people did: each entry carries the digest of the one before.
//!
//! Threat model: an entry that is changed, left out or put in later breaks the chain for whoever reads it on. Who holds
//! the whole database can write a new chain from any point on; that shows only against a head noted elsewhere.

use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::domain::PEOPLE_ENTRY;
use tidm_crypto::hash::{Digest, sha256};

use crate::time::Time;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From 1, without gaps.
    pub place: u64,
    pub at: Time,
    /// Whose account; of whoever was nobody yet, what they called themselves.
    pub who: String,
    pub act: String,
    /// On whom or what.
    pub subject: String,
    pub allowed: bool,
    pub reason: String,
}

/// Before the first entry.
pub const START: Digest = Digest([0; 32]);

impl Entry {
    /// The digest of this entry after the one with `before`.
    pub fn digest(&self, before: Digest) -> Digest {
        let items = vec![
            Value::Bytes(before.0.to_vec()),
            Value::Uint(self.place),
            Value::Int(self.at.ms()),
            Value::Text(self.who.clone()),
            Value::Text(self.act.clone()),
            Value::Text(self.subject.clone()),
            Value::Bool(self.allowed),
            Value::Text(self.reason.clone()),
        ];
        sha256(&tuple(PEOPLE_ENTRY, items))
    }
}

/// The place of the first entry that does not follow from the ones before it; `None`: the chain holds.
pub fn broken<'a>(entries: impl IntoIterator<Item = (&'a Entry, Digest)>) -> Option<u64> {
    let (mut before, mut place) = (START, 0);
    for (entry, digest) in entries {
        place += 1;
        if entry.place != place || entry.digest(before) != digest {
            return Some(place);
        }
        before = digest;
    }
    None
}
