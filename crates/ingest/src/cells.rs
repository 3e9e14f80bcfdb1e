//! Values of a batch, one at a time, for conditions on rows and marks in numbers.
//!
//! Never guesses: a type that is not listed here is [`Cell::Other`], which meets no condition and takes no mark.

use std::collections::BTreeMap;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, PrimitiveArray, PrimitiveBuilder, RecordBatch,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use tidm_mark::decimal::Decimal;

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    /// `units · 10^-scale`.
    Exact {
        units: i128,
        scale: u32,
    },
    Double(f64),
    Single(f32),
    Text(&'a str),
    Flag(bool),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970, what is finer cut off; with a zone in UTC.
    Moment {
        micros: i64,
        zoned: bool,
    },
    Other,
}

impl Cell<'_> {
    /// The number as it is shown.
    pub fn decimal(self) -> Option<Decimal> {
        match self {
            Self::Exact { units, scale } => Decimal::fixed(units, scale),
            Self::Double(it) => Decimal::of(it),
            Self::Single(it) => Decimal::parse(&it.to_string()),
            Self::Text(it) => Decimal::parse(it.trim()),
            Self::Null | Self::Flag(_) | Self::Date(_) | Self::Moment { .. } | Self::Other => None,
        }
    }
}

/// One column in a form that is quick to read.
struct Cells {
    array: ArrayRef,
    scale: u32,
    zoned: bool,
}

impl Cells {
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other type of Arrow stays as it is")]
    fn of(array: &ArrayRef) -> Result<Self, ArrowError> {
        let (to, scale, zoned) = match array.data_type() {
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => (DataType::Int64, 0, false),
            DataType::UInt64 => (DataType::Decimal128(20, 0), 0, false),
            DataType::Decimal128(_, scale) => match u32::try_from(*scale) {
                Ok(scale) => (array.data_type().clone(), scale, false),
                Err(_) => (DataType::Null, 0, false),
            },
            DataType::LargeUtf8 | DataType::Utf8View => (DataType::Utf8, 0, false),
            DataType::Timestamp(_, zone) => {
                (DataType::Timestamp(TimeUnit::Microsecond, zone.clone()), 0, zone.is_some())
            }
            other => (other.clone(), 0, false),
        };
        let array = if to == DataType::Null { array.clone() } else { cast(array, &to)? };
        Ok(Self { array, scale, zoned })
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "every other type of Arrow is Other")]
    fn get(&self, at: usize) -> Cell<'_> {
        let it = &self.array;
        if at >= it.len() || it.is_null(at) {
            return Cell::Null;
        }
        match it.data_type() {
            DataType::Int64 => {
                Cell::Exact { units: it.as_primitive::<Int64Type>().value(at).into(), scale: 0 }
            }
            DataType::Decimal128(_, scale) if *scale >= 0 => Cell::Exact {
                units: it.as_primitive::<Decimal128Type>().value(at),
                scale: self.scale,
            },
            DataType::Float64 => Cell::Double(it.as_primitive::<Float64Type>().value(at)),
            DataType::Float32 => Cell::Single(it.as_primitive::<Float32Type>().value(at)),
            DataType::Utf8 => Cell::Text(it.as_string::<i32>().value(at)),
            DataType::Boolean => Cell::Flag(it.as_boolean().value(at)),
            DataType::Date32 => Cell::Date(it.as_primitive::<Date32Type>().value(at)),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Cell::Moment {
                micros: it.as_primitive::<TimestampMicrosecondType>().value(at),
                zoned: self.zoned,
            },
            _ => Cell::Other,
        }
    }
}

/// Some columns of a batch.
pub(crate) struct Reading(BTreeMap<String, Cells>);

impl Reading {
    pub(crate) fn of(batch: &RecordBatch, names: &[String]) -> Result<Self, ArrowError> {
        let one =
            |name: &String| batch.column_by_name(name).map(|it| Ok((name.clone(), Cells::of(it)?)));
        names.iter().filter_map(one).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn row(&self, at: usize) -> Row<'_> {
        Row { reading: self, at }
    }
}

/// One row, by the names of the columns that were asked for.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    reading: &'a Reading,
    at: usize,
}

impl<'a> Row<'a> {
    /// [`Cell::Other`] for a column that the table does not have.
    pub fn cell(&self, column: &str) -> Cell<'a> {
        self.reading.0.get(column).map_or(Cell::Other, |it| it.get(self.at))
    }
}

/// The column with other numbers where `change` gives some; what does not fit its type stays as it was.
pub(crate) fn renumbered(
    array: &ArrayRef,
    change: &mut dyn FnMut(usize, Decimal) -> Option<Decimal>,
) -> Result<ArrayRef, ArrowError> {
    macro_rules! whole {
        ($($kind:ident => $native:ident),*) => {
            match array.data_type() {
                $(DataType::$native => Some(each::<$kind>(array, &mut |at, it| {
                    let new = change(at, Decimal::whole(it.into())?)?;
                    new.as_whole()?.try_into().ok()
                })),)*
                _ => None,
            }
        };
    }
    let whole = whole!(
        Int8Type => Int8, Int16Type => Int16, Int32Type => Int32, Int64Type => Int64,
        UInt8Type => UInt8, UInt16Type => UInt16, UInt32Type => UInt32, UInt64Type => UInt64
    );
    if let Some(whole) = whole {
        return Ok(whole);
    }
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "no other type of Arrow is a number that is marked"
    )]
    Ok(match array.data_type() {
        DataType::Float64 => {
            each::<Float64Type>(array, &mut |at, it| change(at, Decimal::of(it)?)?.as_double())
        }
        DataType::Float32 => each::<Float32Type>(array, &mut |at, it| {
            let new = change(at, Decimal::parse(&it.to_string())?)?;
            let value: f32 = new.to_string().parse().ok()?;
            (Decimal::parse(&value.to_string()) == Some(new)).then_some(value)
        }),
        DataType::Decimal128(precision, scale) => {
            let (precision, places) = (*precision, u32::try_from(*scale).ok());
            let most = 10_i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX);
            let array = each::<Decimal128Type>(array, &mut |at, it| {
                let new = change(at, Decimal::fixed(it, places?)?)?.as_fixed(places?)?;
                (new.abs() < most).then_some(new)
            });
            let typed = array.as_primitive::<Decimal128Type>().clone();
            std::sync::Arc::new(typed.with_precision_and_scale(precision, *scale)?)
        }
        _ => array.clone(),
    })
}

fn each<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    change: &mut dyn FnMut(usize, T::Native) -> Option<T::Native>,
) -> ArrayRef {
    let old: &PrimitiveArray<T> = array.as_primitive();
    let mut new = PrimitiveBuilder::<T>::with_capacity(old.len());
    for at in 0..old.len() {
        let value = old.is_valid(at).then(|| old.value(at));
        new.append_option(value.map(|it| change(at, it).unwrap_or(it)));
    }
    std::sync::Arc::new(new.finish())
}
