//! Matched rows as files.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

use super::*;

const COMMA: Format = Format::Csv(Delimiter::Comma);

fn picked(count: u64, rows: &[u64]) -> Bitmap {
    let mut bitmap = Bitmap::new(count).unwrap();
    for row in rows {
        assert!(bitmap.set(*row));
    }
    bitmap
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn csv_rows_are_copied_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (list, out) = (folder.path().join("list.csv"), folder.path().join("out.csv"));
    let text = "\u{feff}id,\"na,me\",n\r\n1,\"a\n\"\"b\",x\r\n\r\n2,Ａ,\"y\"\r\n3,,\n4,d,z";
    std::fs::write(&list, text).unwrap();
    type Case<'c> = (&'c [u64], Option<&'c [&'c str]>, &'c str);
    let cases: [Case<'_>; 6] = [
        (&[], None, "\u{feff}id,\"na,me\",n\r\n"),
        (&[0], None, "\u{feff}id,\"na,me\",n\r\n1,\"a\n\"\"b\",x\r\n"),
        (&[1, 3], None, "\u{feff}id,\"na,me\",n\r\n2,Ａ,\"y\"\r\n4,d,z"),
        (
            &[0, 1, 2, 3],
            None,
            "\u{feff}id,\"na,me\",n\r\n1,\"a\n\"\"b\",x\r\n2,Ａ,\"y\"\r\n3,,\n4,d,z",
        ),
        (&[0, 3], Some(&["na,me", "id"]), "\u{feff}\"na,me\",id\r\n\"a\n\"\"b\",1\r\nd,4\n"),
        (&[1], Some(&["n"]), "\u{feff}n\r\n\"y\"\r\n"),
    ];
    for (rows, columns, expected) in cases {
        let columns = columns.map(names);
        let written =
            write_rows((&list, COMMA), &picked(4, rows), (&out, COMMA), columns.as_deref())
                .unwrap();
        assert_eq!(std::fs::read_to_string(&out).unwrap(), expected);
        let sizes = (rows.len() as u64, expected.len() as u64);
        assert_eq!((written.rows, written.bytes), sizes);
    }
}

#[test]
fn nothing_is_written_where_something_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (list, out) = (folder.path().join("list.csv"), folder.path().join("out.csv"));
    std::fs::write(&list, "id,n\n1,a\n2,b\n").unwrap();
    let code = |rows: u64, target: &PathBuf, to, columns: Option<&[&str]>| {
        let columns = columns.map(names);
        let rows = picked(rows, &[1]);
        write_rows((&list, COMMA), &rows, (target, to), columns.as_deref()).unwrap_err().code()
    };
    assert_eq!(code(3, &out, COMMA, None), "keys.changed");
    assert_eq!(code(2, &list, COMMA, None), "keys.overwrite");
    assert_eq!(code(2, &out, Format::Parquet, None), "keys.conversion");
    assert_eq!(code(2, &out, Format::Csv(Delimiter::Tab), None), "keys.conversion");
    assert_eq!(code(2, &out, COMMA, Some(&["idd"])), "keys.no-column");
    assert_eq!(code(2, &out, COMMA, Some(&[])), "keys.mapping");
    assert_eq!(code(2, &folder.path().join("no/out"), COMMA, None), "keys.io");
    check_columns((&list, COMMA), &names(&["n", "id"])).unwrap();
    let no = check_columns((&list, COMMA), &names(&["idd"])).unwrap_err();
    assert_eq!(no.code(), "keys.no-column");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "only the list is there");
}

fn table(count: i64) -> RecordBatch {
    let ids = (0..count).map(|id| Some(format!("id, {id}")).filter(|_| id % 7 > 0));
    let ids = StringArray::from(ids.collect::<Vec<_>>());
    let numbers = Int64Array::from((0..count).collect::<Vec<_>>());
    RecordBatch::try_from_iter([("id", Arc::new(ids) as _), ("n", Arc::new(numbers) as _)]).unwrap()
}

#[test]
fn tables_become_tables_and_csv() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let create = |name: &str| std::fs::File::create(path(name)).unwrap();
    let rows = table(1000);
    let small = WriterProperties::builder().set_max_row_group_row_count(Some(64)).build();
    let mut parquet = ArrowWriter::try_new(create("p"), rows.schema(), Some(small)).unwrap();
    parquet.write(&rows).unwrap();
    parquet.close().unwrap();
    let mut file = FileWriter::try_new(create("f"), &rows.schema()).unwrap();
    let mut stream = StreamWriter::try_new(create("s"), &rows.schema()).unwrap();
    for part in 0..4 {
        file.write(&rows.slice(part * 250, 250)).unwrap();
        stream.write(&rows.slice(part * 250, 250)).unwrap();
    }
    file.finish().unwrap();
    stream.finish().unwrap();

    let keep = [1u64, 7, 63, 64, 65, 500, 998];
    let bitmap = picked(1000, &keep);
    let out = path("out");
    for (name, format) in
        [("p", Format::Parquet), ("f", Format::ArrowFile), ("s", Format::ArrowStream)]
    {
        let list = path(name);
        let columns = names(&["n"]);
        check_columns((&list, format), &columns).unwrap();
        let no = check_columns((&list, format), &names(&["m"])).unwrap_err();
        assert_eq!(no.code(), "keys.no-column", "{name}");
        let write = |to| write_rows((&list, format), &bitmap, (&out, to), Some(&columns)).unwrap();
        let open = || std::fs::File::open(&out).unwrap();
        let numbers = |found: Vec<RecordBatch>| {
            let values = found.iter().flat_map(|rows| {
                assert_eq!(rows.num_columns(), 1);
                rows.column(0).as_primitive::<Int64Type>().values().to_vec()
            });
            let expected = keep.iter().map(|row| i64::try_from(*row).unwrap());
            assert!(values.eq(expected), "{name}");
        };
        write(Format::Parquet);
        let read = ParquetRecordBatchReaderBuilder::try_new(open()).unwrap().build().unwrap();
        numbers(read.map(Result::unwrap).collect());
        write(Format::ArrowFile);
        numbers(FileReader::try_new(open(), None).unwrap().map(Result::unwrap).collect());
        write(Format::ArrowStream);
        numbers(StreamReader::try_new(open(), None).unwrap().map(Result::unwrap).collect());

        let written = write_rows((&list, format), &bitmap, (&out, COMMA), None).unwrap();
        let text = std::fs::read_to_string(&out).unwrap();
        assert!(text.starts_with("id,n\n\"id, 1\",1\n,7\n,63\n\"id, 64\",64\n"), "{text}");
        assert_eq!((written.rows, written.bytes), (7, text.len() as u64));
        let longer = picked(1001, &[1]);
        let fault = write_rows((&list, format), &longer, (&out, COMMA), None).unwrap_err();
        assert_eq!(fault.code(), "keys.changed");
    }
    assert!(table(8).column(0).is_null(0));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(60))]
    #[test]
    fn what_is_copied_has_the_items_of_the_picked_rows(
        keys in proptest::collection::vec("[a-z,\"\n ]{1,9}", 1..30),
        picks: u32,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (list, out) = (folder.path().join("list"), folder.path().join("out"));
        let quoted = |key: &String| format!("x,\"{}\"\n", key.replace('"', "\"\""));
        std::fs::write(&list, ["n,id\n".into()].into_iter().chain(keys.iter().map(quoted)).collect::<String>()).unwrap();
        let rule = rule(r#"{"parts":[{"role":"id","form":"exact"}]}"#);
        let items = |path| drain(open(path, COMMA, &rule, &Mapping::same(&rule), b"").unwrap()).unwrap().0;
        let all = items(&list);
        let rows: Vec<u64> = (0..all.len() as u64).filter(|row| picks >> row & 1 == 1).collect();
        write_rows((&list, COMMA), &picked(all.len() as u64, &rows), (&out, COMMA), None).unwrap();
        let expected: Vec<_> = rows.iter().map(|row| all[usize::try_from(*row).unwrap()]).collect();
        proptest::prop_assert_eq!(items(&out), expected);
    }
}
