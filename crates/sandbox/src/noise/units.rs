//! Rows of each unit, added up as they are read.
//!
//! Exact and in no order: whole steps, each cell made one by itself. Bounded: more units than fit are none at all.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use tidm_noise::fixed::{of_decimal, of_float};
use tidm_noise::unit::Rows;

use crate::refusal::{Code, Refusal};

/// Whether values of this type tell units apart exactly.
#[expect(clippy::wildcard_enum_match_arm, reason = "types that are not listed name no units")]
pub(super) fn names(it: &DataType) -> bool {
    match it {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => names(values),
        other => other.is_integer(),
    }
}

/// Whether values of this type can be added up.
pub(super) fn sums(it: &DataType) -> bool {
    it.is_integer()
        || matches!(it, DataType::Float32 | DataType::Float64 | DataType::Decimal128(..))
}

pub(super) struct Units {
    rows: HashMap<Box<str>, Rows>,
    exponents: Vec<i8>,
    most: usize,
}

impl Units {
    /// `exponents`: of the steps of each column that is summed.
    pub(super) fn new(exponents: Vec<i8>, most: usize) -> Self {
        Self { rows: HashMap::new(), exponents, most }
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &Rows> {
        self.rows.values()
    }

    /// Rows of a batch: the unit first, then each column.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), Refusal> {
        let failed = |_| Refusal::bare(Code::Failed);
        let (names, cells) =
            batch.columns().split_first().ok_or_else(|| Refusal::bare(Code::Failed))?;
        let names = cast(names, &DataType::Utf8).map_err(failed)?;
        let names = names.as_string::<i32>();
        let cells = cells.iter().zip(&self.exponents).map(|(it, exponent)| steps(it, *exponent));
        let cells = cells.collect::<Result<Vec<_>, _>>()?;
        for (at, name) in names.iter().enumerate() {
            // A row of nobody: as if it were not there, which depends on this row alone.
            let Some(name) = name else { continue };
            let row = cells.iter().map(|it| it.get(at).copied().flatten());
            if let Some(unit) = self.rows.get_mut(name) {
                unit.add(row);
                continue;
            }
            if self.rows.len() >= self.most {
                return Err(Refusal::bare(Code::Memory));
            }
            let mut unit = Rows::new(self.exponents.len());
            unit.add(row);
            self.rows.insert(name.into(), unit);
        }
        Ok(())
    }
}

/// Each cell as whole steps, by itself; a column that stands in for one that nobody asked for has none.
#[expect(clippy::wildcard_enum_match_arm, reason = "nobody asks for the sums of other types")]
fn steps(column: &dyn Array, exponent: i8) -> Result<Vec<Option<i64>>, Refusal> {
    let failed = |_| Refusal::bare(Code::Failed);
    let decimals = |column: &dyn Array, scale: i8| -> Vec<Option<i64>> {
        let cells = column.as_primitive::<Decimal128Type>().iter();
        cells.map(|it| it.map(|it| of_decimal(it, scale, exponent))).collect()
    };
    Ok(match column.data_type() {
        DataType::Float32 | DataType::Float64 => {
            let cells = cast(column, &DataType::Float64).map_err(failed)?;
            let cells = cells.as_primitive::<Float64Type>().iter();
            cells.map(|it| it.and_then(|it| of_float(it, exponent))).collect()
        }
        DataType::Decimal128(_, scale) => decimals(column, *scale),
        // Its largest values are no signed integers.
        DataType::UInt64 => {
            let cells = cast(column, &DataType::Decimal128(20, 0)).map_err(failed)?;
            decimals(&cells, 0)
        }
        it if it.is_integer() => {
            let cells = cast(column, &DataType::Int64).map_err(failed)?;
            let cells = cells.as_primitive::<Int64Type>().iter();
            cells.map(|it| it.map(|it| of_decimal(it.into(), 0, exponent))).collect()
        }
        _ => vec![None; column.len()],
    })
}
