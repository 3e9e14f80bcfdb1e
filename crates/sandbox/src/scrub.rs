//! Copies result columns value by value, so that only values the result shows leave the worker.
//!
//! Arrow arrays carry more than they show: string views keep whole pages of other rows alive,
//! dictionaries hold entries no row refers to, and a NULL made by a threshold still has the
//! suppressed number underneath. IPC would send all of that. NaN payloads and schema metadata are
//! further places to hide bits (usage-control A10).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, NullArray, PrimitiveArray, StringArray,
    downcast_primitive_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float16Type, Float32Type, Float64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::refusal::{Code, Refusal};

/// The schema results leave with: names, plain types, no metadata.
///
/// # Errors
/// A column of a nested or otherwise unsupported type.
pub(crate) fn schema(of: &Schema) -> Result<SchemaRef, Refusal> {
    let fields = of.fields().iter().map(|field| {
        let plain = plain(field.data_type())
            .ok_or_else(|| Refusal::new(Code::Construct, format!("column {}", field.name())))?;
        Ok(Field::new(field.name(), plain, true))
    });
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>, Refusal>>()?)))
}

/// One batch, rebuilt to fit `schema` (made by [`schema`]).
pub(crate) fn batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Refusal> {
    let failed = |_| Refusal::bare(Code::Failed);
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        let column = cast(column, field.data_type()).map_err(failed)?;
        rebuilt(&column)
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(failed)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "types without a plain form do not leave")]
fn plain(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(DataType::Utf8),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => Some(DataType::Binary),
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        DataType::Boolean | DataType::Null => Some(data_type.clone()),
        _ if data_type.is_primitive() => Some(data_type.clone()),
        _ => None,
    }
}

fn rebuilt(column: &ArrayRef) -> Result<ArrayRef, Refusal> {
    if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
        let values = floats.iter().map(|v| v.map(|v| if v.is_nan() { f64::NAN } else { v }));
        return Ok(Arc::new(PrimitiveArray::<Float64Type>::from_iter(values)));
    }
    if let Some(floats) = column.as_primitive_opt::<Float32Type>() {
        let values = floats.iter().map(|v| v.map(|v| if v.is_nan() { f32::NAN } else { v }));
        return Ok(Arc::new(PrimitiveArray::<Float32Type>::from_iter(values)));
    }
    if column.as_primitive_opt::<Float16Type>().is_some() {
        return rebuilt(
            &cast(column, &DataType::Float32).map_err(|_| Refusal::bare(Code::Failed))?,
        );
    }
    Ok(downcast_primitive_array! {
        column => copied(column),
        DataType::Utf8 => Arc::new(column.as_string::<i32>().iter().collect::<StringArray>()),
        DataType::Binary => Arc::new(column.as_binary::<i32>().iter().collect::<BinaryArray>()),
        DataType::Boolean => Arc::new(column.as_boolean().iter().collect::<BooleanArray>()),
        DataType::Null => Arc::new(NullArray::new(column.len())),
        _ => return Err(Refusal::bare(Code::Construct)),
    })
}

/// Values one by one: a NULL slot becomes the type's zero, whatever stood there before.
fn copied<T: arrow::datatypes::ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> ArrayRef {
    let values = array.iter().collect::<PrimitiveArray<T>>();
    Arc::new(values.with_data_type(array.data_type().clone()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, Float64Array, Int64Array, StringViewArray};
    use arrow::buffer::NullBuffer;
    use arrow::datatypes::Int32Type;

    use super::*;

    fn bytes_of(column: ArrayRef) -> Vec<u8> {
        let schema = Arc::new(Schema::new(vec![Field::new("c", column.data_type().clone(), true)]));
        let before = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
        let schema = super::schema(&schema).unwrap();
        let after = batch(&before, &schema).unwrap();
        let mut writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &schema).unwrap();
        writer.write(&after).unwrap();
        writer.into_inner().unwrap()
    }

    fn contains(haystack: &[u8], needle: &[u8]) -> bool {
        haystack.windows(needle.len()).any(|window| window == needle)
    }

    #[test]
    fn hidden_bytes_stay_inside() {
        let secret = "a secret long enough for a view";
        let views = StringViewArray::from(vec![Some(secret), Some("shown"), None]);
        let sliced: ArrayRef = Arc::new(views.slice(1, 2));
        assert!(!contains(&bytes_of(sliced), secret.as_bytes()));

        let dictionary: DictionaryArray<Int32Type> = vec![secret, "shown"].into_iter().collect();
        let sliced: ArrayRef = Arc::new(dictionary.slice(1, 1));
        assert!(!contains(&bytes_of(sliced), secret.as_bytes()));

        let number = 0x5ec2_e75e_c2e7_i64;
        let nulls = NullBuffer::from(vec![false, true]);
        let hidden: ArrayRef = Arc::new(Int64Array::new(vec![number, 1].into(), Some(nulls)));
        assert!(!contains(&bytes_of(hidden), &number.to_le_bytes()));

        let payload = f64::from_bits(0x7ff8_dead_beef_cafe);
        let nan: ArrayRef = Arc::new(Float64Array::from(vec![payload]));
        assert!(!contains(&bytes_of(nan), &payload.to_bits().to_le_bytes()));
    }
}
