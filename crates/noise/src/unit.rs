//! What one unit adds to an answer: never more than the bounds say, whatever its rows are.
//!
//! Never lets the bounds depend on the data: they are the terms'.

use crate::limits::VALUE;

/// One number of an answer, with the bound of what one unit adds to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// How many rows; of one unit at most so many.
    Count { most: u64 },
    /// The sum of a column, in steps; of one unit a sum within `low` and `high`.
    Sum { column: usize, low: i64, high: i64 },
}

impl Part {
    /// How much the number changes at most when all rows of one unit come or go.
    pub fn sensitivity(self) -> u64 {
        match self {
            Self::Count { most } => most,
            Self::Sum { low, high, .. } => low.unsigned_abs().max(high.unsigned_abs()),
        }
    }

    /// What this unit adds.
    pub fn of(self, unit: &Rows) -> i128 {
        match self {
            Self::Count { most } => i128::from(unit.rows.min(most)),
            Self::Sum { column, low, high } => {
                let sum = unit.sums.get(column).copied().unwrap_or(0);
                let (low, high) = (i128::from(low), i128::from(high));
                sum.max(low).min(high)
            }
        }
    }
}

/// The rows of one unit, added up. One without rows is none, and adds nothing: not even `low`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    rows: u64,
    sums: Box<[i128]>,
}

impl Rows {
    pub fn new(columns: usize) -> Self {
        Self { rows: 0, sums: vec![0; columns].into() }
    }

    /// One row, with its cell of each column in steps.
    pub fn add(&mut self, cells: impl IntoIterator<Item = Option<i64>>) {
        self.rows = self.rows.saturating_add(1);
        for (sum, cell) in self.sums.iter_mut().zip(cells) {
            let cell = cell.unwrap_or(0).clamp(-VALUE, VALUE);
            // Exact: 2^64 rows of 2^62.
            *sum = sum.saturating_add(i128::from(cell));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(cells: &[Option<i64>]) -> Rows {
        let mut out = Rows::new(1);
        cells.iter().for_each(|it| out.add([*it]));
        out
    }

    proptest! {
        /// Whatever the rows: a unit adds no more than the sensitivity, in whatever order they come.
        #[test]
        fn a_unit_stays_within_its_bounds(
            mut cells in prop::collection::vec(prop::option::of(any::<i64>()), 1..50),
            low in -1000_i64..1000, width in 0_i64..1000, most in 1_u64..20,
        ) {
            let parts = [
                Part::Count { most },
                Part::Sum { column: 0, low, high: low + width },
                // A column that there is not adds nothing, cut to the bounds.
                Part::Sum { column: 1, low, high: low + width },
            ];
            let unit = rows(&cells);
            for part in parts {
                prop_assert!(part.of(&unit).unsigned_abs() <= u128::from(part.sensitivity()));
            }
            cells.reverse();
            prop_assert_eq!(rows(&cells), unit);
        }
    }

    #[test]
    fn rows_count_and_cells_that_are_missing_do_not() {
        let unit = rows(&[Some(5), None, Some(-2), Some(i64::MAX), Some(i64::MIN)]);
        assert_eq!(Part::Count { most: 10 }.of(&unit), 5);
        assert_eq!(Part::Count { most: 3 }.of(&unit), 3);
        assert_eq!(Part::Sum { column: 0, low: -9, high: 9 }.of(&unit), 3);
        assert_eq!(Part::Sum { column: 0, low: -9, high: 2 }.of(&unit), 2);
        assert_eq!(Part::Sum { column: 0, low: 4, high: 9 }.of(&unit), 4);
    }
}
