//! What is known of one offer of another node: what it says, who said so, when, and in answer to what.
//!
//! Never a claim without its source: an entry that an intermediary passed on says so.

use tidm_crypto::hash::Digest;

use super::facets::Facets;
use crate::id::Id;
use crate::identity::did::Did;
use crate::time::Time;

/// What a catalogue says of one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: Id,
    pub title: String,
    /// Title, description and keywords in all their languages.
    pub text: String,
    pub facets: Facets,
    /// The same for two readings that say the same ([`crate::wire::dsp::entry`]).
    pub digest: Digest,
    /// The dataset as received, JSON.
    pub dataset: String,
}

/// From where an entry is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Who offers it.
    pub provider: Did,
    /// Whose catalogue said so: the provider's own, or an intermediary's.
    pub via: Did,
    /// When it was first read as it is now.
    pub changed: Time,
    /// The address that was asked.
    pub request: String,
}

impl Provenance {
    /// From the provider itself.
    pub fn is_direct(&self) -> bool {
        self.provider == self.via
    }
}
