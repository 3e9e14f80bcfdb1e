//! Every bound of this crate, with its why. No number of this kind may stand elsewhere.

/// Largest value of one row, and largest bound of a unit, in steps: sums of 2^64 of them fit an `i128`, so that no
/// addition ever saturates (which would depend on the order) or overflows.
pub const VALUE: i64 = 1 << 62;

/// Most numbers in one answer: each gets its share of ε, and people ask for a few.
pub const PARTS: usize = 16;

/// Micro-ε in one ε: what budgets and answers are counted in.
pub const MICRO: u64 = 1_000_000;
