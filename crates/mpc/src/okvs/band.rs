//! A store with fewer places: one band of random bits per key (RB-OKVS, Bienstock, Patel, Seo and Yeo, USENIX Security 2023).
//!
//! A key begins at a place and adds up those of the [`BAND_WIDTH`] places from there that its random bits choose. Rows sorted by
//! where they begin are eliminated one after the other: each takes the first place that is left to it, as a customer
//! takes the next free slot of a queue; then places are filled in from the end. All coefficients are bits, so stores of any
//! values that are added by `^` work alike: 64 bits here, and elements of GF(2^128) once they are multiplied by Δ.
//!
//! **Failure.** A row finds no place when the queue has grown over its band. With `1 + ε` places per key the queue's length
//! has a tail `e^(−θ·w)`, where `e^θ − 1 = (1 + ε)·θ` (arrivals at random, one served per place), times how many keys
//! there are: `log2 of the failure rate = log2 n − c − w·θ/ln 2`. For ε = 0.1 that slope is 0.271 bits per place of the band; the
//! paper's own fits have 0.2747 for 2^10 keys, 0.2685 for 2^14. [`Band::of`] takes ε = 0.12 (0.321 bits), for very large jobs
//! 0.15 (0.394), and w = 192; c = 3.5 (2.5 for 0.15)
//! comes from `benches/okvs_gaps.rs`, and a test here compares the slope.
//!
//! As with the clustered store, places that nobody needs are zero: an encoding must travel under a one-time mask. The owner's
//! memory is touched by key. Never gives a wrong store.

use super::rows::{Binned, Hasher};
use crate::field::{Gf, narrowed, word};
use crate::kernel::band::{self as kernel, Row, WORDS};
use crate::limits::{
    BAND_BATCH_KEYS, BAND_EXPANSION_THOUSANDTHS, BAND_KEYS, BAND_LARGE_EXPANSION_THOUSANDTHS,
    BAND_WIDTH,
};

/// Sizes of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    starts: u32,
    width: usize,
}

/// Rows of the equations depend on each other: improbable with sizes from [`Band::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependent;

/// The rows of some keys, in the order of the keys.
#[derive(Debug, Default)]
pub struct Rows {
    starts: Vec<u32>,
    rows: Vec<Row>,
}

impl Band {
    /// For at most `keys` keys in each of `parts` stores, so that encoding any of them fails with probability below 2^-40.
    pub fn of(keys: u64, parts: u32) -> Self {
        // The rate grows with the keys of all stores together, whichever of them they are in.
        let thousandths = match keys.saturating_mul(parts.into()) {
            0..=BAND_KEYS => BAND_EXPANSION_THOUSANDTHS,
            _ => BAND_LARGE_EXPANSION_THOUSANDTHS,
        };
        let starts = keys.saturating_mul(thousandths).div_ceil(1000).max(1);
        Self { starts: u32::try_from(starts).unwrap_or(u32::MAX), width: BAND_WIDTH }
    }

    /// Chosen sizes, for measuring how often encoding fails; protocols use [`Self::of`].
    pub fn exactly(starts: u32, width: usize) -> Self {
        Self { starts: starts.max(1), width: width.clamp(1, BAND_WIDTH) }
    }

    pub fn places(&self) -> usize {
        self.starts as usize + BAND_WIDTH - 1
    }

    /// Keys in batches whose bands follow one another.
    pub fn sort(&self, hasher: &Hasher, items: &[u128]) -> Binned {
        hasher.sort_into(self.batches(), items)
    }

    pub fn batches(&self) -> u32 {
        u32::try_from(u64::from(self.starts).div_ceil(BAND_BATCH_KEYS)).unwrap_or(u32::MAX)
    }

    pub fn rows(&self, hasher: &Hasher, items: &[u128], rows: &mut Rows) {
        let mut draws = items.to_vec();
        hasher.places.fold(&mut draws);
        rows.starts.clear();
        // The same word as in `sort`, so a later batch never begins before an earlier one.
        rows.starts.extend(draws.iter().map(|draw| narrowed(word(*draw, 3), self.starts)));
        rows.rows.clear();
        rows.rows.extend(draws.iter().map(|draw| Row { bits: [low(*draw), 0, 0], value: 0 }));
        draws.copy_from_slice(items);
        hasher.points.fold(&mut draws);
        for (row, draw) in rows.rows.iter_mut().zip(&draws) {
            row.bits = self.cut([row.bits[0], low(*draw), low(*draw >> 64)]);
        }
        draws.copy_from_slice(items);
        hasher.values.fold(&mut draws);
        for (row, draw) in rows.rows.iter_mut().zip(&draws) {
            row.value = low(*draw);
        }
    }

    /// The first bits of a row, as many as a band has.
    fn cut(&self, mut bits: [u64; WORDS]) -> [u64; WORDS] {
        for (index, word) in bits.iter_mut().enumerate() {
            let kept = self.width.saturating_sub(64 * index).min(64);
            *word &= u64::MAX
                .checked_shl(u32::try_from(kept).unwrap_or(64))
                .map_or(u64::MAX, |above| !above);
        }
        bits
    }
}

impl Rows {
    /// The value that belongs to each key, as an element.
    pub fn values(&self) -> Vec<Gf> {
        self.rows.iter().map(|row| Gf(row.value.into())).collect()
    }
}

/// What the store holds for each of `rows`, whether it was encoded for that key or not.
pub fn decode(store: &[Gf], rows: &Rows, out: &mut Vec<Gf>) {
    kernel::decode(store, &rows.starts, &rows.rows, out);
}

/// The equations met so far: each stands at the place it is solved for, with its first bit one.
#[derive(Debug)]
pub struct Solver {
    rows: Vec<Row>,
    order: Vec<(u32, u32)>,
}

impl Solver {
    pub fn new(band: &Band) -> Self {
        Self { rows: vec![Row::default(); band.places()], order: Vec::new() }
    }

    /// Takes rows in. Any order gives a store; rising batches take the fewest steps.
    pub fn take(&mut self, rows: &Rows) -> Result<(), Dependent> {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(rows.starts.iter().copied().zip(0u32..));
        order.sort_unstable();
        for (start, index) in &order {
            self.eliminate(*start as usize, rows.rows[*index as usize])?;
        }
        self.order = order;
        Ok(())
    }

    fn eliminate(&mut self, start: usize, mut row: Row) -> Result<(), Dependent> {
        let mut place = start;
        while row.bits != [0; WORDS] {
            let zeros = row.bits[0].trailing_zeros();
            let [a, b, c] = row.bits;
            if zeros == 64 {
                row.bits = [b, c, 0];
                place += 64;
                continue;
            }
            if zeros > 0 {
                let over = 64 - zeros;
                row.bits = [a >> zeros | b << over, b >> zeros | c << over, c >> zeros];
                place += zeros as usize;
            }
            // Bits never reach over the last place, for none of a band does.
            let here = &mut self.rows[place];
            if here.bits[0] & 1 == 0 {
                *here = row;
                return Ok(());
            }
            for (bits, met) in row.bits.iter_mut().zip(&here.bits) {
                *bits ^= met;
            }
            row.value ^= here.value;
        }
        Err(Dependent)
    }

    /// The store: every row taken in decodes to its value.
    pub fn solve(self) -> Vec<u64> {
        let places = self.rows.len();
        let mut store = vec![0; places + BAND_WIDTH];
        kernel::solve(&self.rows, &mut store);
        store.truncate(places);
        store
    }
}

#[expect(clippy::cast_possible_truncation, reason = "taking the lower half is the purpose")]
fn low(block: u128) -> u64 {
    block as u64
}

#[cfg(test)]
mod tests;
