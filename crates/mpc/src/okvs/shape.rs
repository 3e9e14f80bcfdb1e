//! Sizes of a store. Both parties work them out from the agreed number of keys, so only arithmetic that is the same on
//! every machine is used: integers, and floating-point square roots, which IEEE 754 rounds exactly.

use crate::limits::{OKVS_BIN_ITEMS, part_bits};

/// Sizes of a store for a number of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    bins: u32,
    sparse: usize,
    dense: usize,
}

/// Slope of log2 of the failure rate against the expansion e, for 2^4, 2^5, … keys and weight 3 (RR22 §4.2:
/// `2^(0.555·log2 n + 0.093·log2³3 − 1.01·log2²3 + 2.925·log2 3 − 0.133)`), rounded down.
const SLOPES: [u64; 14] = [23, 34, 50, 74, 109, 161, 236, 347, 510, 750, 1102, 1619, 2378, 3494];
const SMALLEST_LOG: u32 = 4;
/// Expansion where the slope begins, in thousandths, and its offset in tenths of a bit (RR22 §4.2).
const THRESHOLD_THOUSANDTHS: u64 = 1223;
const OFFSET_TENTHS: u64 = 92;

impl Shape {
    /// For at most `keys` keys in each of `parts` stores, so that encoding any of them fails with probability below 2^-40.
    pub fn of(keys: u64, parts: u32) -> Self {
        // Up to a quarter over, one bin is cheaper than two padded ones.
        let bins = if keys <= OKVS_BIN_ITEMS + OKVS_BIN_ITEMS / 4 {
            1
        } else {
            keys.div_ceil(OKVS_BIN_ITEMS)
        };
        // Each bin may take its share of the failure: once for being overfull, once for not encoding.
        let bits = part_bits(parts) + 1 + log2_up(bins);
        let capacity = if bins == 1 { keys } else { fullest(keys, bins, bits) };
        Self::with_capacity(u32::try_from(bins).unwrap_or(u32::MAX), capacity, bits)
    }

    /// For bins of at most `capacity` keys, each of which fails with probability below 2^-bits.
    pub(super) fn with_capacity(bins: u32, capacity: u64, bits: u32) -> Self {
        let capacity = capacity.max(1 << SMALLEST_LOG);
        let index = (capacity.ilog2() - SMALLEST_LOG) as usize;
        let slope = SLOPES.get(index).or(SLOPES.last()).copied().unwrap_or(1);
        let above = (capacity * (OFFSET_TENTHS + 10 * u64::from(bits))).div_ceil(10 * slope);
        let sparse = (capacity * THRESHOLD_THOUSANDTHS).div_ceil(1000) + above;
        // A gap of g + 1 keys has probability about sparse^-(g + 1) (RR22 §4.2).
        let dense = bits.div_ceil(sparse.ilog2()).saturating_sub(1).max(2);
        Self { bins, sparse: usize::try_from(sparse).unwrap_or(usize::MAX), dense: dense as usize }
    }

    pub fn bins(&self) -> u32 {
        self.bins
    }

    /// Sparse places per bin.
    pub fn sparse(&self) -> usize {
        self.sparse
    }

    /// Dense places per bin.
    pub fn dense(&self) -> usize {
        self.dense
    }

    /// All places of one bin.
    pub fn bin_places(&self) -> usize {
        self.sparse + self.dense
    }

    /// All places.
    pub fn places(&self) -> usize {
        self.bins as usize * self.bin_places()
    }

    /// One bin of chosen sizes, for measuring how often encoding fails; protocols use [`Self::of`].
    pub fn exactly(sparse: usize, dense: usize) -> Self {
        Self { bins: 1, sparse, dense }
    }
}

/// How many of `balls` the fullest of `bins` holds but with probability `2^-bits` per bin.
///
/// Chernoff's bound in Bernstein's form: `P[X ≥ μ + a] ≤ exp(−a² / (2(μ + a/3)))`, solved for a.
pub(crate) fn fullest(balls: u64, bins: u64, bits: u32) -> u64 {
    const LN_2: f64 = std::f64::consts::LN_2;
    if bins <= 1 {
        return balls;
    }
    let mean = float(balls) / float(bins);
    let nats = f64::from(bits) * LN_2;
    let third = nats / 3.0;
    let above = third + (third * third + 2.0 * nats * mean).sqrt();
    whole(mean + above).min(balls)
}

#[expect(clippy::cast_precision_loss, reason = "counts of items stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive and far below 2^53"
)]
fn whole(value: f64) -> u64 {
    value.ceil() as u64
}

fn log2_up(count: u64) -> u32 {
    count.next_power_of_two().ilog2()
}
