//! A table for lists of unequal size: what the provider signs of it, and what may be asked over one.
//!
//! The provider hashes its list once per product version, under a key that stays with it, and signs the digest of the table's
//! index. A consumer keeps the table and asks about a few items at a time. Never knows an entry or a key.
//!
//! Threats: a statement that is somebody else's, of another version or another rule; numbers that are to make the consumer
//! take more than it can hold. Not protected against: a provider that signs a table of other contents, or answers at random.

use tidm_crypto::hash::Digest;

use crate::fault::Fault;
use crate::id::Id;
use crate::limits::{MATCH_TABLE_ENTRIES, MATCH_TABLE_INDEX_BYTES, MATCH_TABLE_ITEMS};
use crate::policy::matching::{Key, Matching, To};
use crate::psi::Asked;
use crate::time::Time;

/// How the protocol is called on the wire.
pub const PROTOCOL: &str = "table";

/// What a provider signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Of the index, which names every byte of the table.
    pub table: Digest,
    pub product: Id,
    pub version: u64,
    pub key: Key,
    /// Entries that the table shows: at least the rows of the list.
    pub entries: u64,
    /// Most items of a consumer in one session.
    pub items: u64,
    pub index_bytes: u64,
    /// Of the table, without its index.
    pub bytes: u64,
    pub at: Time,
}

impl Statement {
    /// Whether its numbers are ones that a table can have. An entry takes less than 12 bytes, a segment at most 8 more.
    pub fn within_bounds(&self) -> bool {
        self.entries <= MATCH_TABLE_ENTRIES
            && self.items <= MATCH_TABLE_ITEMS
            && self.index_bytes <= MATCH_TABLE_INDEX_BYTES
            && self.bytes <= self.entries.saturating_mul(12).saturating_add(self.index_bytes)
    }

    /// Bytes that a consumer fetches.
    pub fn whole(&self) -> u64 {
        self.index_bytes.saturating_add(self.bytes)
    }

    /// Whether it is about this version of a product, under this rule.
    ///
    /// # Errors
    /// [`Fault::PeerMisbehaved`] `psi.table-signed` with what differs.
    pub fn is_for(&self, product: &Id, key: &Key) -> Result<(), Fault> {
        if self.product != *product {
            let why = format!("the table is of {}, not of {product}", self.product);
            return Err(Fault::misbehaved("psi.table-signed", why));
        }
        if self.key != *key {
            let why = format!("the table is by {}, the contract by {key}", self.key);
            return Err(Fault::misbehaved("psi.table-signed", why));
        }
        Ok(())
    }
}

/// Whether a contract with these terms lets this be asked over a table.
///
/// # Errors
/// [`Fault::Refused`] `psi.table-kind` for what a table has no answer to, `psi.workers`, `psi.table-items`.
pub(super) fn allowed(
    asked: &Asked,
    terms: &Matching,
    workers: u32,
    items: u64,
) -> Result<(), Fault> {
    if *asked != Asked::Rows {
        let kind = asked.kind().name();
        let why = format!("over a table only rows can be asked for, not {kind}");
        return Err(Fault::refused("psi.table-kind", why));
    }
    if terms.result_to() == To::Both {
        let why =
            "the contract gives the result to both, and over a table the provider learns nothing";
        return Err(Fault::refused("psi.table-kind", why));
    }
    if workers != 1 {
        let why = "a session over a table is one process on each side";
        return Err(Fault::refused("psi.workers", why));
    }
    if items > MATCH_TABLE_ITEMS {
        let why = format!("{items} items are more than {MATCH_TABLE_ITEMS} in one session");
        return Err(Fault::refused("psi.table-items", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::matching::Reveal;
    use crate::psi::Protocol;
    use crate::wire::samples;

    #[test]
    fn rows_for_the_consumer_alone_may_be_asked_for() {
        let all = Matching {
            key: Key::parse("id"),
            reveal: Some(Reveal::ALL.into_iter().collect()),
            ..Matching::default()
        };
        let both = Matching { to: Some(To::Both), ..all.clone() };
        let sizes = Matching { reveal: Some([Reveal::Size].into()), ..all.clone() };
        let protocol = Protocol::Table(samples::digest("table"));
        let most = MATCH_TABLE_ITEMS;
        for (asked, terms, (workers, items), code) in [
            (Asked::Rows, &all, (1, most), None),
            (Asked::Rows, &both, (1, 5), Some("psi.table-kind")),
            (Asked::Rows, &sizes, (1, 5), Some("psi.reveal")),
            (Asked::Size, &all, (1, 5), Some("psi.table-kind")),
            (Asked::AtLeast(1), &all, (1, 5), Some("psi.table-kind")),
            (Asked::Rows, &all, (2, 5), Some("psi.workers")),
            (Asked::Rows, &all, (1, most + 1), Some("psi.table-items")),
        ] {
            let found = asked.allowed(terms, None, (protocol, workers, items));
            assert_eq!(found.err().map(|it| it.code().to_owned()).as_deref(), code, "{asked:?}");
        }
    }
}
