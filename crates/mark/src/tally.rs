//! Counting agreement between a found file and the marks of one contract.
//!
//! Threat: the file is made by whoever leaked it. Rows that are there a hundred times would speak a hundred times, so
//! each row of a key speaks once a column, by the majority of what it says; a tie says nothing. Which cells speak, and
//! what they say, is then a matter of the file alone, and what they should say of the contract's key alone: so for a
//! file that is independent of that key the hits are fair coins, and the tail of [`crate::tail`] is exact.

use std::collections::BTreeMap;

use crate::decimal::Decimal;
use crate::limits::{BLAME, CELLS};
use crate::marker::Marker;
use crate::row::RowKey;
use crate::tail::{Chance, at_least};

/// The marks of one contract, held against one file.
pub struct Tally {
    marker: Marker,
    /// By cell: how often right less how often wrong.
    votes: BTreeMap<[u8; 16], i64>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Cells that could speak.
    pub trials: u64,
    /// Those that say what the contract's marks say.
    pub hits: u64,
    /// Of at least so many hits, were the file independent of this contract's key.
    pub chance: Chance,
}

impl Tally {
    pub fn new(marker: Marker) -> Self {
        Self { marker, votes: BTreeMap::new() }
    }

    /// One cell of the file.
    pub fn see(&mut self, column: &str, row: &RowKey, step: i8, value: Decimal) {
        let Some((it, odd)) = self.marker.chosen(column, row).zip(value.odd(step)) else { return };
        if self.votes.len() == CELLS && !self.votes.contains_key(&it.name) {
            return;
        }
        *self.votes.entry(it.name).or_default() += if odd == it.odd { 1 } else { -1 };
    }

    pub fn verdict(&self) -> Verdict {
        let count =
            |it: fn(&i64) -> bool| self.votes.values().filter(|votes| it(votes)).count() as u64;
        let (hits, trials) = (count(|it| *it > 0), count(|it| *it != 0));
        Verdict { trials, hits, chance: at_least(hits, trials) }
    }
}

impl Verdict {
    /// Whether the contract is to be named, when so many contracts were asked.
    pub fn names(&self, contracts: u64) -> bool {
        self.chance.any_of(contracts).ln() <= BLAME.ln()
    }
}

#[cfg(test)]
mod tests;
