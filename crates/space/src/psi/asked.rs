//! What of a match is asked for, and whether a contract lets it be.
//!
//! Threats: a consumer that asks for more than was signed, or for a bound below the one that was signed; columns that the terms hide.
//! Both nodes ask this before the first byte. Never knows a result.

use std::collections::BTreeSet;

use tidm_crypto::cbor::Value;

use crate::fault::Fault;
use crate::limits::{
    MATCH_COLUMN_BYTES, MATCH_DECIMALS, MATCH_ITEMS, MATCH_LABEL_BYTES, MATCH_LABEL_COLUMNS,
    MATCH_PAIR_ITEMS,
};
use crate::policy::matching::{Equals, Matching, Reveal, To};
use crate::psi::Protocol;

/// One answer of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// The rows of one's own list that the other has too.
    #[default]
    Rows,
    Size,
    /// Over a column of the provider, exact to so many decimals.
    Sum {
        column: String,
        decimals: u32,
    },
    /// Whether so many match.
    AtLeast(u64),
    /// Columns of the provider with each row that matches, in records of so many bytes.
    Labels {
        columns: Vec<String>,
        bytes: u32,
    },
}

/// Number of matches at which a size or a sum is opened, from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    pub least: u64,
    pub most: u64,
}

impl Asked {
    pub fn kind(&self) -> Reveal {
        match self {
            Self::Rows => Reveal::Rows,
            Self::Size => Reveal::Size,
            Self::Sum { .. } => Reveal::Sum,
            Self::AtLeast(_) => Reveal::AtLeast,
            Self::Labels { .. } => Reveal::Labels,
        }
    }

    /// Columns of the provider that it is about.
    pub fn columns(&self) -> &[String] {
        match self {
            Self::Rows | Self::Size | Self::AtLeast(_) => &[],
            Self::Sum { column, .. } => std::slice::from_ref(column),
            Self::Labels { columns, .. } => columns,
        }
    }

    /// Whether rows of the consumer's own list come of it.
    pub fn gives_rows(&self) -> bool {
        matches!(self, Self::Rows | Self::Labels { .. })
    }

    /// Whether its numbers and names are within bounds; on which hostile ones never depend.
    pub fn within_bounds(&self) -> bool {
        let named = |it: &String| !it.is_empty() && it.len() <= MATCH_COLUMN_BYTES;
        let fits = match self {
            Self::Rows | Self::Size => true,
            Self::Sum { decimals, .. } => *decimals <= MATCH_DECIMALS,
            Self::AtLeast(least) => (1..=u64::MAX >> 1).contains(least),
            Self::Labels { columns, bytes } => {
                (1..=MATCH_LABEL_COLUMNS).contains(&columns.len()) && *bytes <= MATCH_LABEL_BYTES
            }
        };
        fits && self.columns().iter().all(named)
    }

    /// What leases name besides the session; nothing for rows.
    pub(super) fn digested(&self) -> Vec<Value> {
        let mut parts = match self {
            Self::Rows => return vec![],
            Self::Size => vec![],
            Self::Sum { decimals, .. } => vec![Value::Uint((*decimals).into())],
            Self::AtLeast(least) => vec![Value::Uint(*least)],
            Self::Labels { bytes, .. } => vec![Value::Uint((*bytes).into())],
        };
        parts.insert(0, Value::Text(self.kind().name().to_owned()));
        parts.extend(self.columns().iter().map(|it| Value::Text(it.clone())));
        vec![Value::Array(parts)]
    }

    /// Processes of each side where nobody says how many: two for long lists of rows, so that one reads, works or sends while
    /// the other waits for the peer.
    pub fn workers(&self, protocol: Protocol, items: u64) -> u32 {
        let long = items >= MATCH_PAIR_ITEMS && protocol.table().is_none();
        if long && *self == Self::Rows { 2 } else { 1 }
    }

    /// Whether a contract with these terms lets it be worked out by this protocol, of so many items of the consumer.
    ///
    /// # Errors
    /// [`Fault::Refused`] `psi.reveal` with the term that stands against it, `psi.protocol` where the protocol has no such answer or
    /// is not for so many.
    pub fn allowed(
        &self,
        terms: &Matching,
        columns: Option<&BTreeSet<String>>,
        (protocol, workers, items): (Protocol, u32, u64),
    ) -> Result<(), Fault> {
        let no = |why: String| Err(Fault::refused("psi.reveal", why));
        if !self.within_bounds() {
            return no("what is asked for has no column, or is out of bounds".to_owned());
        }
        let kind = self.kind();
        if !terms.reveals(kind) {
            let may: Vec<&str> = terms.revealed().iter().map(|it| it.name()).collect();
            let (kind, may) = (kind.name(), may.join(", "));
            return no(format!(
                "the contract does not reveal {kind}, only {may} (tidm:matchReveal)"
            ));
        }
        let hidden = |it: &&String| columns.is_some_and(|all| !all.contains(*it));
        if let Some(column) = self.columns().iter().find(hidden) {
            return no(format!("the contract does not permit column {column} (tidm:columns)"));
        }
        if protocol.table().is_some() {
            return super::table::allowed(self, terms, workers, items);
        }
        if items > MATCH_ITEMS {
            let why = format!("{items} items are more than {MATCH_ITEMS} in one session");
            return Err(Fault::refused("psi.size", why));
        }
        protocol.takes(items)?;
        if *self == Self::Rows {
            return Ok(());
        }
        if protocol == Protocol::Ecdh {
            let why = "by ecdh rows are matched, and nothing else is worked out";
            return Err(Fault::refused("psi.protocol", why));
        }
        if workers != 1 {
            let why = "what is no rows alone is worked out by one process on each side";
            return Err(Fault::refused("psi.workers", why));
        }
        let multiplied = terms.key.as_ref().is_some_and(|it| it.equals == Equals::Multiply);
        match self {
            Self::Labels { .. } if multiplied => {
                no("labels come with different keys: the contract lets all rows with equal keys count (tidm:matchKey)"
                    .to_owned())
            }
            Self::Labels { .. } if terms.result_to() == To::Both => {
                no("labels are the consumer's alone, and the contract gives results to both"
                    .to_owned())
            }
            Self::Rows | Self::Labels { .. } => Ok(()),
            Self::Size | Self::Sum { .. } | Self::AtLeast(_) if protocol != Protocol::Fast => {
                let why = "sizes, sums and bounds are worked out with rr22 only";
                Err(Fault::refused("psi.protocol", why))
            }
            Self::Size | Self::Sum { .. } => Ok(()),
            Self::AtLeast(asked) => {
                let Opening { least, most } = terms.opening(items);
                if (least..=most).contains(asked) {
                    return Ok(());
                }
                no(format!(
                    "the contract lets be asked whether {least} to {most} items match, not {asked} (tidm:minMatches, tidm:matchShare)"
                ))
            }
        }
    }
}

impl Matching {
    /// At how many matches a size or a sum may be opened.
    pub fn opening(&self, items: u64) -> Opening {
        let most = self.share.map_or(u64::MAX, |percent| {
            u64::try_from(u128::from(items) * u128::from(percent) / 100).unwrap_or(u64::MAX)
        });
        Opening { least: self.least.unwrap_or(0), most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MATCH_ECDH_ITEMS;
    use crate::policy::matching::Key;

    fn terms(reveal: &[Reveal]) -> Matching {
        Matching {
            key: Key::parse("id"),
            least: Some(10),
            share: Some(50),
            reveal: Some(reveal.iter().copied().collect()),
            ..Matching::default()
        }
    }

    #[test]
    fn long_lists_of_rows_have_two_processes_where_nobody_says() {
        let table = Protocol::Table(tidm_crypto::hash::Digest([0; 32]));
        let size = Asked::Size;
        for (asked, protocol, items, workers) in [
            (&Asked::Rows, Protocol::Fast, MATCH_PAIR_ITEMS, 2),
            (&Asked::Rows, Protocol::Ecdh, MATCH_ECDH_ITEMS, 2),
            (&Asked::Rows, Protocol::Fast, MATCH_PAIR_ITEMS - 1, 1),
            (&Asked::Rows, table, MATCH_PAIR_ITEMS, 1),
            (&size, Protocol::Fast, MATCH_PAIR_ITEMS, 1),
        ] {
            assert_eq!(asked.workers(protocol, items), workers, "{asked:?} {protocol:?} {items}");
            // What nobody asked for is never refused.
            let terms = terms(&Reveal::ALL);
            let by = (protocol, asked.workers(protocol, items), items);
            assert!(asked.allowed(&terms, None, by).is_ok() || protocol.table().is_some());
        }
    }

    #[test]
    fn only_what_was_signed_may_be_asked_for() {
        let all = terms(&Reveal::ALL);
        let column = || "price".to_owned();
        let labels = |bytes| Asked::Labels { columns: vec![column()], bytes };
        let sum = |decimals| Asked::Sum { column: column(), decimals };
        let shown: BTreeSet<String> = ["id".to_owned(), column()].into();
        let hidden: BTreeSet<String> = ["id".to_owned()].into();
        let fast = (Protocol::Fast, 1, 100);
        let none = Matching { key: Key::parse("id"), ..Matching::default() };
        for (asked, terms, columns, by, code) in [
            (Asked::Rows, &none, Some(&hidden), (Protocol::Malicious, 4, 100), None),
            (Asked::Rows, &none, None, (Protocol::Fast, 1, MATCH_ITEMS), None),
            (Asked::Rows, &none, None, (Protocol::Fast, 1, MATCH_ITEMS + 1), Some("psi.size")),
            (Asked::Size, &none, None, fast, Some("psi.reveal")),
            (Asked::Rows, &terms(&[Reveal::Size]), None, fast, Some("psi.reveal")),
            (Asked::Size, &terms(&[Reveal::Size]), None, fast, None),
            (Asked::Size, &all, None, (Protocol::LowCommunication, 1, 100), Some("psi.protocol")),
            (Asked::Size, &all, None, (Protocol::Fast, 2, 100), Some("psi.workers")),
            (Asked::Rows, &none, None, (Protocol::Ecdh, 4, MATCH_ECDH_ITEMS), None),
            (
                Asked::Rows,
                &none,
                None,
                (Protocol::Ecdh, 1, MATCH_ECDH_ITEMS + 1),
                Some("psi.protocol"),
            ),
            (Asked::Size, &all, None, (Protocol::Ecdh, 1, 100), Some("psi.protocol")),
            (labels(64), &all, None, (Protocol::Ecdh, 1, 100), Some("psi.protocol")),
            (sum(2), &all, Some(&shown), fast, None),
            (sum(2), &all, Some(&hidden), fast, Some("psi.reveal")),
            (sum(MATCH_DECIMALS + 1), &all, None, fast, Some("psi.reveal")),
            (labels(64), &all, Some(&shown), (Protocol::Malicious, 1, 100), None),
            (labels(64), &all, Some(&hidden), fast, Some("psi.reveal")),
            (labels(MATCH_LABEL_BYTES + 1), &all, None, fast, Some("psi.reveal")),
            (
                labels(64),
                &Matching { to: Some(To::Both), ..all.clone() },
                None,
                fast,
                Some("psi.reveal"),
            ),
            (
                labels(64),
                &Matching { key: Key::parse("id;multiply"), ..all.clone() },
                None,
                fast,
                Some("psi.reveal"),
            ),
            (Asked::AtLeast(9), &all, None, fast, Some("psi.reveal")),
            (Asked::AtLeast(10), &all, None, fast, None),
            (Asked::AtLeast(50), &all, None, fast, None),
            (Asked::AtLeast(51), &all, None, fast, Some("psi.reveal")),
            (Asked::AtLeast(0), &terms(&[Reveal::AtLeast]), None, fast, Some("psi.reveal")),
        ] {
            let found = asked.allowed(terms, columns, by);
            assert_eq!(found.err().map(|it| it.code().to_owned()).as_deref(), code, "{asked:?}");
        }
    }
}
