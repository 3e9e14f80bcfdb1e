//! A client's small set against a server's large one, which the server works out once and the client keeps.
//!
//! ```text
//!   client X                                          server Y, key β of one version
//!                                    once:            table = { F(y) : y ∈ Y }, sorted, in segments
//!              ◄─── index (signed) and table ─────    F(x) = H'(x, β·H(x))
//!   each session:
//!              ──── blinded: α·H(x) ────────────►
//!              ◄─── evaluated: β·α·H(x) ─────────
//!   is H'(x, α⁻¹·β·α·H(x)) in the table?
//! ```
//!
//! 2HashDH (Jarecki and Liu 2010; JKK14) on [`crate::curve::Suite::Curve25519`], with the table as cached by Kiss et al. ("Private
//! Set Intersection for Unequal Set Sizes with Mobile Applications", PETS 2017).
//!
//! Threats. A curious client learns its items that are in the table, and the table's size; a curious server learns the
//! agreed number of the client's items, never which. What a malicious client can do is query: each blinded point tests one
//! item, whatever it is, so *how many may be asked is the only thing that protects a list that can be guessed*, and this
//! module does not count: the caller limits items per session ([`Terms::client_items`] is part of what both agree on) and
//! sessions per client. The table by itself is of no use without the key: its entries are pseudo-random, and those that
//! fill it up look the same. A malicious server can answer at random or leave entries out: the client misses matches then,
//! or finds too many; it tells the server neither. Nothing here proves that the answers belong to the key.
//!
//! A version is a key. Entries of two versions cannot be compared, and whoever has asked about an item under one must ask
//! anew under the next: that is what a new version costs and what it is for. A client that keeps a value F(x) can test it in
//! every table of the same key, so a list that changes needs a new key, not an added entry.
//!
//! Never stores or signs anything: tables go to a [`Sink`] and come from a [`Source`], and who trusts an [`Index`] has checked
//! the server's signature on [`Index::digest`].

mod online;
pub mod space;
mod table;

pub use online::{Terms, answer, answer_if, query};
pub use table::{Builder, Header, Index, Sink, Source};

use crate::curve::{Secret, Suite};
use crate::fault::Fault;
use crate::hash::{derive, domain, half};
use crate::limits::ECDH_BATCH;
use crate::psi::Item;
use crate::random::Seed;

/// The server's key of one version. Draw a new seed for each, and keep it as long as the version is served.
pub struct Key {
    secret: Secret,
    public: [u8; 32],
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(hidden)")
    }
}

impl Key {
    /// The same key of the same seed.
    pub fn new(seed: &Seed) -> Result<Self, Fault> {
        let secret = Secret::new(Suite::Curve25519, &mut seed.child(b"table key").stream());
        let Secret::Curve25519(pair) = &secret else {
            return Err(Fault::ApiMisuse("a key of another curve"));
        };
        let mut public = [[0; 32]];
        public[0][0] = 9;
        pair.multiply(&mut public);
        let [public] = public;
        Ok(Self { secret, public })
    }

    /// What a header names the key by: X25519 of it and the base point.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// F of items under a header, for [`Builder::push`]. Any number of threads may do this for parts of the list.
    pub fn entries(&self, header: &Header, items: &[Item]) -> Result<Vec<u128>, Fault> {
        header.check_key(self)?;
        let binding = header.binding();
        let last = Last::new(&binding);
        let mut entries = Vec::with_capacity(items.len());
        for batch in items.chunks(ECDH_BATCH) {
            let numbers: Vec<u128> = batch.iter().map(|item| item.0).collect();
            let points = self.secret.of_items(&binding, &numbers)?;
            let points = points.chunks_exact(Suite::Curve25519.point_bytes());
            entries.extend(numbers.iter().zip(points).map(|(item, point)| last.of(*item, point)));
        }
        Ok(entries)
    }
}

/// The last hash of F, under one header.
struct Last {
    key: [u8; 32],
}

impl Last {
    fn new(binding: &[u8; 32]) -> Self {
        Self { key: derive(domain::TABLE_MASK, &[binding]) }
    }

    /// F of an item whose point, multiplied by the server's key, this is.
    fn of(&self, item: u128, point: &[u8]) -> u128 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        half(hasher.update(&item.to_le_bytes()).update(point).finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests;
