//! What is left out is gone from every byte; what changes keeps its type; odd types take no part.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int64Array, LargeStringArray, StringArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int8Type, Int64Type, Schema};

use super::*;
use crate::cells::Cell;

fn table(dir: &Path, columns: Vec<(&str, ArrayRef)>) -> std::path::PathBuf {
    let field = |(name, it): &(&str, ArrayRef)| Field::new(*name, it.data_type().clone(), true);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, it)| it).collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays).unwrap();
    let path = dir.join("in.parquet");
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

fn read(path: &Path) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = builder.schema().clone();
    let all: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &all).unwrap()
}

const ALL: &dyn Fn(Row<'_>) -> bool = &|_| true;
const SAME: &dyn Fn(&str, Row<'_>, Decimal) -> Option<Decimal> = &|_, _, _| None;

#[test]
fn rows_and_columns_that_stay_behind_are_in_no_byte() {
    let dir = tempfile::tempdir().unwrap();
    let sites = (0..20_000).map(|i| if i % 100 == 0 { "hidden-site" } else { "open" });
    let path = table(
        dir.path(),
        vec![
            ("site", Arc::new(StringArray::from_iter_values(sites))),
            ("n", Arc::new(Int64Array::from_iter_values(0..20_000))),
            ("secret", Arc::new(StringArray::from_iter_values((0..20_000).map(|_| "secret-mark")))),
        ],
    );
    let out = dir.path().join("out.parquet");
    let columns = BTreeSet::from(["n".to_owned()]);
    let keep = |row: Row<'_>| row.cell("site") == Cell::Text("open");
    let reads = ["site".to_owned()];
    let cut =
        Cut { columns: Some(&columns), reads: &reads, keep: &keep, changes: &[], change: SAME };
    let done = excerpt(&path, &out, &cut).unwrap();
    assert_eq!(done, Excerpt { rows: 19_800, changed: 0 });
    let copy = read(&out);
    assert_eq!((copy.num_rows(), copy.num_columns()), (19_800, 1));
    assert!(copy.column(0).as_primitive::<Int64Type>().values().iter().all(|n| n % 100 != 0));
    let bytes = std::fs::read(&out).unwrap();
    for mark in ["hidden-site", "secret-mark", "site"] {
        assert!(!bytes.windows(mark.len()).any(|it| it == mark.as_bytes()), "{mark}");
    }
    // Nothing is left: an empty table with its columns.
    let none = |row: Row<'_>| row.cell("missing") != Cell::Other;
    let cut = Cut { keep: &none, ..cut };
    assert_eq!(excerpt(&path, &out, &cut).unwrap().rows, 0);
    assert_eq!((read(&out).num_rows(), read(&out).num_columns()), (0, 1));
}

#[test]
fn numbers_change_within_their_types() {
    let dir = tempfile::tempdir().unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i8", Arc::new(Int8Array::from(vec![Some(1), Some(127), None]))),
        ("u64", Arc::new(UInt64Array::from(vec![Some(7), Some(u64::MAX), None]))),
        ("f64", Arc::new(Float64Array::from(vec![Some(0.2), Some(f64::NAN), None]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(0.2), Some(f32::INFINITY), None]))),
        (
            "dec",
            Arc::new(
                Decimal128Array::from(vec![Some(1999), Some(9999), None])
                    .with_precision_and_scale(4, 2)
                    .unwrap(),
            ),
        ),
        ("text", Arc::new(LargeStringArray::from(vec![Some("1"), Some("2"), None]))),
    ];
    let path = table(dir.path(), columns.clone());
    let out = dir.path().join("out.parquet");
    let names: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let change = |_: &str, _: Row<'_>, it: Decimal| it.nudged(0, true);
    let cut = Cut { columns: None, reads: &[], keep: ALL, changes: &names, change: &change };
    excerpt(&path, &out, &cut).unwrap();
    let copy = read(&out);
    let shown = |name: &str| {
        let all = copy.column_by_name(name).unwrap();
        let format = arrow::util::display::FormatOptions::default();
        let it = arrow::util::display::ArrayFormatter::try_new(all, &format).unwrap();
        (0..all.len()).map(|at| it.value(at).to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown("i8"), "2 127 ");
    assert_eq!(copy.column_by_name("i8").unwrap().as_primitive::<Int8Type>().value(0), 2);
    assert_eq!(shown("u64"), "8 18446744073709551615 ");
    assert_eq!(shown("f64"), "1.2 NaN ");
    assert_eq!(shown("f32"), "1.2 inf ");
    assert_eq!(shown("dec"), "20.99 99.99 ");
    assert_eq!(shown("text"), "1 2 ");
    assert_eq!(copy.column_by_name("text").unwrap().data_type(), &DataType::LargeUtf8);
    // What conditions and marks see of each.
    let mut seen = vec![];
    rows(&path, &names, &mut |row| {
        seen.push(
            names
                .iter()
                .map(|it| row.cell(it).decimal().map(|it| it.to_string()))
                .collect::<Vec<_>>(),
        );
    })
    .unwrap();
    let some = |all: [&str; 6]| all.map(|it| (!it.is_empty()).then(|| it.to_owned())).to_vec();
    assert_eq!(seen[0], some(["1", "7", "0.2", "0.2", "19.99", "1"]));
    assert_eq!(seen[1], some(["127", "18446744073709551615", "", "", "99.99", "2"]));
    assert_eq!(seen[2], some([""; 6]));
}

#[test]
fn a_broken_table_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("in.parquet"), dir.path().join("out.parquet"));
    for bytes in [&b""[..], b"PAR1", b"PAR1 no table at all PAR1"] {
        std::fs::write(&path, bytes).unwrap();
        let cut = Cut { columns: None, reads: &[], keep: ALL, changes: &[], change: SAME };
        assert!(excerpt(&path, &out, &cut).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
