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
    /// How often; refusals that repeat themselves within a minute share an entry.
    pub times: u64,
}

/// Who is nobody that we know. No name begins with a space.
pub const ANONYMOUS: &str = " anonymous";
/// Who sat at the machine itself, past the node's door.
pub const MACHINE: &str = " machine";
/// The reason of an entry whose caller left before the end: what came of it is not known.
pub const LEFT: &str = "the caller left before the end";

/// Before the first entry.
pub const START: Digest = Digest([0; 32]);

impl Entry {
    /// The digest of this entry after the one with `before`.
    pub fn digest(&self, before: Digest) -> Digest {
        let mut items = vec![
            Value::Bytes(before.0.to_vec()),
            Value::Uint(self.place),
            Value::Int(self.at.ms()),
            Value::Text(self.who.clone()),
            Value::Text(self.act.clone()),
            Value::Text(self.subject.clone()),
            Value::Bool(self.allowed),
            Value::Text(self.reason.clone()),
        ];
        // Entries of before the count came had none, and mean one.
        if self.times != 1 {
            items.push(Value::Uint(self.times));
        }
        sha256(&tuple(PEOPLE_ENTRY, items))
    }
}

/// Entries read on from the first: whether each follows from the ones before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    before: Digest,
    place: u64,
}

impl Default for Chain {
    fn default() -> Self {
        Self { before: START, place: 0 }
    }
}

impl Chain {
    /// The next entry as it was kept; the place at which the chain is broken, if it is here.
    pub fn follow(&mut self, entry: &Entry, digest: Digest) -> Result<(), u64> {
        self.place = self.place.saturating_add(1);
        if entry.place != self.place || entry.digest(self.before) != digest {
            return Err(self.place);
        }
        self.before = digest;
        Ok(())
    }

    /// How many entries followed.
    pub fn entries(&self) -> u64 {
        self.place
    }

    /// Of the last one.
    pub fn head(&self) -> Digest {
        self.before
    }
}

/// The place of the first entry that does not follow from the ones before it; `None`: the chain holds.
pub fn broken<'a>(entries: impl IntoIterator<Item = (&'a Entry, Digest)>) -> Option<u64> {
    let mut chain = Chain::default();
    entries.into_iter().find_map(|(entry, digest)| chain.follow(entry, digest).err())
}
