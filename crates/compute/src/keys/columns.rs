//! Other columns of a list, row by row: numbers to be summed up, and texts that are given with a match.
//!
//! Read in a pass of their own, in the order of rows in which keys are read, so that a row's place is its item's. Never shows a
//! value: faults name columns and rows.

use arrow::datatypes::Schema;

use super::csv::{Fields, Records, names};
use super::fault::Fault;
use super::fixed::fixed;
use super::labels::put_label;
use super::limits::MAX_ROWS;
use super::place::Place;
use super::source::Format;
use super::table::Table;

/// One number per row in units of 10^-`decimals`; a row without one counts as zero. Values above `bound` in size, and lists
/// of more than `most` rows, are refused.
pub fn values<'p>(
    (place, format): (impl Into<Place<'p>>, Format),
    column: &str,
    decimals: u32,
    bound: u64,
    most: u64,
) -> Result<Vec<i64>, Fault> {
    let place = place.into();
    let file = place.path.display().to_string();
    let mut values = Vec::new();
    each(place, format, &[column.to_owned()], "the sum", most, &mut |row, fields| {
        let text = fields.first().copied().unwrap_or_default();
        let value = fixed(text, decimals, bound).map_err(|why| Fault::Value {
            file: file.clone(),
            column: column.to_owned(),
            row,
            why,
        })?;
        values.push(value);
        Ok(())
    })?;
    Ok(values)
}

/// One label of `bytes` per row, one after the other: the named columns as they stand.
pub fn labels<'p>(
    (place, format): (impl Into<Place<'p>>, Format),
    columns: &[String],
    bytes: usize,
    most: u64,
) -> Result<Vec<u8>, Fault> {
    let place = place.into();
    let file = place.path.display().to_string();
    let mut labels = Vec::new();
    each(place, format, columns, "what is given with a match", most, &mut |row, fields| {
        let found = put_label(fields, bytes, &mut labels);
        let long = |found| Fault::LabelTooLong { file: file.clone(), row, found, most: bytes };
        found.map_err(long)
    })?;
    Ok(labels)
}

/// Gets a row's number and its fields.
type Take<'t> = dyn FnMut(u64, &[&[u8]]) -> Result<(), Fault> + 't;

/// Calls `take` for every row with its number from 1 and its fields; those of a row that has not as many fields as the header
/// are empty.
fn each(
    from: Place<'_>,
    format: Format,
    columns: &[String],
    purpose: &str,
    most: u64,
    take: &mut Take<'_>,
) -> Result<(), Fault> {
    let input = from.open()?;
    let name = from.path.display().to_string();
    let place = |present: &[String]| -> Result<Vec<usize>, Fault> {
        columns.iter().map(|column| place(&name, column, purpose, present)).collect()
    };
    let mut row = 0;
    let mut next = |fields: &[&[u8]]| {
        row += 1;
        let most = most.min(MAX_ROWS);
        if row > most {
            return Err(Fault::TooMany { file: name.clone(), what: "rows", most });
        }
        take(row, fields)
    };
    let wanted = |schema: &Schema| {
        let present: Vec<String> = schema.fields().iter().map(|it| it.name().clone()).collect();
        place(&present)
    };
    let mut table = match format {
        Format::Parquet => Table::parquet(input, &name, &wanted)?,
        Format::ArrowFile => Table::arrow_file(input, &name, &wanted)?,
        Format::ArrowStream => {
            let length = input.length();
            Table::arrow_stream(Box::new(input), length, &name, &wanted)?
        }
        Format::Csv(delimiter) => {
            let delimiter = delimiter.byte();
            let (mut records, header) = Records::new(input, &name, delimiter)?;
            let present = names(&header, &name, delimiter)?;
            let mut fields = Fields::new(delimiter, present.len(), place(&present)?);
            let nothing = vec![&b""[..]; columns.len()];
            while let Some(record) = records.next()? {
                if fields.locate(record) {
                    next(&fields.parts(record.line).collect::<Vec<_>>())?;
                } else {
                    next(&nothing)?;
                }
            }
            return Ok(());
        }
    };
    while let Some((count, texts)) = table.texts()? {
        for index in 0..count {
            next(&texts.iter().map(|text| text.at(index)).collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

/// Where a column stands.
fn place(file: &str, column: &str, purpose: &str, present: &[String]) -> Result<usize, Fault> {
    let mut found = (0..).zip(present).filter(|(_, name)| *name == column);
    match (found.next(), found.next()) {
        (Some((place, _)), None) => Ok(place),
        (Some(_), Some(_)) => Err(Fault::ColumnTwice { file: file.into(), column: column.into() }),
        (None, _) => Err(Fault::no_column(file, column, purpose, present)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::Delimiter;
    use super::super::labels::split_label;
    use super::*;

    fn csv(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    const CSV: Format = Format::Csv(Delimiter::Comma);

    #[test]
    fn numbers_come_by_rows_and_what_is_none_is_refused_by_its_row() {
        let file = csv("id,price\na,1.50\nb,\nc\nd,\"-2\"\n");
        let read = |column, bound| values((file.path(), CSV), column, 2, bound, 10);
        assert_eq!(read("price", 200).unwrap(), [150, 0, 0, -200]);
        assert_eq!(read("price", 199).unwrap_err().code(), "keys.value");
        assert_eq!(read("prise", 200).unwrap_err().code(), "keys.no-column");
        let Err(Fault::Value { row: 1, why, .. }) = read("id", 200) else { panic!("no number") };
        assert_eq!(why, "is no number");
        let few = values((file.path(), CSV), "price", 2, 200, 3);
        assert_eq!(few.unwrap_err().code(), "keys.too-many");
    }

    #[test]
    fn labels_are_all_as_long_as_agreed() {
        let file = csv("id,name,note\na,锤,\"x,y\"\nb,,\nc\n");
        let columns = ["name".to_owned(), "note".to_owned()];
        let all = labels((file.path(), CSV), &columns, 12, 10).unwrap();
        let found: Vec<_> = all.chunks(12).map(|it| split_label(it, 2).unwrap()).collect();
        assert_eq!(found, [["锤", "x,y"], ["", ""], ["", ""]]);
        let short = labels((file.path(), CSV), &columns, 9, 10).unwrap_err();
        assert!(matches!(short, Fault::LabelTooLong { row: 1, found: 10, most: 9, .. }));
    }
}
