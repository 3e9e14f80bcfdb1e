//! Every bound of this crate, with its why. No number of this kind may stand elsewhere.

/// One row of so many is chosen in each column. Of 100 rows that are left of a leak, 25 speak: agreement of all of them
/// has the chance 3 · 10^-8. Half of the chosen values have the wanted parity already, so one of eight changes.
pub const ONE_OF: u32 = 4;

/// Digits of a number that is marked: what is longer is no measurement, and an `i128` holds all of them with room.
pub const DIGITS: usize = 30;

/// Smallest and largest step, as powers of ten: from nano to mega of whatever unit.
pub const STEPS: std::ops::RangeInclusive<i8> = -9..=6;

/// Chosen cells that a tally holds: more do not make a verdict any clearer, and 10^6 take about 64 MB.
pub const CELLS: usize = 1 << 20;

/// A contract is named when a file that has nothing to do with any of the contracts asked would be blamed on one of
/// them with at most this chance.
pub const BLAME: f64 = 1e-6;
